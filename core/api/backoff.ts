/**
 * When to try again: exponential backoff with full jitter (each wait is uniform between a small floor and a ceiling that doubles).
 *
 * With the default cap a thousand nodes that have all lost the broker ask it about 800 times a second between them, evenly spread,
 * and each is back within 2.5 s and one request of the broker's return. The very first wait is already drawn at random, so nodes
 * that noticed the loss in the same moment do not come back in the same moment.
 */

import type { RandomSource } from "../port/entropy.ts"

export interface BackoffOptions {
  /** Ceiling of the first wait, ms. */
  readonly firstMs: number
  /** Ceiling of every wait, ms. */
  readonly capMs: number
  /** Least wait, ms: no node asks faster than this. */
  readonly floorMs: number
}

export const BACKOFF: BackoffOptions = { firstMs: 500, capMs: 2_500, floorMs: 50 }

export class Backoff {
  /** Failures since the last success. */
  attempts = 0
  private readonly options: BackoffOptions
  private readonly random: RandomSource

  constructor(random: RandomSource, options: BackoffOptions = BACKOFF) {
    this.random = random
    this.options = options
  }

  /** Notes a failure; how long to wait before the next attempt, whole ms. */
  nextMs(): number {
    const { firstMs, capMs, floorMs } = this.options
    const ceilingMs = Math.min(capMs, firstMs * 2 ** Math.min(this.attempts, 30))
    this.attempts++
    return jitterMs(this.random, floorMs, Math.max(floorMs, ceilingMs))
  }

  /** Notes a success. */
  reset(): void {
    this.attempts = 0
  }
}

/** Uniform whole number of ms from `lowMs` to `highMs`. */
export const jitterMs = (random: RandomSource, lowMs: number, highMs: number): number =>
  lowMs + Math.floor((random.u32() / 0x1_0000_0000) * (highMs - lowMs + 1))
