/**
 * The packets of a simulated network, as parallel arrays: a packet is a small integer, and passing it on costs nothing.
 *
 * What is held is what the network looks at (the fields of the IPv4 and UDP headers) and the transport payload; header bytes
 * are made only for captures. The pool doubles up to its limit; at the limit `alloc` fails and the sender drops, as a host
 * does that is out of memory.
 */

import { assert } from "@horizon/core/assert.ts"
import { PROTOCOL_ICMP } from "@horizon/core/wire/icmp.ts"
import { TTL_DEFAULT } from "@horizon/core/wire/ipv4.ts"

/** Largest transport payload that a packet holds, in bytes. */
export const PACKET_BYTES_MAX = 2048

/** IP protocol numbers. `stream` is the simulator's reliable byte stream, which travels under TCP's number. */
export const PROTOCOL = { icmp: PROTOCOL_ICMP, stream: 6, udp: 17 } as const

/** A packet that no host sent: a router's ICMP error. */
export const NO_ORIGIN = -1

/**
 * Arrays are replaced when the pool grows, which only `alloc` does: read `pool.slab` and the columns again after each `alloc`,
 * never keep them.
 */
export class PacketPool {
  /** Source and destination IPv4 address, unsigned 32-bit. A source of 0 is filled in by the sending host. */
  source: Uint32Array
  destination: Uint32Array
  sourcePort: Uint16Array
  destinationPort: Uint16Array
  protocol: Uint8Array
  /** The two ECN bits (RFC 3168). */
  ecn: Uint8Array
  ttl: Uint8Array
  /** Payload bytes behind the transport header. */
  length: Int32Array
  /** Index of the host that sent the packet, or `NO_ORIGIN`. */
  origin: Int32Array
  /** 1 once a checksum no longer fits: the receiving host throws the packet away. */
  damaged: Uint8Array
  /** `PACKET_BYTES_MAX` bytes for each packet. */
  slab: Uint8Array
  /** The slab as 32-bit words. */
  words: Int32Array
  /** Packets that exist now, and the most that ever did. */
  used = 0
  usedMax = 0
  /** Calls of `alloc` that found the pool at its limit. */
  exhausted = 0
  private freeIds: Int32Array
  private capacity: number
  private readonly limit: number

  /** `limit` packets at most; 65,536 (128 MiB of slab when all are used) if left out. */
  constructor(limit = 65_536) {
    this.limit = limit
    this.capacity = Math.min(limit, 256)
    this.source = new Uint32Array(this.capacity)
    this.destination = new Uint32Array(this.capacity)
    this.sourcePort = new Uint16Array(this.capacity)
    this.destinationPort = new Uint16Array(this.capacity)
    this.protocol = new Uint8Array(this.capacity)
    this.ecn = new Uint8Array(this.capacity)
    this.ttl = new Uint8Array(this.capacity)
    this.length = new Int32Array(this.capacity)
    this.origin = new Int32Array(this.capacity)
    this.damaged = new Uint8Array(this.capacity)
    this.slab = new Uint8Array(this.capacity * PACKET_BYTES_MAX)
    this.words = new Int32Array(this.slab.buffer)
    this.freeIds = new Int32Array(this.capacity)
    this.refill(0)
  }

  /** A fresh packet with room for `length` payload bytes (whose content is undefined), or -1 when the pool is full. */
  alloc(length: number): number {
    assert(length >= 0 && length <= PACKET_BYTES_MAX, "a packet's payload fits its slot")
    if (this.used === this.capacity && !this.grow()) {
      this.exhausted++
      return -1
    }
    const id = this.freeIds[this.capacity - 1 - this.used]
    if (++this.used > this.usedMax) this.usedMax = this.used
    this.source[id] = 0
    this.ecn[id] = 0
    this.ttl[id] = TTL_DEFAULT
    this.length[id] = length
    this.origin[id] = NO_ORIGIN
    this.damaged[id] = 0
    return id
  }

  free(id: number): void {
    assert(this.used > 0, "a packet is freed once")
    this.used--
    this.freeIds[this.capacity - 1 - this.used] = id
  }

  /** Where the payload of packet `id` starts in `slab`. */
  offset(id: number): number {
    return id * PACKET_BYTES_MAX
  }

  /** A second packet equal to `id`, or -1 when the pool is full. */
  copy(id: number): number {
    const twin = this.alloc(this.length[id])
    if (twin < 0) return -1
    this.source[twin] = this.source[id]
    this.destination[twin] = this.destination[id]
    this.sourcePort[twin] = this.sourcePort[id]
    this.destinationPort[twin] = this.destinationPort[id]
    this.protocol[twin] = this.protocol[id]
    this.ecn[twin] = this.ecn[id]
    this.ttl[twin] = this.ttl[id]
    this.origin[twin] = this.origin[id]
    this.damaged[twin] = this.damaged[id]
    const from = this.offset(id)
    this.slab.copyWithin(this.offset(twin), from, from + this.length[id])
    return twin
  }

  /** Bytes of IP and transport header in front of the payload. */
  headerBytes(id: number): number {
    const protocol = this.protocol[id]
    return protocol === PROTOCOL.udp ? 28 : protocol === PROTOCOL.stream ? 40 : 20
  }

  /** IP total length: what rates, queues and MTUs count. */
  bytes(id: number): number {
    return this.length[id] + this.headerBytes(id)
  }

  /** The payload as a view: for tests, captures and checks, not for the packet path. */
  payload(id: number): Uint8Array {
    return this.slab.subarray(this.offset(id), this.offset(id) + this.length[id])
  }

  private grow(): boolean {
    const before = this.capacity
    if (before === this.limit) return false
    this.capacity = Math.min(this.limit, before * 2)
    this.source = widen(this.source, new Uint32Array(this.capacity))
    this.destination = widen(this.destination, new Uint32Array(this.capacity))
    this.sourcePort = widen(this.sourcePort, new Uint16Array(this.capacity))
    this.destinationPort = widen(this.destinationPort, new Uint16Array(this.capacity))
    this.protocol = widen(this.protocol, new Uint8Array(this.capacity))
    this.ecn = widen(this.ecn, new Uint8Array(this.capacity))
    this.ttl = widen(this.ttl, new Uint8Array(this.capacity))
    this.length = widen(this.length, new Int32Array(this.capacity))
    this.origin = widen(this.origin, new Int32Array(this.capacity))
    this.damaged = widen(this.damaged, new Uint8Array(this.capacity))
    this.slab = widen(this.slab, new Uint8Array(this.capacity * PACKET_BYTES_MAX))
    this.words = new Int32Array(this.slab.buffer)
    this.freeIds = new Int32Array(this.capacity)
    this.refill(before)
    return true
  }

  /** Makes the ids from `first` on free; the lowest is given out first. Only called when no other id is free. */
  private refill(first: number): void {
    for (let id = first; id < this.capacity; id++) this.freeIds[this.capacity - 1 - id] = id
  }
}

const widen = <A extends Uint32Array | Uint16Array | Uint8Array | Int32Array>(from: A, to: A): A => {
  to.set(from)
  return to
}
