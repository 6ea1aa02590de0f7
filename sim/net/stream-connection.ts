/** One end of a byte stream: ties the sending and the receiving machine to packets, a timer and the process that owns it. */

import { assert } from "@horizon/core/assert.ts"
import type { Process } from "../kernel/process.ts"
import type { SimHost } from "./host.ts"
import { PROTOCOL } from "./packet.ts"
import type { Acceptor, Stream, StreamEnd, StreamHandler } from "./stream.ts"
import { StreamReceiver } from "./stream-receiver.ts"
import {
  SEGMENT,
  SEGMENT_HEADER_BYTES,
  SEGMENT_OVERHEAD_BYTES,
  segmentAcknowledgement,
  segmentFlags,
  segmentSequence,
  segmentWindowBytes,
  writeSegment
} from "./stream-segment.ts"
import { StreamSender } from "./stream-sender.ts"

/** Silence after which the peer is asked whether it is there, and after which it is taken for dead. */
export const KEEP_ALIVE_NS = { probe: 30e9, every: 5e9, dead: 60e9 } as const

export interface ConnectionOptions {
  readonly host: SimHost
  readonly owner: Process
  readonly localPort: number
  readonly remoteAddress: number
  readonly remotePort: number
  /** Sequence number of the own SYN. */
  readonly firstSequence: number
  /** Called once, when nothing will happen any more. */
  readonly onGone: () => void
}

/** `ending`: the application's last word, `onClose`, waits until the process can hear it. */
type State = "opening" | "open" | "ending" | "gone"

export class StreamConnection implements Stream {
  readonly remoteAddress: number
  readonly remotePort: number
  private readonly host: SimHost
  private readonly owner: Process
  private readonly localPort: number
  private readonly firstSequence: number
  private readonly onGone: () => void
  private readonly sender: StreamSender
  private readonly receiver = new StreamReceiver()
  private state: State = "opening"
  private handler: StreamHandler | undefined
  private acceptor: Acceptor | undefined
  private peerSequence = -1
  private ackDue = false
  private openTold = false
  private endTold = false
  private ended: StreamEnd = "closed"
  private deliveryPending = false
  private heardNs: number
  private probedNs = 0
  private timerNs = Number.POSITIVE_INFINITY
  private cancelTimer: () => void = () => {}

  constructor(options: ConnectionOptions) {
    this.host = options.host
    this.owner = options.owner
    this.localPort = options.localPort
    this.remoteAddress = options.remoteAddress
    this.remotePort = options.remotePort
    this.firstSequence = options.firstSequence
    this.onGone = options.onGone
    this.heardNs = this.nowNs()
    this.sender = new StreamSender(this.nowNs())
  }

  /** Starts the handshake from this side. */
  connect(handler: StreamHandler): void {
    this.handler = handler
    this.transmit()
  }

  /** Answers the SYN in `packet`; the acceptor is asked for a handler when the handshake is complete. */
  accept(packet: number, acceptor: Acceptor): void {
    this.acceptor = acceptor
    this.handleSegment(packet)
  }

  send(bytes: Uint8Array): boolean {
    if (this.state === "ending" || this.state === "gone") return false
    const taken = this.sender.enqueue(bytes)
    this.transmit()
    return taken
  }

  end(): void {
    if (this.state === "ending" || this.state === "gone") return
    this.sender.finish()
    this.transmit()
    this.closeIfDone()
  }

  abort(): void {
    if (this.state === "open" || this.state === "opening") this.emit(SEGMENT.reset | SEGMENT.ack, this.sender.acked, 0)
    this.vanish()
  }

  /** Ends without a word to anybody. */
  vanish(): void {
    if (this.state === "gone") return
    this.state = "gone"
    this.cancelTimer()
    this.onGone()
  }

  handleSegment(packet: number): void {
    if (this.state === "ending") return
    const { pool } = this.host.network
    const flags = segmentFlags(pool, packet)
    const sequence = segmentSequence(pool, packet)
    if ((flags & SEGMENT.reset) !== 0) return this.handleResetSegment(packet, flags, sequence)
    if ((flags & SEGMENT.syn) !== 0 && !this.handleSyn(sequence)) return this.acknowledge()
    if (this.peerSequence < 0) return
    this.heardNs = this.nowNs()
    const length = pool.length[packet] - SEGMENT_HEADER_BYTES
    const bare = length === 0 && (flags & (SEGMENT.syn | SEGMENT.fin | SEGMENT.probe)) === 0
    if ((flags & SEGMENT.ack) !== 0) this.handleAck(packet, bare)
    // SYN carries no data here, so data starts at the sequence itself.
    const offset = this.receiver.next + ((sequence - this.peerSequence - this.receiver.next) | 0)
    if (length > 0) this.receiver.handleData(offset, pool.slab, pool.offset(packet) + SEGMENT_HEADER_BYTES, length)
    if ((flags & SEGMENT.fin) !== 0) this.receiver.handleFin(offset + length)
    if (!bare) this.ackDue = true
    this.deliver()
    this.transmit()
    this.closeIfDone()
  }

  /** The peer has no such connection, by RST or by ICMP. */
  handleReset(): void {
    if (this.state === "ending" || this.state === "gone") return
    // After both sides have said all, a reset only means that the peer has forgotten sooner.
    const complete = this.receiver.finished && this.endTold
    this.close(this.state === "opening" ? "refused" : complete ? "closed" : "reset")
  }

  handleMtu(mtuBytes: number): void {
    this.sender.handleMtu(mtuBytes, SEGMENT_OVERHEAD_BYTES)
    this.transmit()
  }

  private handleResetSegment(packet: number, flags: number, sequence: number): void {
    const { pool } = this.host.network
    if (this.peerSequence < 0) {
      // RFC 9293 §3.10.7.3: only a reset that acknowledges the SYN counts.
      const acknowledgement = segmentAcknowledgement(pool, packet)
      if ((flags & SEGMENT.ack) !== 0 && acknowledgement === wrap(this.firstSequence + 1)) this.handleReset()
      return
    }
    const offset = (sequence - this.peerSequence - this.receiver.next) | 0
    if (offset >= 0 && offset <= this.receiver.windowBytes()) this.handleReset()
  }

  /** False if it is the SYN of another connection: an old duplicate, or a peer that has forgotten this one. */
  private handleSyn(sequence: number): boolean {
    if (this.peerSequence >= 0) return sequence === this.peerSequence
    this.peerSequence = sequence
    this.receiver.handleSyn()
    return true
  }

  private handleAck(packet: number, bare: boolean): void {
    const { pool } = this.host.network
    const { sender } = this
    const acknowledgement = segmentAcknowledgement(pool, packet)
    const offset = sender.acked + ((acknowledgement - this.firstSequence - sender.acked) | 0)
    sender.handleAck(this.nowNs(), offset, segmentWindowBytes(pool, packet), bare)
    if (this.state === "opening" && sender.acked > 0) this.state = "open"
  }

  private acknowledge(): void {
    this.ackDue = true
    this.transmit()
  }

  /** Sends what is due and sets the timer. */
  private transmit(): void {
    const { sender } = this
    if (this.state === "gone") return
    while (sender.poll(this.nowNs())) {
      const flags = (sender.segmentSyn ? SEGMENT.syn : 0) | (sender.segmentFin ? SEGMENT.fin : 0)
      this.emit(flags, sender.segmentOffset, sender.segmentLength)
    }
    if (this.ackDue) this.emit(0, this.sender.acked, 0)
    this.setTimer()
  }

  private emit(flags: number, offset: number, length: number): void {
    const { pool } = this.host.network
    const packet = pool.alloc(SEGMENT_HEADER_BYTES + length)
    // Out of buffers: as good as lost on the way, and repaired in the same manner.
    if (packet < 0) return
    pool.destination[packet] = this.remoteAddress
    pool.destinationPort[packet] = this.remotePort
    pool.sourcePort[packet] = this.localPort
    pool.protocol[packet] = PROTOCOL.stream
    const known = this.peerSequence >= 0
    const acknowledgement = known ? wrap(this.peerSequence + this.receiver.next) : 0
    const all = known ? flags | SEGMENT.ack : flags
    writeSegment(pool, packet, wrap(this.firstSequence + offset), acknowledgement, all, this.receiver.windowBytes())
    if (length > 0) this.sender.copySegment(pool.slab, pool.offset(packet) + SEGMENT_HEADER_BYTES)
    if (known) this.ackDue = false
    this.host.send(packet)
  }

  /** Lets the process hear what has happened, in order. */
  private deliver(): void {
    if (this.deliveryPending || this.state === "opening") return
    this.deliveryPending = true
    this.owner.deliver(() => {
      this.deliveryPending = false
      this.tell()
    })
  }

  private tell(): void {
    if (this.state === "gone") return
    this.tellOpen()
    const { handler } = this
    assert(handler !== undefined, "an open stream has a handler")
    const wasNarrow = this.receiver.windowBytes() < 65_536
    for (const bytes of this.receiver.take() ?? []) if (!this.isGone()) handler.onData(bytes)
    if (this.receiver.finished && !this.endTold && !this.isGone()) {
      this.endTold = true
      handler.onEnd()
    }
    if (this.isGone()) return
    if (this.state === "ending") {
      this.vanish()
      handler.onClose(this.ended)
    } else {
      if (wasNarrow) this.acknowledge()
      this.closeIfDone()
    }
  }

  private tellOpen(): void {
    if (this.openTold || this.sender.acked === 0) {
      this.handler ??= SILENT
      return
    }
    this.openTold = true
    if (this.acceptor !== undefined) this.handler = this.acceptor(this)
    else this.handler?.onOpen?.()
  }

  private isGone(): boolean {
    return this.state === "gone"
  }

  private closeIfDone(): void {
    if (this.state === "open" && this.sender.done() && this.receiver.finished && this.endTold) this.close("closed")
  }

  private close(end: StreamEnd): void {
    this.state = "ending"
    this.ended = end
    this.cancelTimer()
    this.deliver()
  }

  private setTimer(): void {
    if (this.state !== "open" && this.state !== "opening") return
    const atNs = Math.min(this.sender.deadlineNs, this.keepAliveNs())
    if (atNs >= this.timerNs) return
    this.cancelTimer()
    this.timerNs = atNs
    this.cancelTimer = this.host.network.kernel.callAt(atNs, () => this.handleTimer())
  }

  private keepAliveNs(): number {
    return Math.max(this.heardNs + KEEP_ALIVE_NS.probe, this.probedNs + KEEP_ALIVE_NS.every)
  }

  private handleTimer(): void {
    this.timerNs = Number.POSITIVE_INFINITY
    if (!this.owner.alive) return this.vanish()
    const nowNs = this.nowNs()
    this.sender.handleTimeout(nowNs)
    if (this.sender.gaveUp || nowNs - this.heardNs >= KEEP_ALIVE_NS.dead) return this.close("timeout")
    if (nowNs >= this.keepAliveNs()) {
      this.probedNs = nowNs
      this.emit(SEGMENT.probe, this.sender.acked, 0)
    }
    this.transmit()
  }

  private nowNs(): number {
    return this.host.network.kernel.nowNs
  }
}

const wrap = (sequence: number): number => sequence >>> 0

/** Stands in for an accepting side that was never opened. */
const SILENT: StreamHandler = { onData: () => {}, onEnd: () => {}, onClose: () => {} }
