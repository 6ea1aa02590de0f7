/** A bounded queue of packets in preallocated slots: what a socket or a device holds between two reads. */

import { BATCH_SLOTS, DatagramBatch, SLOT_BYTES } from "@horizon/core/wire/batch.ts"

/** Packets that wait for a device or a socket at most, if its user does not read. */
export const QUEUE_PACKETS = 4 * BATCH_SLOTS

export class PacketRing {
  /** Packets that wait. */
  count = 0
  /** Packets refused because the queue was full, or they too long for a slot. */
  refused = 0
  readonly slots: DatagramBatch
  private head = 0

  constructor(capacity: number = QUEUE_PACKETS, slotBytes: number = SLOT_BYTES) {
    this.slots = new DatagramBatch(capacity, slotBytes)
  }

  /** Index of the slot to fill for a packet of `length` bytes, which is then in the queue; -1 if it is full or the packet too long. */
  push(length: number): number {
    const { slots } = this
    if (this.count === slots.capacity || length > slots.slotBytes) {
      this.refused++
      return -1
    }
    const index = (this.head + this.count++) % slots.capacity
    slots.length[index] = length
    return index
  }

  /** Moves the oldest packets into `batch`; how many. */
  moveTo(batch: DatagramBatch): number {
    const { slots } = this
    const moved = Math.min(this.count, batch.capacity)
    for (let to = 0; to < moved; to++) {
      const from = this.head
      const at = slots.offset(from)
      batch.slab.set(slots.slab.subarray(at, at + slots.length[from]), batch.offset(to))
      batch.length[to] = slots.length[from]
      batch.ecn[to] = slots.ecn[from]
      batch.copyPeer(to, slots, from)
      this.head = (from + 1) % slots.capacity
    }
    this.count -= moved
    return moved
  }

  /** Throws away what waits. */
  clear(): void {
    this.count = 0
  }
}
