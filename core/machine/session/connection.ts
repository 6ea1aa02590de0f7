/**
 * One established session, the same at both ends: record layer, peer address, heartbeat, round-trip time, path probing, and the frames of
 * the control channel. It writes into the outbox and tells its owner (server or client endpoint) by fields what it must act on.
 */

import { assert } from "../../assert.ts"
import type { BatchOpener } from "../../crypto/batch.ts"
import { type Endpoint, formatAddress, sameAddress } from "../../wire/address.ts"
import type { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP, type DropCode } from "../../wire/drop.ts"
import {
  FRAME,
  FrameReader,
  PARAMETERS_BYTES_MAX,
  PATH_CHALLENGE,
  PATH_RESPONSE,
  putBye,
  putPath,
  putPing,
  putPong,
  putReady,
  READ
} from "../../wire/frame.ts"
import { channelAt, HEADER_BYTES, SEALED_OVERHEAD_BYTES } from "../../wire/header.ts"
import { PathProbe } from "./path-probe.ts"
import { RecordLayer } from "./record-layer.ts"
import { RoundTrip } from "./rtt.ts"
import { CHANNEL, SEND, type SessionHandler, type SessionInfo, type Subject } from "./session.ts"
import type { TrafficCounts } from "./traffic.ts"

/** Nothing heard for so long: the session is dead. */
export const DEAD_AFTER_NS = 10e9
/** The client says PING when it sent or heard nothing for so long. */
export const PING_IDLE_CLIENT_NS = 2e9
/** The server waits a little longer, so that in an idle session one of the two speaks and not both. */
export const PING_IDLE_SERVER_NS = 2.5e9
/** A busy session says PING this often all the same, for a fresh round-trip time. */
export const PING_BUSY_NS = 10e9
/** BYE is said three times, because any one may be lost and nobody answers it. */
export const BYE_REPEATS = 3

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly id: number
  readonly session: number
  readonly subject: Subject
  readonly records: RecordLayer
  readonly outbox: Outbox
  readonly handler: SessionHandler
  /** The endpoint's: gets what is no data. */
  readonly traffic: TrafficCounts
  readonly fill: (bytes: Uint8Array) => void
  readonly pingIdleNs: number
  /** Whether the peer may change its address. */
  readonly roams: boolean
  /** Longest datagram to send. */
  readonly datagramBytesMax: number
}

/** Frames that this end writes fit into this many bytes. */
const CONTROL_BYTES = 3 + PARAMETERS_BYTES_MAX

/** One reader and one control area serve all connections: each call is done with them before it hands data to anyone. */
const frames = new FrameReader()
const control = new Uint8Array(CONTROL_BYTES)

export class Connection {
  /** Set by `receive` when the peer said BYE: its reason. -1 = it did not. */
  goodbye = -1
  /** Set by `receive` when READY came: where its parameters lie in the slab. -1 = it did not. */
  readyAt = -1
  readyBytes = 0
  /** Set by `receive` when the peer has proved a new address: the old one. */
  roamedFrom: Endpoint | undefined = undefined
  /** Whether application data is handed over; a client waits for READY. */
  live = false
  readonly options: ConnectionOptions
  readonly rtt = new RoundTrip()
  readonly probe = new PathProbe()
  readonly address = new Uint32Array(4)
  port = 0
  /** Datagrams opened and sealed. */
  packetsIn = 0
  packetsOut = 0

  private readonly establishedNs: number
  private lastHeardNs: number
  private lastSentNs: number
  private lastPingNs: number
  private pingToken = 0
  private pingPending = false
  private bytesIn = 0
  private bytesOut = 0

  /** The peer's address is that of slot `index` of `batch`. */
  constructor(options: ConnectionOptions, nowNs: number, batch: DatagramBatch, index: number) {
    this.options = options
    for (let i = 0; i < 4; i++) this.address[i] = batch.address[index * 4 + i]
    this.port = batch.port[index]
    this.establishedNs = nowNs
    this.lastHeardNs = nowNs
    this.lastSentNs = nowNs
    this.lastPingNs = nowNs
  }

  /** Seals application bytes into the outbox; a SEND code. */
  send(nowNs: number, channel: number, bytes: Uint8Array, at: number, length: number): number {
    if (length + SEALED_OVERHEAD_BYTES > this.options.datagramBytesMax) return SEND.tooLong
    if (this.options.records.exhausted()) return SEND.exhausted
    assert(channel !== CHANNEL.control, "The control channel belongs to the session.")
    assert(
      channel === CHANNEL.tunnel || length === 0 || bytes[at] >= FRAME.application,
      "Frames of an application have type 16 and up."
    )
    this.write(nowNs, channel, bytes, at, length, this.address, this.port)
    return SEND.ok
  }

  /** Puts the sealed datagram in slot `index` (header checked, connection id is ours) into place `place` of `opener`, if it may be received. */
  prepare(batch: DatagramBatch, index: number, opener: BatchOpener, place: number): boolean {
    return this.options.records.prepare(batch.slab, batch.offset(index), batch.length[index], opener, place)
  }

  /**
   * Takes the sealed datagram in slot `index` (header checked, connection id is ours); a drop code. See the fields above. `opened` is
   * what an opener made of it, `undefined` if it is still sealed.
   */
  receive(nowNs: number, batch: DatagramBatch, index: number, opened?: boolean): DropCode {
    const { options } = this
    const at = batch.offset(index)
    const length = batch.length[index]
    const moved = batch.port[index] !== this.port || !sameAddress(batch.address, index * 4, this.address, 0)
    if (moved && !options.roams) return DROP.address
    const { records } = options
    const drop = opened === undefined ? records.open(batch.slab, at, length) : records.accept(batch.slab, at, opened)
    if (drop !== DROP.none) return drop
    this.lastHeardNs = nowNs
    this.packetsIn++
    this.bytesIn += length
    if (moved && records.newest && this.probe.start(nowNs, batch, index, options.fill)) this.sayChallenge(nowNs)

    const channel = channelAt(batch.slab, at)
    const bodyAt = at + HEADER_BYTES
    const bodyBytes = RecordLayer.payloadBytes(length)
    if (channel !== CHANNEL.tunnel) {
      const unread = this.readFrames(nowNs, batch, index, channel, bodyAt, bodyBytes)
      if (unread !== DROP.none) options.traffic.discarded++
      return unread
    }
    if (!this.live) {
      options.traffic.discarded++
      return DROP.unexpected
    }
    options.handler.onData(options.session, channel, batch.slab, bodyAt, bodyBytes)
    return DROP.none
  }

  /** Does what is due. True = the peer is dead. */
  wake(nowNs: number): boolean {
    if (nowNs - this.lastHeardNs >= DEAD_AFTER_NS) return true
    if (this.probe.dueNs <= nowNs && this.probe.next(nowNs)) this.sayChallenge(nowNs)
    if (this.pingDueNs() <= nowNs) this.sayPing(nowNs)
    return false
  }

  /** When `wake` has something to do. */
  dueNs(): number {
    return Math.min(this.lastHeardNs + DEAD_AFTER_NS, this.pingDueNs(), this.probe.dueNs)
  }

  sayReady(nowNs: number, parameters: Uint8Array): void {
    this.say(nowNs, putReady(control, 0, parameters))
  }

  sayBye(nowNs: number, reason: number): void {
    for (let i = 0; i < BYE_REPEATS; i++) this.say(nowNs, putBye(control, 0, reason))
  }

  info(): SessionInfo {
    return {
      connectionId: this.options.id,
      peer: this.peer(),
      subject: this.options.subject,
      establishedNs: this.establishedNs,
      lastHeardNs: this.lastHeardNs,
      rttNs: this.rtt.smoothedNs,
      packetsIn: this.packetsIn,
      packetsOut: this.packetsOut,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut
    }
  }

  peer(): Endpoint {
    return { address: formatAddress(this.address, 0), port: this.port }
  }

  /** Overwrites the keys. */
  wipe(): void {
    this.live = false
    this.probe.stop()
    // What was said last waits for its key.
    this.options.outbox.seal()
    this.options.records.wipe()
  }

  private readFrames(
    nowNs: number,
    batch: DatagramBatch,
    index: number,
    channel: number,
    at: number,
    length: number
  ): DropCode {
    const { slab } = batch
    let answered = false
    frames.start(slab, at, length)
    for (;;) {
      const read = frames.next()
      if (read === READ.end) {
        this.options.traffic.controlIn++
        return DROP.none
      }
      if (read === READ.malformed) return DROP.malformed
      if (frames.type >= FRAME.application) {
        if (!this.live || channel === CHANNEL.control) return DROP.unexpected
        this.options.handler.onData(this.options.session, channel, slab, frames.dataAt, frames.dataBytes)
        return DROP.none
      }
      switch (frames.type) {
        case FRAME.ping:
          // One answer a datagram, so that an answer is never more than what asked for it.
          if (!answered) this.say(nowNs, putPong(control, 0, frames.value))
          answered = true
          break
        case FRAME.pong:
          this.hearPong(nowNs, frames.value)
          break
        case FRAME.bye:
          this.goodbye = frames.value
          this.options.traffic.controlIn++
          return DROP.none
        case FRAME.path:
          if (frames.value === PATH_RESPONSE) {
            this.hearResponse(batch, index, frames.dataAt)
          } else {
            if (!answered) this.say(nowNs, putPath(control, 0, PATH_RESPONSE, slab, frames.dataAt))
            answered = true
          }
          break
        case FRAME.ready:
          if (this.options.roams) return DROP.unexpected
          this.readyAt = frames.dataAt
          this.readyBytes = frames.dataBytes
          break
        default:
          // Acknowledgements, messages and rekeying are read past: their machines come with the reliable channel.
          break
      }
    }
  }

  private hearPong(nowNs: number, token: number): void {
    if (!this.pingPending || token !== this.pingToken) return
    this.pingPending = false
    this.rtt.sample(nowNs - this.lastPingNs)
  }

  private hearResponse(batch: DatagramBatch, index: number, dataAt: number): void {
    if (!this.probe.isAnsweredBy(batch, index, dataAt)) return
    this.roamedFrom = this.peer()
    this.address.set(this.probe.address)
    this.port = this.probe.port
    this.probe.stop()
  }

  private pingDueNs(): number {
    const idleNs = Math.max(Math.min(this.lastHeardNs, this.lastSentNs), this.lastPingNs) + this.options.pingIdleNs
    return Math.min(idleNs, this.lastPingNs + PING_BUSY_NS)
  }

  private sayPing(nowNs: number): void {
    this.pingToken = (this.pingToken + 1) >>> 0
    this.pingPending = true
    this.lastPingNs = nowNs
    this.say(nowNs, putPing(control, 0, this.pingToken))
  }

  private sayChallenge(nowNs: number): void {
    const length = putPath(control, 0, PATH_CHALLENGE, this.probe.challenge, 0)
    this.sayTo(nowNs, length, this.probe.address, this.probe.port)
  }

  /** Sends the first `length` bytes of the control area on the control channel, unless the sequences are used up. */
  private say(nowNs: number, length: number): void {
    this.sayTo(nowNs, length, this.address, this.port)
  }

  private sayTo(nowNs: number, length: number, address: Uint32Array, port: number): void {
    if (this.options.records.exhausted()) return
    this.write(nowNs, CHANNEL.control, control, 0, length, address, port)
    this.options.traffic.controlOut++
  }

  /** Whoever calls it has asked whether there are sequences left. */
  private write(
    nowNs: number,
    channel: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    address: Uint32Array,
    port: number
  ): void {
    const { outbox, records } = this.options
    const slot = outbox.next()
    const { batch } = outbox
    const sealed = records.seal(channel, bytes, at, length, outbox, batch.offset(slot))
    for (let i = 0; i < 4; i++) batch.address[slot * 4 + i] = address[i]
    batch.port[slot] = port
    batch.ecn[slot] = 0
    outbox.commit(sealed)
    this.lastSentNs = nowNs
    this.packetsOut++
    this.bytesOut += sealed
  }
}
