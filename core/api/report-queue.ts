/**
 * Connection reports that wait for the broker. Only the latest report of a connection is kept, so the queue is bounded by the
 * number of connections and not by how long the broker is away.
 */

import { type ConnectionReport, REPORTS_MAX } from "./connection.ts"

/** Most reports that wait; over it the oldest of closed connections go, which the broker's own clean-up makes good. */
export const REPORTS_WAITING_MAX = 16_384

export class ReportQueue {
  /** Reports given up because the queue was full. */
  dropped = 0
  private readonly waiting = new Map<string, ConnectionReport>()
  private readonly open = new Map<string, ConnectionReport>()

  get length(): number {
    return this.waiting.size
  }

  add(report: ConnectionReport): void {
    const key = `${report.connectionId}/${report.openedMs}`
    if (report.event === "closed") this.open.delete(key)
    else this.open.set(key, report)
    this.waiting.delete(key)
    if (this.waiting.size >= REPORTS_WAITING_MAX) this.dropOldest()
    this.waiting.set(key, report)
  }

  /** Puts every open connection into the queue as alive at `atMs`. */
  addAlive(atMs: number): void {
    for (const report of this.open.values()) {
      const key = `${report.connectionId}/${report.openedMs}`
      if (!this.waiting.has(key)) this.waiting.set(key, { ...report, event: "alive", atMs })
    }
  }

  /** The oldest waiting reports, at most one request's worth; they wait on until `sent`. */
  next(): ReadonlyArray<ConnectionReport> {
    const batch: Array<ConnectionReport> = []
    for (const report of this.waiting.values()) {
      if (batch.length === REPORTS_MAX) break
      batch.push(report)
    }
    return batch
  }

  /** Forgets reports that the broker has; one that was replaced meanwhile stays. */
  sent(batch: ReadonlyArray<ConnectionReport>): void {
    for (const report of batch) {
      const key = `${report.connectionId}/${report.openedMs}`
      if (this.waiting.get(key) === report) this.waiting.delete(key)
    }
  }

  private dropOldest(): void {
    this.dropped++
    for (const [key, report] of this.waiting) {
      if (report.event === "closed") {
        this.waiting.delete(key)
        return
      }
    }
    for (const key of this.waiting.keys()) {
      this.waiting.delete(key)
      return
    }
  }
}
