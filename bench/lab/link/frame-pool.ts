/** Frames on their way through links: slots of a slab that are taken and given back, and nothing is allocated for a frame. */

import type { DatagramBatch } from "@horizon/core/wire/batch.ts"

export class FramePool {
  readonly slab: Uint8Array
  /** Bytes of each frame. */
  readonly length: Int32Array
  private readonly slots: DatagramBatch
  private readonly free: Int32Array
  private freeCount: number

  /** The frames lie in the slots of `slots`, which belongs to the pool. */
  constructor(slots: DatagramBatch) {
    this.slots = slots
    this.slab = slots.slab
    this.length = slots.length
    this.free = Int32Array.from({ length: slots.capacity }, (_, i) => slots.capacity - 1 - i)
    this.freeCount = slots.capacity
  }

  /** Frames that are out. */
  get used(): number {
    return this.slots.capacity - this.freeCount
  }

  /** Where a frame lies in the slab. */
  offset(frame: number): number {
    return this.slots.offset(frame)
  }

  /** A slot for a frame of `length` bytes, or -1 if all are out or it is too long. */
  take(length: number): number {
    if (this.freeCount === 0 || length > this.slots.slotBytes) return -1
    const frame = this.free[--this.freeCount]
    this.length[frame] = length
    return frame
  }

  /** A slot with the bytes of a frame that lies elsewhere, or -1. */
  copyIn(bytes: Uint8Array, at: number, length: number): number {
    const frame = this.take(length)
    if (frame < 0) return -1
    const to = this.offset(frame)
    if (bytes === this.slab) this.slab.copyWithin(to, at, at + length)
    else for (let i = 0; i < length; i++) this.slab[to + i] = bytes[at + i]
    return frame
  }

  give(frame: number): void {
    this.free[this.freeCount++] = frame
  }
}
