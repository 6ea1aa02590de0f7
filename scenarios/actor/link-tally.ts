/**
 * What came of one stream of numbered datagrams: delays, goodput, loss, duplication, and reordering as RFC 4737 §3 defines it. Only the
 * first arrival of a number counts for delay and order; later ones are duplicates.
 */

import type { TraceFields } from "@horizon/core/lab/trace.ts"

export interface TallyOptions {
  /** Datagrams of the stream. */
  readonly count: number
  /** The first so many datagrams are left out of delay and goodput: what a queue needs to fill. */
  readonly settle: number
}

export class LinkTally {
  private readonly count: number
  private readonly settle: number
  private readonly seen: Uint8Array
  private readonly delaysNs: Float64Array
  private delays = 0
  private received = 0
  private duplicates = 0
  private reordered = 0
  /** The number that is due next if nothing is lost or late (RFC 4737's NextExp). */
  private nextExpected = 0
  private steadySinceNs = -1
  private lastNs = 0
  private steadyBytes = 0

  constructor({ count, settle }: TallyOptions) {
    this.count = count
    this.settle = settle
    this.seen = new Uint8Array(count)
    this.delaysNs = new Float64Array(count)
  }

  /** A datagram of `bytes` payload came; what cannot be of this stream is ignored. */
  note(sequence: number, sentNs: number, arrivedNs: number, bytes: number): void {
    if (sequence >= this.count) return
    if (this.seen[sequence] !== 0) {
      this.duplicates++
      return
    }
    this.seen[sequence] = 1
    this.received++
    if (sequence >= this.nextExpected) this.nextExpected = sequence + 1
    else this.reordered++
    if (sequence < this.settle) return
    this.delaysNs[this.delays++] = arrivedNs - sentNs
    // The first one only starts the clock: a rate is what comes in a time, and its own bits came before that.
    if (this.steadySinceNs < 0) this.steadySinceNs = arrivedNs
    else this.steadyBytes += bytes
    if (arrivedNs > this.lastNs) this.lastNs = arrivedNs
  }

  /** What it came to. */
  figures(): TraceFields["link.received"] {
    const delays = this.delaysNs.slice(0, this.delays).sort()
    const seconds = (this.lastNs - this.steadySinceNs) / 1e9
    return {
      received: this.received,
      duplicates: this.duplicates,
      reordered: this.reordered,
      lossRuns: this.lossRuns(),
      goodputBps: seconds > 0 ? Math.round((this.steadyBytes * 8) / seconds) : 0,
      samples: delays.length,
      delayMinNs: delays[0] ?? 0,
      delayP50Ns: percentile(delays, 50),
      delayP99Ns: percentile(delays, 99),
      delayMaxNs: delays.at(-1) ?? 0
    }
  }

  /** Runs of datagrams that are missing one after the other. */
  private lossRuns(): number {
    let runs = 0
    for (let i = 0; i < this.count; i++) if (this.seen[i] === 0 && (i === 0 || this.seen[i - 1] === 1)) runs++
    return runs
  }
}

/** Of ascending values, by the nearest rank; 0 of none. */
const percentile = (ascending: Float64Array, p: number): number =>
  ascending[Math.max(1, Math.ceil((p / 100) * ascending.length)) - 1] ?? 0
