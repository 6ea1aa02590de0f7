/**
 * A link by itself, without a network around it: a sink that keeps what the link tells it, seeded streams for its stages,
 * and a loop that serves its timeouts. For whoever studies a link alone, first of all its tests.
 */

import type { Link, LinkSink } from "./link.ts"
import type { Uniform } from "./probability.ts"

/** One packet's end: `atNs` is when it leaves, or, for a drop, when the link dropped it. */
export interface Fate {
  readonly packet: number
  readonly atNs: number
  /** 0 for a delivery, else one of `LINK_DROP`. */
  readonly reason: number
  /** What the link's stages added; only for deliveries. */
  readonly queueNs: number
  readonly serialisationNs: number
  readonly propagationNs: number
  readonly jitterNs: number
}

/** Copies are numbered from here. */
export const FIRST_COPY = 1_000_000_000

export class RecordingSink implements LinkSink {
  /** In the order in which the link decided them. */
  readonly fates: Array<Fate> = []
  readonly flips: Array<{ readonly packet: number; readonly bit: number }> = []
  readonly cuts: Array<{ readonly packet: number; readonly bytes: number }> = []
  readonly marks: Array<number> = []
  readonly tooBigs: Array<{ readonly packet: number; readonly mtuBytes: number }> = []
  /** The packet that each copy was made of, by the copy's number less `FIRST_COPY`. */
  readonly copies: Array<number> = []
  /** Copies for which there is room. */
  copiesMax = Number.POSITIVE_INFINITY
  /** The link whose stage delays a delivery records. */
  link: Link | null = null
  /** The time of the call under way, set by `play`. */
  nowNs = 0

  get delivered(): ReadonlyArray<Fate> {
    return this.fates.filter((fate) => fate.reason === 0)
  }

  get dropped(): ReadonlyArray<Fate> {
    return this.fates.filter((fate) => fate.reason !== 0)
  }

  deliver(packet: number, atNs: number): void {
    this.fates.push({
      packet,
      atNs,
      reason: 0,
      queueNs: this.link?.lastQueueNs ?? 0,
      serialisationNs: this.link?.lastSerialisationNs ?? 0,
      propagationNs: this.link?.lastPropagationNs ?? 0,
      jitterNs: this.link?.lastJitterNs ?? 0
    })
  }

  drop(packet: number, reason: number): void {
    this.fates.push({
      packet,
      atNs: this.nowNs,
      reason,
      queueNs: 0,
      serialisationNs: 0,
      propagationNs: 0,
      jitterNs: 0
    })
  }

  copy(packet: number): number {
    if (this.copies.length >= this.copiesMax) return -1
    return FIRST_COPY + this.copies.push(packet) - 1
  }

  flipBit(packet: number, bit: number): void {
    this.flips.push({ packet, bit })
  }

  truncate(packet: number, bytes: number): void {
    this.cuts.push({ packet, bytes })
  }

  markCe(packet: number): void {
    this.marks.push(packet)
  }

  tooBig(packet: number, mtuBytes: number): void {
    this.tooBigs.push({ packet, mtuBytes })
  }
}

/** A packet on its way in: its number is its place in the list. */
export interface Arrival {
  readonly atNs: number
  readonly bytes: number
  readonly ecnCapable?: boolean
}

/** Serves what is due up to and including `untilNs`. */
export const serveUntil = (link: Link, sink: RecordingSink, untilNs: number): void => {
  for (let dueNs = link.pollTimeout(); dueNs <= untilNs; dueNs = link.pollTimeout()) {
    sink.nowNs = dueNs
    link.handleTimeout(dueNs)
  }
}

/** Offers `arrivals` (in ascending order of time) and serves timeouts between them; with `toEnd` also after the last. */
export const play = (
  link: Link,
  sink: RecordingSink,
  arrivals: ReadonlyArray<Arrival>,
  firstPacket = 0,
  toEnd = true
): void => {
  sink.link = link
  arrivals.forEach(({ atNs, bytes, ecnCapable }, index) => {
    serveUntil(link, sink, atNs)
    sink.nowNs = atNs
    link.offer(atNs, firstPacket + index, bytes, ecnCapable ?? false)
  })
  if (toEnd) serveUntil(link, sink, Number.MAX_SAFE_INTEGER)
}

/** One stream per stage from a seed: SplitMix32 started from the seed and the stage's name. */
export const seededStreams =
  (seed: number) =>
  (stage: string): Uniform => {
    let state = seed | 0
    for (let i = 0; i < stage.length; i++) state = Math.imul(state ^ stage.charCodeAt(i), 0x01000193)
    return {
      u32: () => {
        state = (state + 0x9e3779b9) | 0
        let z = state
        z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
        z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
        return (z ^ (z >>> 15)) >>> 0
      }
    }
  }
