/**
 * Caller-owned packet slots.
 *
 * A batch is one slab of bytes and a few parallel arrays that describe what lies in each slot. It is allocated once,
 * when a socket is opened, and reused for ever: a packet costs no allocation and a batch crosses to a socket (or into
 * the native module) in one call.
 *
 * Several batches may lie in one slab. Then a packet that came in by one of them can go out by another without being copied: the
 * outgoing slot just starts where the packet lies.
 */

import type { BatchSealer } from "../crypto/batch.ts"
import { formatAddress } from "./address.ts"

/** Largest UDP datagram that a slot holds by default: a jumbo-free Ethernet frame with room to spare, in bytes. */
export const SLOT_BYTES = 2048

/** Default number of slots in a batch. */
export const BATCH_SLOTS = 64

/** N datagrams (or IP packets, or Ethernet frames: then address, port and ecn are unused) as parallel arrays. */
export class DatagramBatch {
  /** Number of slots. */
  readonly capacity: number
  /** Most bytes that a slot holds. */
  readonly slotBytes: number
  readonly slab: Uint8Array
  /** Where the batch's own part of the slab starts, and where it ends. */
  readonly from: number
  readonly to: number
  /**
   * Where each slot starts in the slab: at first one behind the other, `slotBytes` apart. A socket that receives sets it as the bytes came;
   * an outbox packs what it sends.
   */
  readonly start: Uint32Array
  /** Bytes used in each slot. */
  readonly length: Int32Array
  /** Peer address of each slot, four words a slot (see address.ts): source when received, destination when sent. */
  readonly address: Uint32Array
  /** Peer port of each slot. */
  readonly port: Uint16Array
  /** The two ECN bits of the IP header (RFC 3168) of each slot. */
  readonly ecn: Uint8Array

  /** In a slab of its own, or in the `capacity * slotBytes` bytes at `from` of a given one. */
  constructor(capacity: number = BATCH_SLOTS, slotBytes: number = SLOT_BYTES, slab?: Uint8Array, from: number = 0) {
    this.capacity = capacity
    this.slotBytes = slotBytes
    this.slab = slab ?? new Uint8Array(capacity * slotBytes)
    this.from = from
    this.to = from + capacity * slotBytes
    this.start = Uint32Array.from({ length: capacity }, (_, index) => from + index * slotBytes)
    this.length = new Int32Array(capacity)
    this.address = new Uint32Array(capacity * 4)
    this.port = new Uint16Array(capacity)
    this.ecn = new Uint8Array(capacity)
  }

  /** Where slot `index` starts in the slab. */
  offset(index: number): number {
    return this.start[index]
  }

  /** The used bytes of slot `index`, as a view: for tests, events and errors, not for the packet path. */
  view(index: number): Uint8Array {
    const at = this.start[index]
    return this.slab.subarray(at, at + this.length[index])
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
 * given out again. Slots are packed one behind the other, so that a run of them is one piece of memory.
 */
export class Outbox {
  readonly batch: DatagramBatch
  /** Slots committed since the last flush. */
  count = 0
  /** Seals what was committed unsealed, all at once, before it is sent; `undefined`: machines seal as they write. */
  readonly sealer: BatchSealer | undefined
  private readonly send: (count: number) => void
  /** Where the next slot starts in the slab. */
  private cursor: number

  /** `send` hands the first `count` slots of `batch` to the socket before it returns. */
  constructor(batch: DatagramBatch, send: (count: number) => void, sealer?: BatchSealer) {
    this.batch = batch
    this.send = send
    this.sealer = sealer
    this.cursor = batch.from
  }

  /** Index of a free slot of `slotBytes`; flushes first if there is none. */
  next(): number {
    const { batch } = this
    if (this.count === batch.capacity || this.cursor + batch.slotBytes > batch.to) this.flush()
    batch.start[this.count] = this.cursor
    return this.count
  }

  /** Takes the slot that `next` gave, with `length` bytes in it. */
  commit(length: number): void {
    this.batch.length[this.count] = length
    // On a word's border, because some sockets copy by words.
    this.cursor += (length + 3) & ~3
    this.count++
  }

  /**
   * Commits a slot with the `length` bytes of `bytes` at `at`, at most `slotBytes`. Bytes of the same slab are not copied, the slot just starts
   * there: they must stay as they are until the flush, as what a socket received does until its handler returns.
   */
  copy(bytes: Uint8Array, at: number, length: number): void {
    const { batch } = this
    if (bytes === batch.slab) {
      if (this.count === batch.capacity) this.flush()
      batch.start[this.count] = at
      batch.length[this.count] = length
      this.count++
      return
    }
    const to = batch.offset(this.next())
    // A loop, because `set` would need a view of the bytes, which is an allocation for each packet.
    for (let i = 0; i < length; i++) batch.slab[to + i] = bytes[at + i]
    this.commit(length)
  }

  /** Seals what waits to be sealed, and sends nothing: before a key goes away. */
  seal(): void {
    this.sealer?.run()
  }

  /** Hands over what was committed. */
  flush(): void {
    if (this.count === 0) return
    this.seal()
    const count = this.count
    this.count = 0
    this.cursor = this.batch.from
    this.send(count)
  }
}
