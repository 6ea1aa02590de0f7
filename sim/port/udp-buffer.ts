/** The part of a socket's receive buffer that does not fit its batch: a first-in, first-out ring of datagrams. */

import { assert } from "@horizon/core/assert.ts"
import { putV4 } from "@horizon/core/wire/address.ts"
import type { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { PACKET_BYTES_MAX, type PacketPool } from "../net/packet.ts"

/** What Linux keeps beside a packet's bytes: the headers in front of them and the shared info behind, then the sk_buff. */
const HEAD_BYTES = 394
const SKB_BYTES = 256

/**
 * Memory that Linux charges to the receive buffer for a datagram (skb->truesize): its bytes and their head rounded up to a
 * power of two of at least 512, and the sk_buff. 768 for a small datagram, 2,304 for 1,200 bytes.
 */
export const bufferCostBytes = (length: number): number => {
  let block = 512
  while (block < length + HEAD_BYTES) block *= 2
  return block + SKB_BYTES
}

export class ReceiveBuffer {
  private readonly capacity: number
  private readonly slab: Uint8Array
  private readonly length: Int32Array
  private readonly source: Uint32Array
  private readonly port: Uint16Array
  private readonly ecn: Uint8Array
  private first = 0
  private count = 0

  /** As many slots as the smallest datagrams can fill `bytesMax` of memory. */
  constructor(bytesMax: number) {
    this.capacity = Math.ceil(bytesMax / bufferCostBytes(0))
    this.slab = new Uint8Array(this.capacity * PACKET_BYTES_MAX)
    this.length = new Int32Array(this.capacity)
    this.source = new Uint32Array(this.capacity)
    this.port = new Uint16Array(this.capacity)
    this.ecn = new Uint8Array(this.capacity)
  }

  push(pool: PacketPool, packet: number): void {
    assert(this.count < this.capacity, "the owner of a receive buffer bounds it by memory, which bounds its slots")
    const slot = (this.first + this.count++) % this.capacity
    const from = pool.offset(packet)
    this.slab.set(pool.slab.subarray(from, from + pool.length[packet]), slot * PACKET_BYTES_MAX)
    this.length[slot] = pool.length[packet]
    this.source[slot] = pool.source[packet]
    this.port[slot] = pool.sourcePort[packet]
    this.ecn[slot] = pool.ecn[packet]
  }

  /** Moves the oldest datagrams into the slots of `batch`, as many as fit; how many. */
  shiftInto(batch: DatagramBatch): number {
    const moved = Math.min(this.count, batch.capacity)
    for (let i = 0; i < moved; i++) {
      const slot = this.first
      this.first = (this.first + 1) % this.capacity
      const from = slot * PACKET_BYTES_MAX
      batch.slab.set(this.slab.subarray(from, from + this.length[slot]), batch.offset(i))
      batch.length[i] = this.length[slot]
      putV4(batch.address, i * 4, this.source[slot])
      batch.port[i] = this.port[slot]
      batch.ecn[i] = this.ecn[slot]
    }
    this.count -= moved
    return moved
  }
}
