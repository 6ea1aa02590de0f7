/**
 * CoDel, the controlled-delay queue law of RFC 8289 §5. With `ecn` it marks, as Linux does: an ECN-capable packet is
 * marked and delivered where another would be dropped, one at most for each packet sent.
 *
 * The law looks at how long packets waited. When that was at least the target for a whole interval it drops one packet,
 * then further ones at gaps of interval / sqrt(count), until the wait falls below the target. Times are integer
 * nanoseconds; square root and division are correctly rounded by IEEE 754, so the gaps are the same on every machine.
 */

import type { PacketQueue } from "./queue.ts"

/** What the law does to packets. */
export interface CodelActions {
  codelDrop(packet: number): void
  codelMark(packet: number): void
}

/** Intervals after the last drop within which a new dropping state resumes the former rate (RFC 8289 §5.5). */
const RESUME_INTERVALS = 16

export class Codel {
  /** Whether the law is in its dropping state. */
  dropping = false
  /** Drops (or marks) since the dropping state began, more if it resumed a former rate. */
  count = 0
  private readonly queue: PacketQueue
  private readonly actions: CodelActions
  private targetNs = 0
  private intervalNs = 0
  private ecn = false
  /** Backlog in bytes up to which nothing is dropped: one packet of the largest size; 0 = the largest seen. */
  private mtuBytes = 0
  private largestBytes = 0
  private firstAboveNs = 0
  private dropNextNs = 0
  private lastCount = 0

  constructor(queue: PacketQueue, actions: CodelActions) {
    this.queue = queue
    this.actions = actions
  }

  configure(targetNs: number, intervalNs: number, ecn: boolean, mtuBytes: number): void {
    this.targetNs = targetNs
    this.intervalNs = intervalNs
    this.ecn = ecn
    this.mtuBytes = mtuBytes
  }

  /** Forgets what it has seen: for a queue that comes under the law anew. */
  reset(): void {
    this.dropping = false
    this.count = 0
    this.lastCount = 0
    this.firstAboveNs = 0
    this.dropNextNs = 0
    this.largestBytes = 0
  }

  /** Takes the next packet to send from a queue that is not empty into its `taken…` fields, dropping as the law asks. */
  dequeue(nowNs: number): void {
    let mayDrop = this.takeHead(nowNs)
    if (this.dropping) {
      if (!mayDrop) this.dropping = false
      while (this.dropping && nowNs >= this.dropNextNs) {
        this.count++
        if (this.markTaken()) {
          this.dropNextNs += this.gapNs()
          return
        }
        this.actions.codelDrop(this.queue.takenPacket)
        mayDrop = this.takeHead(nowNs)
        if (mayDrop) this.dropNextNs += this.gapNs()
        else this.dropping = false
      }
    } else if (mayDrop) {
      if (!this.markTaken()) {
        this.actions.codelDrop(this.queue.takenPacket)
        this.takeHead(nowNs)
      }
      this.enterDropping(nowNs)
    }
  }

  /** If the wait rose again soon after the last dropping state, the rate that tamed it then is where to go on. */
  private enterDropping(nowNs: number): void {
    const delta = this.count - this.lastCount
    const recent = nowNs - this.dropNextNs < RESUME_INTERVALS * this.intervalNs
    this.dropping = true
    this.count = delta > 1 && recent ? delta : 1
    this.lastCount = this.count
    this.dropNextNs = nowNs + this.gapNs()
  }

  /** Takes the head; whether its wait has been at or above the target for an interval. */
  private takeHead(nowNs: number): boolean {
    const { queue } = this
    queue.take()
    if (queue.takenBytes > this.largestBytes) this.largestBytes = queue.takenBytes
    const enough = queue.bytes > (this.mtuBytes > 0 ? this.mtuBytes : this.largestBytes)
    if (!enough || nowNs - queue.takenEnqueuedNs < this.targetNs) {
      this.firstAboveNs = 0
      return false
    }
    if (this.firstAboveNs === 0) {
      this.firstAboveNs = nowNs + this.intervalNs
      return false
    }
    return nowNs >= this.firstAboveNs
  }

  private markTaken(): boolean {
    if (!this.ecn || !this.queue.takenEcnCapable) return false
    this.actions.codelMark(this.queue.takenPacket)
    return true
  }

  private gapNs(): number {
    return Math.round(this.intervalNs / Math.sqrt(this.count))
  }
}
