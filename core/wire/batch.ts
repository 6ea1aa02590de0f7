/**
 * Caller-owned packet slots.
 *
 * A batch is one slab of bytes and a few parallel arrays that describe what lies in each slot. It is allocated once,
 * when a socket is opened, and reused for ever: a packet costs no allocation and a batch crosses to a socket (or into
 * the native module) in one call.
 */

import { formatAddress } from "./address.ts"

/** Largest UDP datagram that a slot holds by default: a jumbo-free Ethernet frame with room to spare, in bytes. */
export const SLOT_BYTES = 2048

/** Default number of slots in a batch. */
export const BATCH_SLOTS = 64

/** N datagrams (or IP packets, or Ethernet frames: then address, port and ecn are unused) as parallel arrays. */
export class DatagramBatch {
  /** Number of slots. */
  readonly capacity: number
  /** Bytes in each slot; slot i starts at `i * slotBytes` of `slab`. */
  readonly slotBytes: number
  readonly slab: Uint8Array
  /** Bytes used in each slot. */
  readonly length: Int32Array
  /** Peer address of each slot, four words a slot (see address.ts): source when received, destination when sent. */
  readonly address: Uint32Array
  /** Peer port of each slot. */
  readonly port: Uint16Array
  /** The two ECN bits of the IP header (RFC 3168) of each slot. */
  readonly ecn: Uint8Array

  constructor(capacity: number = BATCH_SLOTS, slotBytes: number = SLOT_BYTES) {
    this.capacity = capacity
    this.slotBytes = slotBytes
    this.slab = new Uint8Array(capacity * slotBytes)
    this.length = new Int32Array(capacity)
    this.address = new Uint32Array(capacity * 4)
    this.port = new Uint16Array(capacity)
    this.ecn = new Uint8Array(capacity)
  }

  /** Where slot `index` starts in the slab. */
  offset(index: number): number {
    return index * this.slotBytes
  }

  /** The used bytes of slot `index`, as a view: for tests, events and errors, not for the packet path. */
  view(index: number): Uint8Array {
    const start = index * this.slotBytes
    return this.slab.subarray(start, start + this.length[index])
  }

  /** The peer of slot `index` as text: for events and errors, not for the packet path. */
  peer(index: number): { address: string; port: number } {
    return { address: formatAddress(this.address, index * 4), port: this.port[index] }
  }

  /** Copies the peer (address and port) of slot `from` in `source` to slot `to` here. */
  copyPeer(to: number, source: DatagramBatch, from: number): void {
    const a = to * 4
    const b = from * 4
    this.address[a] = source.address[b]
    this.address[a + 1] = source.address[b + 1]
    this.address[a + 2] = source.address[b + 2]
    this.address[a + 3] = source.address[b + 3]
    this.port[to] = source.port[from]
  }
}

/**
 * Where a machine writes what it wants sent: slots of a batch, handed to the socket when they run out or when the shell
 * flushes. A machine asks for a slot with `next`, fills it in place and calls `commit`; a slot that was not committed is
 * given out again.
 */
export class Outbox {
  readonly batch: DatagramBatch
  /** Slots committed since the last flush. */
  count = 0
  private readonly send: (count: number) => void

  /** `send` hands the first `count` slots of `batch` to the socket before it returns. */
  constructor(batch: DatagramBatch, send: (count: number) => void) {
    this.batch = batch
    this.send = send
  }

  /** Index of a free slot; flushes first if there is none. */
  next(): number {
    if (this.count === this.batch.capacity) this.flush()
    return this.count
  }

  /** Takes the slot that `next` gave, with `length` bytes in it. */
  commit(length: number): void {
    this.batch.length[this.count] = length
    this.count++
  }

  /** Hands over what was committed. */
  flush(): void {
    if (this.count === 0) return
    const count = this.count
    this.count = 0
    this.send(count)
  }
}
