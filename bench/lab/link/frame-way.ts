/** One way of one link on real frames: core/link decides, this moves the bytes. */

import { Link, type LinkSink } from "@horizon/core/link/link.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import type { Outbox } from "@horizon/core/wire/batch.ts"
import { Rng } from "@horizon/sim/kernel/rng.ts"
import type { LinkCount } from "../link-driver.ts"
import { ETHERNET_HEADER_BYTES, ecnOf, isIpv4Frame, markCe, putTooBig, TOO_BIG_BYTES_MAX } from "./ether.ts"
import type { FramePool } from "./frame-pool.ts"

/** What a way needs of the process that it is in. */
export interface WayHost {
  readonly pool: FramePool
  /** Calls `leave` of this way with the frame at `atNs`. */
  readonly later: (way: number, frame: number, atNs: number) => void
  /** Calls `wake` of this way at `atNs` or before. */
  readonly wakeAt: (way: number, atNs: number) => void
  /** The frame has been put into an outbox: its slot is free after the flush. */
  readonly sent: (frame: number) => void
}

export class FrameWay implements LinkSink {
  private readonly index: number
  private readonly host: WayHost
  /** Towards the far end, and back to the sender, for answers about its packets. */
  private readonly out: Outbox
  private readonly back: Outbox
  private readonly link: Link
  /** Frames that are not IPv4 (ARP): they pass untouched, because a LinkSpec speaks of packets. */
  private others = 0
  private otherBytes = 0
  /** Frames for which the pool had no room. */
  private overflows = 0

  constructor(index: number, name: string, seed: number, spec: LinkSpec, host: WayHost, out: Outbox, back: Outbox) {
    this.index = index
    this.host = host
    this.out = out
    this.back = back
    this.link = new Link(spec, (stage) => new Rng(seed, `net/${name}/${stage}`), this)
  }

  /** A frame comes in; its bytes are used or copied before the next flush. */
  enter(nowNs: number, bytes: Uint8Array, at: number, length: number): void {
    if (!isIpv4Frame(bytes, at, length)) {
      this.others++
      this.otherBytes += length - ETHERNET_HEADER_BYTES
      this.out.copy(bytes, at, length)
      return
    }
    const frame = this.host.pool.copyIn(bytes, at, length)
    if (frame < 0) {
      this.overflows++
      return
    }
    this.serve(nowNs)
    this.link.offer(nowNs, frame, length - ETHERNET_HEADER_BYTES, ecnOf(bytes, at) !== 0)
    this.arm()
  }

  /** The frame's time has come. */
  leave(frame: number): void {
    const { pool } = this.host
    this.out.copy(pool.slab, pool.offset(frame), pool.length[frame])
    this.host.sent(frame)
  }

  /** Does what the link has to do at `nowNs`. */
  wake(nowNs: number): void {
    this.serve(nowNs)
    this.arm()
  }

  /** Throws an assertion if the spec is none. */
  configure(nowNs: number, spec: LinkSpec): void {
    this.serve(nowNs)
    this.link.configure(nowNs, spec)
    this.arm()
  }

  count(): LinkCount {
    const { counters } = this.link
    return {
      packets: counters.delivered + this.others,
      bytes: counters.bytes + this.otherBytes,
      dropped: counters.drops.reduce((sum, count) => sum + count, this.overflows),
      overrun: this.overflows,
      duplicated: counters.duplicated,
      reordered: counters.reordered,
      corrupted: counters.corrupted,
      marked: counters.marked
    }
  }

  // --- LinkSink

  /** Even what may leave at once waits for its turn: others that are due may still be there, if this process is late. */
  deliver(frame: number, atNs: number): void {
    this.host.later(this.index, frame, atNs)
  }

  drop(frame: number): void {
    this.host.pool.give(frame)
  }

  copy(frame: number): number {
    const { pool } = this.host
    return pool.copyIn(pool.slab, pool.offset(frame), pool.length[frame])
  }

  /** Of the packet, not of the Ethernet header: the far end must get it, and find it damaged. */
  flipBit(frame: number, bit: number): void {
    const { pool } = this.host
    pool.slab[pool.offset(frame) + ETHERNET_HEADER_BYTES + (bit >>> 3)] ^= 1 << (bit & 7)
  }

  truncate(frame: number, bytes: number): void {
    this.host.pool.length[frame] = ETHERNET_HEADER_BYTES + bytes
  }

  markCe(frame: number): void {
    const { pool } = this.host
    markCe(pool.slab, pool.offset(frame))
  }

  tooBig(frame: number, mtuBytes: number): void {
    const { pool } = this.host
    const answer = pool.take(TOO_BIG_BYTES_MAX)
    if (answer < 0) return
    pool.length[answer] = putTooBig(pool.slab, pool.offset(answer), pool.slab, pool.offset(frame), mtuBytes)
    this.back.copy(pool.slab, pool.offset(answer), pool.length[answer])
    this.host.sent(answer)
  }

  /** Each timeout at its own time, however late this process is: else a shaper would stand idle meanwhile, and send less than its rate. */
  private serve(nowNs: number): void {
    for (let dueNs = this.link.pollTimeout(); dueNs <= nowNs; dueNs = this.link.pollTimeout())
      this.link.handleTimeout(dueNs)
  }

  private arm(): void {
    const atNs = this.link.pollTimeout()
    if (atNs < Number.POSITIVE_INFINITY) this.host.wakeAt(this.index, atNs)
  }
}
