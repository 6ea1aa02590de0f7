/**
 * One direction of a network link as a pure machine: packets and the time go in, deliveries and drops come out through a
 * sink. It reads no clock and holds no bytes; a packet is a number that the sink understands.
 *
 * The stages and their order are fixed: classify (ordinal, administrative state), loss, corrupt, truncate, duplicate,
 * queue and shaper, propagation, jitter, MTU. A stage that is not configured draws nothing, and each stage has a random
 * stream of its own that it draws from for every packet it could see, so switching one stage on shifts no other's
 * decisions.
 *
 * A droptail link needs no events: a departure is known when the packet enters, so its delivery is told at once. Only
 * CoDel, which judges a packet when it leaves the queue, holds packets and asks for a timeout.
 */

import { assert } from "../assert.ts"
import { Codel } from "./codel.ts"
import { DelayLine } from "./delay-line.ts"
import { LINK_DROP, LINK_DROP_NAMES, LossStage } from "./loss.ts"
import { chanceLimit, position, type Uniform } from "./probability.ts"
import { Occupancy, PacketQueue } from "./queue.ts"
import { Shaper } from "./shaper.ts"
import type { LinkSpec } from "./spec.ts"
import { linkFieldProblems } from "./validate.ts"

export { LINK_DROP, LINK_DROP_NAMES } from "./loss.ts"

/** Where packets leave the link. Its functions must not call back into the same link. */
export interface LinkSink {
  /** The packet leaves the link at `atNs` (now or later); the sink schedules it. The link's `last…Ns` fields belong to it. */
  deliver(packet: number, atNs: number): void
  /** The packet is gone; `reason` is one of `LINK_DROP`. */
  drop(packet: number, reason: number): void
  /** A copy of the packet under a new number, or -1 if there is no room. */
  copy(packet: number): number
  /** Inverts bit `bit` of the packet's bytes. */
  flipBit(packet: number, bit: number): void
  /** Cuts the packet to its first `bytes` bytes. */
  truncate(packet: number, bytes: number): void
  /** Sets Congestion Experienced; only called for ECN-capable packets. */
  markCe(packet: number): void
  /** An answer is due to the sender of a packet above the MTU, which is dropped next. */
  tooBig(packet: number, mtuBytes: number): void
}

/** What a link did. `offered + duplicated = delivered + all drops + heldPackets`, always. */
export interface LinkCounters {
  offered: number
  delivered: number
  /** Bytes delivered, without framing. */
  bytes: number
  /** Indexed by `LINK_DROP`. */
  readonly drops: Float64Array
  /** Copies made; `copyFailed` counts those for which the sink had no room. */
  duplicated: number
  copyFailed: number
  corrupted: number
  truncated: number
  /** Packets that left before one that had entered earlier. */
  readonly reordered: number
  /** Packets marked Congestion Experienced. */
  marked: number
}

export class Link {
  readonly counters: LinkCounters
  /** How long the last packet waited for the shaper. */
  lastQueueNs = 0
  /** From the last packet's first bit to its last. */
  lastSerialisationNs = 0
  /** What propagation and jitter added to the last packet; jitter may be negative. */
  lastPropagationNs = 0
  lastJitterNs = 0

  private readonly random: (stage: string) => Uniform
  private readonly sink: LinkSink
  private readonly loss: LossStage
  private readonly shaper = new Shaper()
  private readonly waiting = new Occupancy()
  private readonly held = new PacketQueue()
  private readonly codel: Codel
  private readonly line: DelayLine
  private nowNs = 0
  private isDown = false
  /** Whether any stage before the queue is configured. */
  private impaired = false
  private corruptRandom: Uniform | null = null
  private corruptLimit = 0
  private truncateRandom: Uniform | null = null
  private truncateLimit = 0
  private duplicateRandom: Uniform | null = null
  private duplicateLimit = 0
  private packetsMax = 0
  private bytesMax = 0
  private lawful = false
  private mtuBytes = 0
  private mtuAnswer = false

  /**
   * `random` gives the stream of a stage; it is asked once for each stage, when that is first configured. The stages are
   * `loss`, `burst-loss`, `corrupt`, `truncate`, `duplicate`, `jitter` and `reorder`.
   */
  constructor(spec: LinkSpec, random: (stage: string) => Uniform, sink: LinkSink) {
    this.random = random
    this.sink = sink
    this.loss = new LossStage(random)
    const line = new DelayLine(random)
    this.line = line
    this.codel = new Codel(this.held, {
      codelDrop: (packet) => this.drop(packet, LINK_DROP.codel),
      codelMark: (packet) => {
        this.counters.marked++
        this.sink.markCe(packet)
      }
    })
    this.counters = {
      offered: 0,
      delivered: 0,
      bytes: 0,
      drops: new Float64Array(LINK_DROP_NAMES.length),
      duplicated: 0,
      copyFailed: 0,
      corrupted: 0,
      truncated: 0,
      get reordered() {
        return line.reordered
      },
      marked: 0
    }
    this.configure(0, spec)
  }

  /** Packets that wait for the shaper, as of the last `offer` or `handleTimeout`. */
  get queuePackets(): number {
    return this.waiting.packets + this.held.packets
  }

  /** Their bytes, without framing. */
  get queueBytes(): number {
    return this.waiting.bytes + this.held.bytes
  }

  /** Packets whose fate the sink does not know yet. */
  get heldPackets(): number {
    return this.held.packets
  }

  /**
   * Takes a new spec over. What waits in the queue stays, in its order. A departure that the sink already knows stands, as
   * in netem: a droptail backlog drains at the rate it was queued for. Ask `pollTimeout` again afterwards.
   */
  configure(nowNs: number, spec: LinkSpec): void {
    const problems = linkFieldProblems(spec)
    if (problems.length > 0) assert(false, `a link gets only a valid spec: ${problems.join("; ")}`)
    this.advance(nowNs)
    this.loss.configure(spec)
    this.corruptLimit = chanceLimit(spec.corruptPpm)
    if (this.corruptLimit > 0) this.corruptRandom ??= this.random("corrupt")
    this.truncateLimit = chanceLimit(spec.truncatePpm)
    if (this.truncateLimit > 0) this.truncateRandom ??= this.random("truncate")
    this.duplicateLimit = chanceLimit(spec.duplicatePpm)
    if (this.duplicateLimit > 0) this.duplicateRandom ??= this.random("duplicate")
    this.impaired = this.loss.active || this.corruptLimit > 0 || this.truncateLimit > 0 || this.duplicateLimit > 0
    this.shaper.configure(nowNs, spec)
    this.configureQueue(spec)
    this.line.configure(spec)
    this.mtuBytes = spec.mtuBytes
    this.mtuAnswer = spec.mtuAnswer
  }

  private configureQueue(spec: LinkSpec): void {
    const { queue } = spec
    this.packetsMax = queue.packetsMax
    this.bytesMax = queue.bytesMax
    const lawful = queue.kind === "codel"
    if (lawful && !this.lawful) this.codel.reset()
    this.lawful = lawful
    if (lawful) this.codel.configure(queue.targetUs * 1000, queue.intervalUs * 1000, queue.ecn, spec.mtuBytes)
  }

  /** Takes the link down or up. What it had accepted before still leaves. */
  setDown(down: boolean): void {
    this.isDown = down
  }

  /** A packet of `bytes` enters at `nowNs`. Times never go back from one call to the next. */
  offer(nowNs: number, packet: number, bytes: number, ecnCapable: boolean): void {
    this.advance(nowNs)
    const ordinal = this.counters.offered++
    if (this.isDown) this.drop(packet, LINK_DROP.down)
    else if (this.impaired) this.impair(nowNs, packet, bytes, ecnCapable, ordinal)
    else this.enqueue(nowNs, packet, bytes, ecnCapable)
  }

  /** When the link next has something to do: only a link that holds packets (CoDel) does. Integer ns, or `Infinity`. */
  pollTimeout(): number {
    if (this.held.packets === 0) return Number.POSITIVE_INFINITY
    this.shaper.ready(this.nowNs)
    return this.shaper.startNs
  }

  /** Does what is due at `nowNs`. Harmless when nothing is: then it only brings `queuePackets` up to date. */
  handleTimeout(nowNs: number): void {
    this.advance(nowNs)
    this.drain(nowNs)
  }

  private advance(nowNs: number): void {
    assert(nowNs >= this.nowNs, "time on a link never goes back")
    this.nowNs = nowNs
    if (this.waiting.packets > 0) this.waiting.expire(nowNs)
  }

  /** Loss to duplication. All draws come first and for every packet, whatever becomes of it. */
  private impair(nowNs: number, packet: number, bytes: number, ecnCapable: boolean, ordinal: number): void {
    const reason = this.loss.active ? this.loss.verdict(ordinal) : 0
    const flip = this.corruptLimit > 0 ? strike(this.corruptRandom!, this.corruptLimit) : -1
    const cut = this.truncateLimit > 0 ? strike(this.truncateRandom!, this.truncateLimit) : -1
    const twice = this.duplicateLimit > 0 && this.duplicateRandom!.u32() < this.duplicateLimit
    if (reason !== 0) {
      this.drop(packet, reason)
      return
    }
    if (flip >= 0 && bytes > 0) {
      this.counters.corrupted++
      this.sink.flipBit(packet, position(flip, bytes * 8))
    }
    if (cut >= 0 && bytes > 1) {
      bytes = 1 + position(cut, bytes - 1)
      this.counters.truncated++
      this.sink.truncate(packet, bytes)
    }
    // The copy is made before the original moves on, because a drop ends the original.
    const copy = twice ? this.sink.copy(packet) : -1
    this.enqueue(nowNs, packet, bytes, ecnCapable)
    if (copy >= 0) {
      this.counters.duplicated++
      this.enqueue(nowNs, copy, bytes, ecnCapable)
    } else if (twice) this.counters.copyFailed++
  }

  private enqueue(nowNs: number, packet: number, bytes: number, ecnCapable: boolean): void {
    // Packets that CoDel held go first even if the queue has become droptail meanwhile.
    if (this.lawful || this.held.packets > 0) {
      this.hold(nowNs, packet, bytes, ecnCapable)
      return
    }
    this.shaper.ready(nowNs)
    if (this.shaper.startNs > nowNs) {
      if (!this.hasRoom(bytes)) {
        this.drop(packet, LINK_DROP.queueFull)
        return
      }
      this.waiting.push(this.shaper.startNs, bytes)
    }
    this.send(packet, bytes, nowNs)
  }

  /** What is due at this very time leaves first, so that it does not matter whether the timeout or the packet came first. */
  private hold(nowNs: number, packet: number, bytes: number, ecnCapable: boolean): void {
    this.drain(nowNs)
    this.shaper.ready(nowNs)
    const waits = this.held.packets > 0 || this.shaper.startNs > nowNs
    if (waits && !this.hasRoom(bytes)) {
      this.drop(packet, LINK_DROP.queueFull)
      return
    }
    this.held.push(nowNs, packet, bytes, ecnCapable)
    if (!waits) this.drain(nowNs)
  }

  private hasRoom(bytes: number): boolean {
    return this.queuePackets < this.packetsMax && this.queueBytes + bytes <= this.bytesMax
  }

  /** Sends held packets while the shaper can start now. */
  private drain(nowNs: number): void {
    const { held, shaper } = this
    while (held.packets > 0) {
      shaper.ready(nowNs)
      if (shaper.startNs > nowNs) return
      if (this.lawful) this.codel.dequeue(nowNs)
      else held.take()
      this.send(held.takenPacket, held.takenBytes, held.takenEnqueuedNs)
    }
  }

  /** Serialisation to MTU of a packet that has been here since `enteredNs`, from when the shaper is ready. */
  private send(packet: number, bytes: number, enteredNs: number): void {
    const { shaper, line } = this
    shaper.serve(bytes, shaper.startNs > enteredNs)
    line.pass(shaper)
    assert(line.exitNs <= Number.MAX_SAFE_INTEGER, "a time on a link is below 2^53 ns")
    this.lastQueueNs = shaper.startNs - enteredNs
    this.lastSerialisationNs = shaper.departNs - shaper.startNs
    this.lastPropagationNs = line.propagationNs
    this.lastJitterNs = line.jitterNs
    if (this.mtuBytes > 0 && bytes > this.mtuBytes) {
      if (this.mtuAnswer) this.sink.tooBig(packet, this.mtuBytes)
      this.drop(packet, LINK_DROP.mtu)
      return
    }
    this.counters.delivered++
    this.counters.bytes += bytes
    this.sink.deliver(packet, line.exitNs)
  }

  private drop(packet: number, reason: number): void {
    this.counters.drops[reason]++
    this.sink.drop(packet, reason)
  }
}

/** With the given chance a second uniform word, which says where the damage is; else -1. */
const strike = (random: Uniform, limit: number): number => (random.u32() < limit ? random.u32() : -1)
