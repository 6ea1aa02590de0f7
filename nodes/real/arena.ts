/**
 * The one slab in which all packets of a node lie. Sockets, devices and cryptography work on the same bytes, so a packet that arrived by
 * one leaves by the other without being copied.
 */

import { DatagramBatch } from "@horizon/core/wire/batch.ts"

/** Address space, not memory: the system gives a page when it is first written. */
const ARENA_BYTES = 64 * 1024 * 1024
const ALIGN_BYTES = 4096

interface Region {
  readonly from: number
  readonly bytes: number
}

export class Arena {
  readonly slab: Uint8Array
  private readonly taken: Array<Region> = []

  constructor(bytes: number = ARENA_BYTES) {
    this.slab = new Uint8Array(bytes)
  }

  /**
   * A batch with `roomBytes` (at least its slots) of the slab. When the slab is full it gets one of its own: then packets are copied, and
   * nothing else changes.
   */
  batch(capacity: number, slotBytes: number, roomBytes: number = 0): DatagramBatch {
    const bytes = Math.max(capacity * slotBytes, roomBytes)
    const from = this.take(Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES)
    return from < 0
      ? new DatagramBatch(capacity, slotBytes, new Uint8Array(bytes))
      : new DatagramBatch(capacity, slotBytes, this.slab, from)
  }

  /** Gives the room of a batch back. */
  release(batch: DatagramBatch): void {
    const index = this.taken.findIndex(({ from }) => batch.slab === this.slab && from === batch.from)
    if (index >= 0) this.taken.splice(index, 1)
  }

  /** First fit between what is taken; -1 = no room. */
  private take(bytes: number): number {
    let from = 0
    let index = 0
    for (; index < this.taken.length && this.taken[index].from - from < bytes; index++)
      from = this.taken[index].from + this.taken[index].bytes
    if (from + bytes > this.slab.length) return -1
    this.taken.splice(index, 0, { from, bytes })
    return from
  }
}
