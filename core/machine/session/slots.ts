/** Slots of connection ids: given out first-freed first, each time with the next generation, so that an id comes back as late as possible. */

import { assert } from "../../assert.ts"

/** Bits 8 to 23 of a connection id. */
export const SLOTS_MAX = 65_536

export class Slots {
  private readonly free: Int32Array
  private readonly generations: Uint8Array
  private head = 0
  private freeCount: number

  constructor(count: number) {
    assert(count >= 1 && count <= SLOTS_MAX, "There are 1 to 65,536 slots.")
    this.free = Int32Array.from({ length: count }, (_, slot) => slot)
    this.generations = new Uint8Array(count)
    this.freeCount = count
  }

  /** A free slot; -1 if there is none. */
  take(): number {
    if (this.freeCount === 0) return -1
    const slot = this.free[this.head]
    this.head = (this.head + 1) % this.free.length
    this.freeCount--
    // Generation 0 is left out, so that no connection id is 0.
    this.generations[slot] = (this.generations[slot] % 255) + 1
    return slot
  }

  /** Generation (1 to 255) with which a slot was given out last. */
  generation(slot: number): number {
    return this.generations[slot]
  }

  release(slot: number): void {
    assert(this.freeCount < this.free.length, "A slot is released once.")
    this.free[(this.head + this.freeCount) % this.free.length] = slot
    this.freeCount++
  }
}
