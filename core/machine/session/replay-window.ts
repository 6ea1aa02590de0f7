/**
 * Replay window: which of the last N sequences of one direction were received (RFC 6479: a ring of words, cleared word by word as it
 * moves, never shifted). `check` before the packet is opened, `commit` only after its tag has fitted: a forged packet moves nothing.
 */

import { assert } from "../../assert.ts"
import { DROP, type DropCode } from "../../wire/drop.ts"

export const REPLAY_WINDOW_MIN = 64
export const REPLAY_WINDOW_MAX = 8192
const BITS = 32
const TWO_32 = 0x1_0000_0000

export class ReplayWindow {
  private readonly positions: number
  private readonly words: Uint32Array
  private readonly mask: number
  private highestHigh = 0
  private highestLow = 0
  private started = false

  /** `positions` is a power of two from 64 to 8,192. */
  constructor(positions: number) {
    const inRange = positions >= REPLAY_WINDOW_MIN && positions <= REPLAY_WINDOW_MAX
    assert(inRange && (positions & (positions - 1)) === 0, "A replay window has 64 to 8,192 positions, a power of two.")
    this.positions = positions
    // Twice the words: the window covers one word more than its size when it does not start on a word's border.
    this.words = new Uint32Array((positions / BITS) * 2)
    this.mask = this.words.length - 1
  }

  /** Whether the sequence may still be received: DROP.none, replay or old. */
  check(high: number, low: number): DropCode {
    const ahead = this.ahead(high, low)
    if (ahead > 0) return DROP.none
    if (-ahead >= this.positions) return DROP.old
    return (this.words[this.wordOf(low)] & (1 << (low & 31))) === 0 ? DROP.none : DROP.replay
  }

  /** Marks the sequence as received, and says whether it is higher than all before. */
  commit(high: number, low: number): boolean {
    const ahead = this.ahead(high, low)
    if (ahead > 0) this.moveTo(high, low, ahead)
    this.words[this.wordOf(low)] |= 1 << (low & 31)
    const newest = ahead > 0 || !this.started
    this.started = true
    return newest
  }

  /** How far the sequence lies above the highest; exact while it matters, because beyond 2^53 only the sign does. */
  private ahead(high: number, low: number): number {
    return (high - this.highestHigh) * TWO_32 + (low - this.highestLow)
  }

  private moveTo(high: number, low: number, ahead: number): void {
    const last = this.wordOf(low)
    if (ahead >= this.words.length * BITS - BITS) {
      this.words.fill(0)
    } else {
      for (let word = this.wordOf(this.highestLow); word !== last; ) {
        word = (word + 1) & this.mask
        this.words[word] = 0
      }
    }
    this.highestHigh = high
    this.highestLow = low
  }

  private wordOf(low: number): number {
    return (low >>> 5) & this.mask
  }
}
