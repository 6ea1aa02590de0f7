/**
 * Server end of the secure datagram session: many sessions behind one socket (gateway, game server).
 *
 * A slot of the connection id is free, pending (ACCEPT said, CONFIRM awaited) or live. An unknown client costs one cookie and no memory; a
 * pending one a place in a bounded table; a live one was admitted by ticket.
 */

import { assert } from "../../assert.ts"
import { deviceId } from "../../crypto/identity.ts"
import type { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { DROP, type DropCode, dropCounters } from "../../wire/drop.ts"
import { PARAMETERS_BYTES_MAX } from "../../wire/frame.ts"
import {
  ACCEPT_BYTES,
  COOKIE_BYTES,
  checkConfirm,
  checkHello,
  chosen,
  HELLO,
  KIND,
  kindAt,
  putRefuse,
  putRetry,
  REFUSE_BYTES,
  RETRY,
  RETRY_BYTES
} from "../../wire/handshake.ts"
import {
  checkHeader,
  connectionIdAt,
  connectionIdOf,
  DATAGRAM_BYTES_MAX,
  isSealed,
  readU32,
  slotOf
} from "../../wire/header.ts"
import type { Ticket } from "../../wire/ticket.ts"
import { SUITES, VERSIONS } from "./client-handshake.ts"
import { Connection, PING_IDLE_SERVER_NS } from "./connection.ts"
import { CookieJar } from "./cookie.ts"
import { Deadlines } from "./deadlines.ts"
import { refusalMessage, type SessionKeys } from "./key-schedule.ts"
import { OpenAhead } from "./open-ahead.ts"
import { ACCEPT_REPEATS_MAX, PENDING_LIFE_NS, PENDING_MAX, Pending, PendingTable } from "./pending.ts"
import { FAILED_OPENS_MAX, RecordLayer } from "./record-layer.ts"
import { makeOffer, readConfirm } from "./server-handshake.ts"
import {
  CLOSE,
  type CloseReason,
  SEND,
  type ServerEndpoint,
  type ServerOptions,
  type SessionEvent,
  type SessionHandler,
  type SessionInfo,
  type Subject
} from "./session.ts"
import { SLOTS_MAX, Slots } from "./slots.ts"
import { type SessionTraffic, TrafficCounts } from "./traffic.ts"

export const makeServerEndpoint = (options: ServerOptions, outbox: Outbox, handler: SessionHandler): ServerEndpoint =>
  new Server(options, outbox, handler)

/** Most events kept for `pollEvent`; refusals and roaming beyond it are not reported. Ends of sessions always are. */
const EVENTS_MAX = 4096
/** Most refusals signed in one second: signing is the dearest thing that a HELLO can ask for without taking a place in the table. */
const REFUSALS_PER_SECOND = 64
/** Most times that READY is said again to a repeated CONFIRM. */
const READY_REPEATS_MAX = 16

/** A session that stands. */
interface Live {
  readonly connection: Connection
  readonly helloKey: number
  /** To answer a repeated CONFIRM, until the client is heard. */
  confirmHash: Uint8Array | undefined
  readonly parameters: Uint8Array
  readyRepeats: number
}

class Server implements ServerEndpoint {
  readonly drops = dropCounters()
  private readonly options: ServerOptions
  private readonly outbox: Outbox
  private readonly handler: SessionHandler
  private readonly cookies: CookieJar
  private readonly slots: Slots
  private readonly pending = new PendingTable()
  private readonly live: Array<Live | undefined>
  private readonly deadlines: Deadlines
  /** Slot of a pending or live handshake by the first 48 bits of SHA-256 of its HELLO. */
  private readonly byHello = new Map<number, number>()
  private readonly byDevice = new Map<string, number>()
  private readonly events: Array<SessionEvent> = []
  /** Packets of sessions are added when those end. */
  private readonly counts = new TrafficCounts()
  private readonly ahead: OpenAhead
  private readonly datagramBytesMax: number
  private refusalSecond = 0
  private refusalsInSecond = 0

  constructor(options: ServerOptions, outbox: Outbox, handler: SessionHandler) {
    const { sessionsMax, worker } = options
    assert(sessionsMax >= 1 && sessionsMax <= SLOTS_MAX - PENDING_MAX, "A server has 1 to 64,512 sessions at most.")
    assert(worker >= 0 && worker <= 255, "A worker is numbered 0 to 255.")
    this.options = options
    this.outbox = outbox
    this.handler = handler
    this.cookies = new CookieJar(options.crypto, options.fill, options.wallMs)
    const slots = sessionsMax + PENDING_MAX
    this.slots = new Slots(slots)
    this.live = new Array<Live | undefined>(slots).fill(undefined)
    this.deadlines = new Deadlines(slots)
    this.ahead = new OpenAhead(options.crypto.batches, (batch, index) => this.connectionOf(batch, index))
    this.datagramBytesMax = Math.min(options.datagramBytesMax ?? DATAGRAM_BYTES_MAX, outbox.batch.slotBytes)
  }

  prepare(batch: DatagramBatch, first: number, end: number): void {
    this.ahead.prepare(batch, first, end)
  }

  handleDatagram(nowNs: number, batch: DatagramBatch, index: number): void {
    const drop = this.take(nowNs, batch, index)
    if (drop !== DROP.none) this.drops[drop]++
  }

  handleTimeout(nowNs: number): void {
    while (this.deadlines.earliestNs() <= nowNs) {
      const slot = this.deadlines.earliestSlot()
      const live = this.live[slot]
      if (live !== undefined) {
        if (live.connection.wake(nowNs)) this.end(nowNs, slot, CLOSE.timeout)
        // One nanosecond more at least, so that this loop ends whatever the session asks for.
        else this.deadlines.set(slot, Math.max(live.connection.dueNs(), nowNs + 1))
        continue
      }
      const pending = this.pending.get(slot)
      assert(pending !== undefined, "Only pending and live slots have deadlines.")
      this.forget(pending)
    }
  }

  pollTimeout(): number {
    return this.deadlines.earliestNs()
  }

  pollEvent(): SessionEvent | undefined {
    if (this.events.length === 0) return undefined
    const event = this.events.shift()
    if (event?.kind === "closed") this.slots.release(event.session)
    return event
  }

  send(nowNs: number, session: number, channel: number, bytes: Uint8Array, at: number, length: number): number {
    const live = this.live[session]
    return live === undefined ? SEND.noSession : live.connection.send(nowNs, channel, bytes, at, length)
  }

  close(nowNs: number, session: number, reason: CloseReason): void {
    if (this.live[session] !== undefined) this.end(nowNs, session, reason)
  }

  closeAll(nowNs: number, reason: CloseReason): void {
    for (const session of this.sessions()) this.end(nowNs, session, reason)
  }

  info(session: number): SessionInfo | undefined {
    return this.live[session]?.connection.info()
  }

  traffic(): SessionTraffic {
    const traffic = new TrafficCounts()
    traffic.add(this.counts)
    for (const slot of this.byDevice.values()) {
      const { packetsIn, packetsOut } = this.live[slot]!.connection
      traffic.add({ packetsIn, packetsOut })
    }
    return traffic
  }

  sessions(): ReadonlyArray<number> {
    return [...this.byDevice.values()].sort((a, b) => a - b)
  }

  private take(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const at = batch.offset(index)
    const length = batch.length[index]
    const checked = checkHeader(batch.slab, at, length)
    if (checked !== DROP.none) return checked
    if (isSealed(batch.slab, at)) return this.takeSealed(nowNs, batch, index)
    const drop = this.takeHandshake(nowNs, batch, index)
    if (drop === DROP.none) this.counts.handshakesIn++
    return drop
  }

  private takeHandshake(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const length = batch.length[index]
    switch (kindAt(batch.slab, batch.offset(index), length)) {
      case KIND.hello:
        return this.takeHello(nowNs, batch, index)
      case KIND.confirm:
        return this.takeConfirm(nowNs, batch, index)
      default:
        return length > 14 ? DROP.unexpected : DROP.short
    }
  }

  // --- sealed datagrams

  private takeSealed(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const id = connectionIdAt(batch.slab, batch.offset(index))
    const slot = slotOf(id)
    const live = this.live[slot]
    if (live === undefined || live.connection.options.id !== id) {
      return this.pending.get(slot)?.offer.connectionId === id ? DROP.unexpected : DROP.unknownConnection
    }
    const { connection } = live
    const drop = connection.receive(nowNs, batch, index, this.ahead.take(batch, index, connection))
    if (drop === DROP.forged) {
      if (connection.options.records.failedOpens >= FAILED_OPENS_MAX) this.end(nowNs, slot, CLOSE.limit)
      return drop
    }
    // The handler may have closed the session meanwhile.
    if (this.live[slot] !== live) return drop
    // The client has the session's keys: it need not be told READY again.
    if (drop === DROP.none) live.confirmHash = undefined
    if (connection.goodbye >= 0) this.leave(slot, connection.goodbye as CloseReason)
    else this.deadlines.setEarlier(slot, connection.probe.dueNs)
    if (connection.roamedFrom !== undefined) this.reportRoaming(slot, connection)
    return drop
  }

  /** The session whose sealed datagram lies in the slot. */
  private connectionOf(batch: DatagramBatch, index: number): Connection | undefined {
    const at = batch.offset(index)
    if (checkHeader(batch.slab, at, batch.length[index]) !== DROP.none || !isSealed(batch.slab, at)) return undefined
    const id = connectionIdAt(batch.slab, at)
    const connection = this.live[slotOf(id)]?.connection
    return connection?.options.id === id ? connection : undefined
  }

  private reportRoaming(slot: number, connection: Connection): void {
    const from = connection.roamedFrom!
    connection.roamedFrom = undefined
    this.report({ kind: "roamed", session: slot, connectionId: connection.options.id, from, to: connection.peer() })
  }

  // --- HELLO

  private takeHello(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const at = batch.offset(index)
    const length = batch.length[index]
    const checked = checkHello(batch.slab, at, length)
    if (checked !== DROP.none) return checked
    const cookieBytes = batch.slab[at + HELLO.cookieLength]
    if (cookieBytes !== COOKIE_BYTES || !this.cookies.check(nowNs, batch, index)) {
      this.sayRetry(nowNs, batch, index)
      return cookieBytes === 0 ? DROP.none : DROP.cookie
    }
    const helloKey = this.helloKeyOf(batch.slab.subarray(at, at + length))
    const known = this.byHello.get(helloKey)
    return known === undefined
      ? this.acceptHello(nowNs, batch, index, helloKey)
      : this.repeatAccept(batch, index, known)
  }

  private helloKeyOf(hello: Uint8Array): number {
    const hash = this.options.crypto.sha256(hello)
    return readU32(hash, 0) * 0x1_0000 + hash[4] * 0x100 + hash[5]
  }

  /** The same HELLO again: the same ACCEPT, not a second session. */
  private repeatAccept(batch: DatagramBatch, index: number, slot: number): DropCode {
    const pending = this.pending.get(slot)
    if (pending === undefined || pending.repeats >= ACCEPT_REPEATS_MAX) return DROP.duplicate
    pending.repeats++
    this.answer(batch, index, pending.offer.accept)
    return DROP.none
  }

  private acceptHello(nowNs: number, batch: DatagramBatch, index: number, helloKey: number): DropCode {
    const { crypto, identity, fill, brokerKey } = this.options
    if (brokerKey() === undefined) return DROP.notReady
    const at = batch.offset(index)
    const version = chosen(batch.slab, at, HELLO.versions, VERSIONS)
    const suite = chosen(batch.slab, at, HELLO.suites, SUITES)
    if (version === 0 || suite === 0) return this.sayRefuse(nowNs, batch, index, CLOSE.noCommonSuite)
    if (!this.makeRoom(nowNs, batch, index)) return DROP.flood
    const slot = this.slots.take()
    if (slot < 0) return DROP.flood

    const hello = batch.view(index).slice()
    const id = connectionIdOf(this.options.worker, slot, this.slots.generation(slot))
    const offer = makeOffer(crypto, identity, fill, hello, version, suite, id)
    if (offer === undefined) {
      this.slots.release(slot)
      return DROP.malformed
    }
    this.pending.add(new Pending(slot, offer, helloKey, nowNs, batch, index))
    this.byHello.set(helloKey, slot)
    this.deadlines.set(slot, nowNs + PENDING_LIFE_NS)
    this.answer(batch, index, offer.accept)
    return DROP.none
  }

  private makeRoom(nowNs: number, batch: DatagramBatch, index: number): boolean {
    if (!this.pending.prefixHasRoom(batch, index)) return false
    if (this.pending.size < PENDING_MAX) return true
    const oldest = this.pending.givingWay(nowNs)
    if (oldest === undefined) return false
    this.forget(oldest)
    return true
  }

  private sayRetry(nowNs: number, batch: DatagramBatch, index: number): void {
    const slot = this.outbox.next()
    const out = this.outbox.batch
    const to = out.offset(slot)
    putRetry(out.slab, to, batch.slab, batch.offset(index))
    this.cookies.write(nowNs, batch, index, out.slab, to + RETRY.cookie)
    out.copyPeer(slot, batch, index)
    out.ecn[slot] = 0
    this.outbox.commit(RETRY_BYTES)
    this.counts.handshakesOut++
  }

  /** There are no common keys yet, so a refusal is signed instead: nobody else can make a client give up. */
  private sayRefuse(nowNs: number, batch: DatagramBatch, index: number, reason: CloseReason): DropCode {
    const { crypto, identity } = this.options
    const second = Math.floor(nowNs / 1e9)
    if (second !== this.refusalSecond) this.refusalsInSecond = 0
    this.refusalSecond = second
    if (++this.refusalsInSecond > REFUSALS_PER_SECOND) return DROP.flood
    const signature = crypto.ed25519Sign(identity.seed, refusalMessage(crypto, batch.view(index), reason))
    const slot = this.outbox.next()
    const out = this.outbox.batch
    putRefuse(out.slab, out.offset(slot), reason, batch.slab, batch.offset(index), signature)
    out.copyPeer(slot, batch, index)
    out.ecn[slot] = 0
    this.outbox.commit(REFUSE_BYTES)
    this.counts.handshakesOut++
    this.report({ kind: "refused", peer: batch.peer(index), reason })
    return DROP.none
  }

  private answer(batch: DatagramBatch, index: number, accept: Uint8Array): void {
    const slot = this.outbox.next()
    const out = this.outbox.batch
    out.slab.set(accept, out.offset(slot))
    out.copyPeer(slot, batch, index)
    out.ecn[slot] = 0
    this.outbox.commit(ACCEPT_BYTES)
    this.counts.handshakesOut++
  }

  // --- CONFIRM

  private takeConfirm(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const checked = checkConfirm(batch.length[index])
    if (checked !== DROP.none) return checked
    const id = connectionIdAt(batch.slab, batch.offset(index))
    const slot = slotOf(id)
    const live = this.live[slot]
    if (live?.connection.options.id === id) return this.repeatReady(nowNs, live, batch.view(index))
    const pending = this.pending.get(slot)
    if (pending?.offer.connectionId !== id) return DROP.unknownConnection
    if (!pending.isFrom(batch, index)) return DROP.address
    const { crypto, identity, brokerKey, wallMs } = this.options
    const key = brokerKey()
    if (key === undefined) return DROP.notReady

    const confirm = batch.view(index).slice()
    const outcome = readConfirm(crypto, pending.offer, confirm, identity.publicKey, key, wallMs())
    if (outcome.kind === "forged") return DROP.forged
    if (outcome.kind === "refused") this.refuse(nowNs, pending, batch, index, outcome.keys, outcome.reason)
    else this.admit(nowNs, pending, batch, index, outcome.keys, outcome.ticket, confirm)
    return DROP.none
  }

  private repeatReady(nowNs: number, live: Live, confirm: Uint8Array): DropCode {
    const hash = live.confirmHash
    if (hash === undefined || live.readyRepeats >= READY_REPEATS_MAX) return DROP.duplicate
    if (!this.options.crypto.sha256(confirm).every((byte, i) => byte === hash[i])) return DROP.forged
    live.readyRepeats++
    live.connection.sayReady(nowNs, live.parameters)
    return DROP.none
  }

  private admit(
    nowNs: number,
    pending: Pending,
    batch: DatagramBatch,
    index: number,
    keys: SessionKeys,
    ticket: Ticket,
    confirm: Uint8Array
  ): void {
    const { options } = this
    const subject = subjectOf(deviceId(options.crypto, ticket.devicePublicKey), ticket)
    const older = this.byDevice.get(subject.deviceId)
    const full = older === undefined && this.byDevice.size >= options.sessionsMax
    const refusal = full ? CLOSE.full : options.admit(subject)
    if (refusal !== undefined) {
      this.refuse(nowNs, pending, batch, index, keys, refusal)
      return
    }
    if (older !== undefined) this.end(nowNs, older, CLOSE.replaced)

    const { slot, helloKey } = pending
    const connection = this.connect(nowNs, pending, batch, index, keys, subject)
    if (pending.repeats === 0) connection.rtt.sample(nowNs - pending.acceptedNs)
    this.pending.remove(pending)
    const parameters = options.parameters(slot, subject).slice()
    assert(parameters.length <= PARAMETERS_BYTES_MAX, "READY carries at most 256 bytes of parameters.")
    const confirmHash = options.crypto.sha256(confirm)
    this.live[slot] = { connection, helloKey, confirmHash, parameters, readyRepeats: 0 }
    this.byDevice.set(subject.deviceId, slot)
    connection.live = true
    connection.sayReady(nowNs, parameters)
    this.deadlines.set(slot, connection.dueNs())
    const { id } = connection.options
    this.events.push({ kind: "established", session: slot, connectionId: id, peer: connection.peer(), subject })
  }

  private refuse(
    nowNs: number,
    pending: Pending,
    batch: DatagramBatch,
    index: number,
    keys: SessionKeys,
    reason: CloseReason
  ): void {
    const connection = this.connect(nowNs, pending, batch, index, keys, NOBODY)
    connection.sayBye(nowNs, reason)
    connection.wipe()
    this.bookPackets(connection)
    this.forget(pending)
    this.report({ kind: "refused", peer: batch.peer(index), reason })
  }

  private connect(
    nowNs: number,
    pending: Pending,
    batch: DatagramBatch,
    index: number,
    keys: SessionKeys,
    subject: Subject
  ): Connection {
    const { crypto, replayWindow, faultPoint, fill } = this.options
    const sealing = crypto.aead("chacha20-poly1305", keys.serverWrite)
    const opening = crypto.aead("chacha20-poly1305", keys.clientWrite)
    keys.serverWrite.fill(0)
    keys.clientWrite.fill(0)
    const id = pending.offer.connectionId
    const connection = {
      id,
      session: pending.slot,
      subject,
      records: new RecordLayer(id, sealing, opening, replayWindow, faultPoint),
      outbox: this.outbox,
      handler: this.handler,
      traffic: this.counts,
      fill,
      pingIdleNs: PING_IDLE_SERVER_NS,
      roams: true,
      datagramBytesMax: this.datagramBytesMax
    }
    return new Connection(connection, nowNs, batch, index)
  }

  // --- ends

  /** Forgets a pending handshake; its slot is free at once, because nobody was told of it. */
  private forget(pending: Pending): void {
    this.pending.remove(pending)
    this.byHello.delete(pending.helloKey)
    this.deadlines.clear(pending.slot)
    this.slots.release(pending.slot)
  }

  /** Says goodbye and ends a session. */
  private end(nowNs: number, slot: number, reason: CloseReason): void {
    this.live[slot]!.connection.sayBye(nowNs, reason)
    this.leave(slot, reason)
  }

  /** Ends a session without a word; its slot is free when the event was polled. */
  private leave(slot: number, reason: CloseReason): void {
    const { connection, helloKey } = this.live[slot]!
    const { id, subject } = connection.options
    connection.wipe()
    this.bookPackets(connection)
    this.live[slot] = undefined
    this.byHello.delete(helloKey)
    this.byDevice.delete(subject.deviceId)
    this.deadlines.clear(slot)
    this.events.push({ kind: "closed", session: slot, connectionId: id, reason })
  }

  /** Keeps the packets of a session that has ended. */
  private bookPackets({ packetsIn, packetsOut }: Connection): void {
    this.counts.add({ packetsIn, packetsOut })
  }

  private report(event: SessionEvent & { readonly kind: "refused" | "roamed" }): void {
    if (this.events.length < EVENTS_MAX) this.events.push(event)
  }
}

const subjectOf = (id: string, ticket: Ticket): Subject => ({
  publicKey: ticket.devicePublicKey,
  deviceId: id,
  user: ticket.user,
  tenant: ticket.tenant,
  rights: ticket.rights,
  ticketExpiresMs: ticket.expiresMs
})

/** Subject of a session that is only made to say why there is none. */
const NOBODY: Subject = {
  publicKey: new Uint8Array(32),
  deviceId: "",
  user: "",
  tenant: "",
  rights: 0,
  ticketExpiresMs: 0
}
