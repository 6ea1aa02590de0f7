/**
 * The shaper: when the next packet's first bit can go and when its last bit is out. It is a single server that is either
 * unlimited, limited by a rate, or driven by a trace of delivery opportunities.
 *
 * Times are worked out when a packet is served and not by ticking, so a shaper needs no events of its own. It stays busy
 * over a change of its settings: what it has accepted leaves first.
 *
 * Results are fields and not return values, because V8 allocates a number that crosses a call which it does not inline.
 */

import type { LinkSpec } from "./spec.ts"

/** What leaves at one delivery opportunity, in bytes (mahimahi's packet size). */
export const OPPORTUNITY_BYTES = 1504

/** Nanoseconds that a byte takes at one bit per second. */
const NS_PER_BYTE_AT_1_BPS = 8_000_000_000

export class Shaper {
  /** When the next packet's first bit can go: set by `ready`. */
  startNs = 0
  /** When the last packet's last bit is out: set by `serve`. */
  departNs = 0
  private rateBps = 0
  private overheadBytes = 0
  /** Whether a packet's departure may lie after its start. */
  private unlimited = true
  private busyUntilNs = 0
  /**
   * `busyUntilNs` is rounded up to a whole nanosecond; the exact time lies `spare / rateBps` ns before it. A packet that
   * waited starts at the exact time, so a busy period's departures never drift from the closed form.
   */
  private spare = 0

  private traceMs: ReadonlyArray<number> = []
  private opportunities = new Float64Array(0)
  private originNs = 0
  private periodNs = 0
  private cycleNs = 0
  private index = 0
  /** Bytes that the present opportunity can still carry. */
  private roomBytes = 0

  /** Takes the settings over. A trace runs from `nowNs` if it is another one than before. */
  configure(nowNs: number, spec: LinkSpec): void {
    if (spec.rateBps !== this.rateBps) this.spare = 0
    this.rateBps = spec.rateBps
    this.overheadBytes = spec.overheadBytes
    if (!sameNumbers(spec.deliveryTraceMs, this.traceMs)) this.startTrace(nowNs, spec.deliveryTraceMs)
    this.unlimited = this.rateBps === 0 && this.opportunities.length === 0
  }

  /** Sets `startNs` to the earliest time at or after `nowNs` at which the next packet can start. */
  ready(nowNs: number): void {
    this.startNs = Math.max(this.busyUntilNs, nowNs)
    if (this.opportunities.length > 0) this.seek()
  }

  /** Serves a packet of `bytes` at the time that `ready` has just set. `waited` tells that the packet came before it. */
  serve(bytes: number, waited: boolean): void {
    this.departNs = this.startNs
    if (this.unlimited) return
    if (this.opportunities.length > 0) this.serveByTrace(bytes)
    else this.serveByRate(bytes, waited)
    this.busyUntilNs = this.departNs
  }

  private serveByRate(bytes: number, waited: boolean): void {
    const work = (bytes + this.overheadBytes) * NS_PER_BYTE_AT_1_BPS - (waited ? this.spare : 0)
    const wholeNs = Math.ceil(work / this.rateBps)
    this.spare = wholeNs * this.rateBps - work
    this.departNs += wholeNs
  }

  private serveByTrace(bytes: number): void {
    let left = bytes + this.overheadBytes
    while (left > this.roomBytes) {
      left -= this.roomBytes
      this.nextOpportunity()
    }
    this.roomBytes -= left
    this.departNs = this.cycleNs + this.opportunities[this.index]
  }

  private startTrace(nowNs: number, traceMs: ReadonlyArray<number>): void {
    this.traceMs = traceMs
    this.opportunities = Float64Array.from(traceMs, (ms) => ms * 1_000_000)
    this.periodNs = traceMs.length === 0 ? 0 : this.opportunities[traceMs.length - 1]
    this.originNs = nowNs
    this.cycleNs = nowNs
    this.index = 0
    this.roomBytes = OPPORTUNITY_BYTES
  }

  /** Moves `startNs` on to the first opportunity with room; what earlier ones could have carried is lost. */
  private seek(): void {
    const atNs = this.startNs
    if (this.cycleNs + this.periodNs < atNs) {
      // Whole cycles are skipped at once. The last opportunity of a cycle coincides with the start of the next one, so the
      // cycle that ends at `atNs` is still the right one.
      const cycle = Math.ceil((atNs - this.originNs) / this.periodNs) - 1
      this.cycleNs = this.originNs + cycle * this.periodNs
      this.index = 0
      this.roomBytes = OPPORTUNITY_BYTES
    }
    while (this.roomBytes === 0 || this.cycleNs + this.opportunities[this.index] < atNs) this.nextOpportunity()
    this.startNs = this.cycleNs + this.opportunities[this.index]
  }

  private nextOpportunity(): void {
    this.roomBytes = OPPORTUNITY_BYTES
    if (++this.index < this.opportunities.length) return
    this.index = 0
    this.cycleNs += this.periodNs
  }
}

const sameNumbers = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a === b || (a.length === b.length && a.every((value, index) => value === b[index]))
