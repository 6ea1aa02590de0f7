/**
 * Client end of the secure datagram session: one session with one server (client, player).
 *
 * Until the server is proved, nothing that arrives can end an attempt but the server's own signed word: forged, damaged or foreign answers
 * are dropped and the attempt goes on until its time is over.
 */

import { assert } from "../../assert.ts"
import { deviceId } from "../../crypto/identity.ts"
import { type Endpoint, formatEndpoint, parseAddress, sameAddress } from "../../wire/address.ts"
import { DatagramBatch, type Outbox } from "../../wire/batch.ts"
import { DROP, type DropCode, dropCounters } from "../../wire/drop.ts"
import {
  ACCEPT,
  checkAccept,
  checkRefuse,
  checkRetry,
  KIND,
  kindAt,
  putHelloCookie,
  REFUSE,
  RETRY
} from "../../wire/handshake.ts"
import { checkHeader, connectionIdAt, DATAGRAM_BYTES_MAX, isSealed } from "../../wire/header.ts"
import { decodeTicket, TICKET_BYTES_MAX } from "../../wire/ticket.ts"
import { type Attempt, answers, beginAttempt, readAccept, verifyRefuse } from "./client-handshake.ts"
import { Connection, PING_IDLE_CLIENT_NS } from "./connection.ts"
import type { SessionKeys } from "./key-schedule.ts"
import { OpenAhead } from "./open-ahead.ts"
import { FAILED_OPENS_MAX, RecordLayer } from "./record-layer.ts"
import {
  CLOSE,
  type ClientEndpoint,
  type ClientOptions,
  type CloseReason,
  SEND,
  type SessionEvent,
  type SessionHandler,
  type SessionInfo,
  type Subject
} from "./session.ts"
import { type SessionTraffic, TrafficCounts } from "./traffic.ts"

/** Time for the whole handshake. */
export const HANDSHAKE_TIMEOUT_NS = 10e9
/** First repetition of an unanswered HELLO or CONFIRM; each further wait is twice as long. */
export const RETRANSMIT_FIRST_NS = 250e6
/** Most cookies taken, and most ACCEPTs examined, in one attempt: what an attacker can make a client compute. */
const COOKIES_MAX = 8
const ACCEPTS_MAX = 16
/** Most events kept for `pollEvent`: what one session can say. */
const EVENTS_MAX = 64

export const makeClientEndpoint = (options: ClientOptions, outbox: Outbox, handler: SessionHandler): ClientEndpoint =>
  new Client(options, outbox, handler)

class Client implements ClientEndpoint {
  readonly drops = dropCounters()
  state: "idle" | "connecting" | "established" | "closed" = "idle"
  private readonly options: ClientOptions
  private readonly outbox: Outbox
  private readonly handler: SessionHandler
  /** One slot that holds the server's address, as connections and datagrams have it. */
  private readonly server = new DatagramBatch(1, 1)
  private readonly subject: Subject
  private readonly datagramBytesMax: number
  private readonly events: Array<SessionEvent> = []
  private readonly ahead: OpenAhead
  /** Packets of a session are added when it ends. */
  private readonly counts = new TrafficCounts()

  private attempt: Attempt | undefined
  private confirm: Uint8Array | undefined
  private connection: Connection | undefined
  private cookies = 0
  private accepts = 0
  /** Whether someone with another identity answered this attempt. */
  private strangerSeen = false
  private startedNs = 0
  private sentNs = 0
  private repeats = 0
  private repeatAtNs = Number.POSITIVE_INFINITY

  constructor(options: ClientOptions, outbox: Outbox, handler: SessionHandler) {
    assert(options.ticket.length <= TICKET_BYTES_MAX, "A ticket has at most 295 bytes.")
    const parsed = parseAddress(options.server.address, this.server.address, 0)
    assert(parsed, `The server's address is an IP address: ${formatEndpoint(options.server)}`)
    this.server.port[0] = options.server.port
    this.options = options
    this.outbox = outbox
    this.handler = handler
    this.ahead = new OpenAhead(options.crypto.batches, (batch, index) => this.connectionOf(batch, index))
    this.datagramBytesMax = Math.min(options.datagramBytesMax ?? DATAGRAM_BYTES_MAX, outbox.batch.slotBytes)
    this.subject = {
      publicKey: options.serverKey,
      deviceId: deviceId(options.crypto, options.serverKey),
      user: "",
      tenant: "",
      rights: 0,
      ticketExpiresMs: decodeTicket(options.ticket)?.expiresMs ?? 0
    }
  }

  connect(nowNs: number): void {
    this.forget()
    this.attempt = beginAttempt(this.options.crypto, this.options.fill)
    this.cookies = 0
    this.accepts = 0
    this.strangerSeen = false
    this.startedNs = nowNs
    this.state = "connecting"
    this.say(nowNs, this.attempt.hello, 0)
  }

  prepare(batch: DatagramBatch, first: number, end: number): void {
    this.ahead.prepare(batch, first, end)
  }

  handleDatagram(nowNs: number, batch: DatagramBatch, index: number): void {
    const drop = this.take(nowNs, batch, index)
    if (drop !== DROP.none) this.drops[drop]++
  }

  handleTimeout(nowNs: number): void {
    if (this.state === "established") {
      if (this.connection!.dueNs() <= nowNs && this.connection!.wake(nowNs)) this.close(nowNs, CLOSE.timeout)
      return
    }
    if (this.state !== "connecting") return
    if (nowNs - this.startedNs >= HANDSHAKE_TIMEOUT_NS) {
      if (this.strangerSeen) this.refused(CLOSE.serverInvalid)
      else this.closed(CLOSE.handshakeTimeout)
      return
    }
    if (nowNs >= this.repeatAtNs) this.say(nowNs, this.confirm ?? this.attempt!.hello, this.repeats + 1)
  }

  pollTimeout(): number {
    if (this.state === "established") return this.connection!.dueNs()
    if (this.state === "connecting") return Math.min(this.repeatAtNs, this.startedNs + HANDSHAKE_TIMEOUT_NS)
    return Number.POSITIVE_INFINITY
  }

  pollEvent(): SessionEvent | undefined {
    return this.events.length === 0 ? undefined : this.events.shift()
  }

  send(nowNs: number, channel: number, bytes: Uint8Array, at: number, length: number): number {
    if (this.state !== "established") return this.state === "connecting" ? SEND.notEstablished : SEND.noSession
    return this.connection!.send(nowNs, channel, bytes, at, length)
  }

  close(nowNs: number, reason: CloseReason): void {
    if (this.state !== "connecting" && this.state !== "established") return
    // Before the server's keys exist there is nobody to say goodbye to: its pending handshake runs out by itself.
    this.connection?.sayBye(nowNs, reason)
    this.closed(reason)
  }

  info(): SessionInfo | undefined {
    return this.state === "established" ? this.connection!.info() : undefined
  }

  traffic(): SessionTraffic {
    const traffic = new TrafficCounts()
    traffic.add(this.counts)
    if (this.connection !== undefined) {
      const { packetsIn, packetsOut } = this.connection
      traffic.add({ packetsIn, packetsOut })
    }
    return traffic
  }

  private take(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const at = batch.offset(index)
    const length = batch.length[index]
    if (!this.isFromServer(batch, index)) return DROP.address
    const checked = checkHeader(batch.slab, at, length)
    if (checked !== DROP.none) return checked
    if (isSealed(batch.slab, at)) return this.takeSealed(nowNs, batch, index)
    if (this.attempt === undefined || this.confirm !== undefined) return DROP.unexpected
    const drop = this.takeHandshake(nowNs, this.attempt, batch, index)
    if (drop === DROP.none) this.counts.handshakesIn++
    return drop
  }

  private takeHandshake(nowNs: number, attempt: Attempt, batch: DatagramBatch, index: number): DropCode {
    const at = batch.offset(index)
    const length = batch.length[index]
    switch (kindAt(batch.slab, at, length)) {
      case KIND.retry:
        return this.takeRetry(nowNs, attempt, batch.slab, at, length)
      case KIND.accept:
        return this.takeAccept(nowNs, attempt, batch, index)
      case KIND.refuse:
        return this.takeRefuse(attempt, batch, index)
      default:
        return length > 14 ? DROP.unexpected : DROP.short
    }
  }

  private isFromServer(batch: DatagramBatch, index: number): boolean {
    return batch.port[index] === this.server.port[0] && sameAddress(batch.address, index * 4, this.server.address, 0)
  }

  /** The session, if its sealed datagram lies in the slot. */
  private connectionOf(batch: DatagramBatch, index: number): Connection | undefined {
    const { connection } = this
    const at = batch.offset(index)
    if (connection === undefined || !this.isFromServer(batch, index)) return undefined
    if (checkHeader(batch.slab, at, batch.length[index]) !== DROP.none || !isSealed(batch.slab, at)) return undefined
    return connectionIdAt(batch.slab, at) === connection.options.id ? connection : undefined
  }

  private takeRetry(nowNs: number, attempt: Attempt, slab: Uint8Array, at: number, length: number): DropCode {
    const checked = checkRetry(slab, at, length)
    if (checked !== DROP.none) return checked
    if (!answers(attempt, slab, at + RETRY.random)) return DROP.unexpected
    // A second cookie is taken only when the first had its time: duplicates on the way must not make two handshakes out of one.
    const cookieTried = this.cookies === 0 || this.repeats > 0
    if (!cookieTried || this.cookies >= COOKIES_MAX) return DROP.duplicate
    this.cookies++
    putHelloCookie(attempt.hello, slab, at + RETRY.cookie)
    this.say(nowNs, attempt.hello, 0)
    return DROP.none
  }

  private takeAccept(nowNs: number, attempt: Attempt, batch: DatagramBatch, index: number): DropCode {
    const { crypto, serverKey, identity, ticket } = this.options
    const at = batch.offset(index)
    const checked = checkAccept(batch.slab, at, batch.length[index])
    if (checked !== DROP.none) return checked
    if (!answers(attempt, batch.slab, at + ACCEPT.clientRandom)) return DROP.unexpected
    if (this.accepts >= ACCEPTS_MAX) return DROP.flood
    this.accepts++
    const outcome = readAccept(crypto, attempt, batch.view(index).slice(), serverKey, identity, ticket)
    if (outcome.kind === "forged") return DROP.forged
    if (outcome.kind === "identity") {
      // Anyone on the way can have said this. It becomes the reason only if the true server does not answer in time.
      this.strangerSeen = true
      return DROP.identity
    }
    this.confirm = outcome.confirm
    this.connection = this.makeConnection(nowNs, outcome.connectionId, outcome.keys)
    this.say(nowNs, outcome.confirm, 0)
    return DROP.none
  }

  private takeRefuse(attempt: Attempt, batch: DatagramBatch, index: number): DropCode {
    const at = batch.offset(index)
    const checked = checkRefuse(batch.slab, at, batch.length[index])
    if (checked !== DROP.none) return checked
    if (!answers(attempt, batch.slab, at + REFUSE.random)) return DROP.unexpected
    if (this.accepts >= ACCEPTS_MAX) return DROP.flood
    this.accepts++
    if (!verifyRefuse(this.options.crypto, attempt, batch.view(index), this.options.serverKey)) return DROP.identity
    this.refused(batch.slab[at + REFUSE.reason] as CloseReason)
    return DROP.none
  }

  private takeSealed(nowNs: number, batch: DatagramBatch, index: number): DropCode {
    const { connection } = this
    if (connection === undefined) return DROP.unexpected
    if (connectionIdAt(batch.slab, batch.offset(index)) !== connection.options.id) return DROP.unknownConnection
    const drop = connection.receive(nowNs, batch, index, this.ahead.take(batch, index, connection))
    if (drop === DROP.forged && connection.options.records.failedOpens >= FAILED_OPENS_MAX) {
      this.close(nowNs, CLOSE.limit)
    }
    // The handler may have closed the session, or begun another, meanwhile.
    if (this.connection !== connection) return drop
    if (connection.goodbye >= 0) {
      if (this.state === "established") this.closed(connection.goodbye as CloseReason)
      else this.refused(connection.goodbye as CloseReason)
    } else if (connection.readyAt >= 0 && this.state === "connecting") {
      this.establish(nowNs, connection, batch.slab)
    }
    return drop
  }

  private establish(nowNs: number, connection: Connection, slab: Uint8Array): void {
    if (this.repeats === 0) connection.rtt.sample(nowNs - this.sentNs)
    connection.live = true
    this.state = "established"
    this.forgetAttempt()
    this.options.onReady(slab.slice(connection.readyAt, connection.readyAt + connection.readyBytes))
    this.report({
      kind: "established",
      session: 0,
      connectionId: connection.options.id,
      peer: this.peer(),
      subject: this.subject
    })
  }

  private makeConnection(nowNs: number, id: number, keys: SessionKeys): Connection {
    const { crypto, replayWindow, faultPoint, fill } = this.options
    const sealing = crypto.aead("chacha20-poly1305", keys.clientWrite)
    const opening = crypto.aead("chacha20-poly1305", keys.serverWrite)
    keys.clientWrite.fill(0)
    keys.serverWrite.fill(0)
    const connection = {
      id,
      session: 0,
      subject: this.subject,
      records: new RecordLayer(id, sealing, opening, replayWindow, faultPoint),
      outbox: this.outbox,
      handler: this.handler,
      traffic: this.counts,
      fill,
      pingIdleNs: PING_IDLE_CLIENT_NS,
      roams: false,
      datagramBytesMax: this.datagramBytesMax
    }
    return new Connection(connection, nowNs, this.server, 0)
  }

  /** Sends a HELLO or CONFIRM for the `repeats`-th time after the first. */
  private say(nowNs: number, datagram: Uint8Array, repeats: number): void {
    const slot = this.outbox.next()
    const { batch } = this.outbox
    batch.slab.set(datagram, batch.offset(slot))
    batch.copyPeer(slot, this.server, 0)
    batch.ecn[slot] = 0
    this.outbox.commit(datagram.length)
    this.counts.handshakesOut++
    this.sentNs = nowNs
    this.repeats = repeats
    this.repeatAtNs = nowNs + RETRANSMIT_FIRST_NS * 2 ** repeats
  }

  private peer(): Endpoint {
    return this.options.server
  }

  private refused(reason: CloseReason): void {
    this.forget()
    this.state = "closed"
    this.report({ kind: "refused", peer: this.peer(), reason })
  }

  private closed(reason: CloseReason): void {
    const connectionId = this.connection?.options.id ?? 0
    this.forget()
    this.state = "closed"
    this.report({ kind: "closed", session: 0, connectionId, reason })
  }

  private report(event: SessionEvent): void {
    if (this.events.length < EVENTS_MAX) this.events.push(event)
  }

  private forget(): void {
    this.forgetAttempt()
    if (this.connection === undefined) return
    this.connection.wipe()
    const { packetsIn, packetsOut } = this.connection
    this.counts.add({ packetsIn, packetsOut })
    this.connection = undefined
  }

  private forgetAttempt(): void {
    this.attempt?.secret.fill(0)
    this.attempt = undefined
    this.confirm = undefined
    this.repeatAtNs = Number.POSITIVE_INFINITY
  }
}
