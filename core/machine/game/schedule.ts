/**
 * Ticks with absolute deadlines: tick n is due at start + n / rate, computed from n each time, so that neither rounding nor lateness
 * adds up. Whoever comes late runs at most a few ticks at once and skips the rest, saying how many.
 */

import { assert } from "../../assert.ts"

const SECOND_NS = 1_000_000_000

/** Most ticks that are run at one call: more would turn one hiccup into a longer one. */
export const CATCH_UP_MAX = 4

export class TickSchedule {
  /** Number of the next tick to run. */
  next: number
  /** How late the first tick of the last `due` was. */
  lateNs = 0
  /** Ticks that the last `due` skipped. */
  skipped = 0
  private readonly startNs: number
  private readonly rateHz: number

  /** Tick 0 is due at `startNs`; the first that will run is number `first`. */
  constructor(startNs: number, rateHz: number, first = 0) {
    assert(Number.isInteger(rateHz) && rateHz > 0 && rateHz <= 1000, "a tick rate is an integer from 1 to 1000 Hz")
    this.startNs = startNs
    this.rateHz = rateHz
    this.next = first
  }

  /** When a tick is due: exact to the nanosecond, rounded down, whatever its number. */
  deadline(tick: number): number {
    const seconds = Math.floor(tick / this.rateHz)
    const rest = tick - seconds * this.rateHz
    return this.startNs + seconds * SECOND_NS + Math.floor((rest * SECOND_NS) / this.rateHz)
  }

  /** When the next tick is due. */
  nextDeadline(): number {
    return this.deadline(this.next)
  }

  /**
   * How many ticks, from `next` on, are to be run now: 0 to CATCH_UP_MAX. The caller calls `done` after each. If more are overdue,
   * the oldest are skipped: `next` moves over them and `skipped` counts them.
   */
  due(nowNs: number): number {
    this.skipped = 0
    this.lateNs = nowNs - this.nextDeadline()
    if (this.lateNs < 0) return 0
    const behind = this.newestDue(nowNs) - this.next + 1
    if (behind <= CATCH_UP_MAX) return behind
    this.skipped = behind - CATCH_UP_MAX
    this.next += this.skipped
    return CATCH_UP_MAX
  }

  /** The tick `next` has been run. */
  done(): void {
    this.next++
  }

  /** The newest tick that is due at `nowNs`, which is not before the start. */
  private newestDue(nowNs: number): number {
    const elapsedNs = nowNs - this.startNs
    const seconds = Math.floor(elapsedNs / SECOND_NS)
    const restNs = elapsedNs - seconds * SECOND_NS
    let tick = seconds * this.rateHz + Math.floor((restNs * this.rateHz) / SECOND_NS)
    // The deadline is rounded down, so one tick more may be due already.
    if (this.deadline(tick + 1) <= nowNs) tick++
    return tick
  }
}
