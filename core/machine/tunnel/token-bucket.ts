/** A token bucket in integers: the bound on work that one packet can multiply (broadcast copies, ICMP errors). */

import { assert } from "../../assert.ts"

const SECOND_NS = 1_000_000_000

/** Fills at `perSecond` tokens a second up to one second's worth; starts full. Time is held as credit, so nothing rounds away. */
export class TokenBucket {
  private readonly tokenNs: number
  private readonly creditMaxNs: number
  private creditNs: number
  private filledNs = 0

  constructor(perSecond: number) {
    assert(Number.isInteger(perSecond) && perSecond >= 1, "a token bucket fills at one token a second or more")
    this.tokenNs = Math.max(1, Math.floor(SECOND_NS / perSecond))
    this.creditMaxNs = perSecond * this.tokenNs
    this.creditNs = this.creditMaxNs
  }

  /** Takes `tokens` if that many are there at `nowNs`; all or none. */
  take(nowNs: number, tokens: number): boolean {
    if (nowNs > this.filledNs) {
      this.creditNs = Math.min(this.creditMaxNs, this.creditNs + (nowNs - this.filledNs))
      this.filledNs = nowNs
    }
    const priceNs = tokens * this.tokenNs
    if (priceNs > this.creditNs) return false
    this.creditNs -= priceNs
    return true
  }
}
