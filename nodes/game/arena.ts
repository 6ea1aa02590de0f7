/**
 * The arena of a game server: joins its sessions with its game machine.
 *
 * The session endpoint asks it whether to admit a device, hands it opened messages and tells it when a session ends; the game
 * machine hands it snapshots to send and says who came, went or cheated. Everything here is a plain call under the shell.
 */

import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { assert } from "@horizon/core/assert.ts"
import { type GameEvent, GameServer } from "@horizon/core/machine/game/server.ts"
import { PENDING_MAX } from "@horizon/core/machine/session/pending.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import {
  CHANNEL,
  CLOSE,
  type CloseReason,
  type ServerEndpoint,
  type SessionEvent,
  type SessionHandler,
  type Subject
} from "@horizon/core/machine/session/session.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { formatEndpoint } from "@horizon/core/wire/address.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import type { GameConfig } from "./settings.ts"

export interface ArenaOptions {
  readonly config: GameConfig
  readonly shell: SessionShell
  readonly faultPoint: (name: string) => boolean
  readonly trace: TraceWriter
  /** For the cost of ticks. */
  readonly nowNs: () => number
  /** The broker's clock as estimated, Unix ms. */
  readonly brokerNowMs: () => number
  /** Whether the broker has revoked the ticket. */
  readonly isRevoked: (subject: Subject) => boolean
  /** Told what the broker should hear. */
  readonly report: (report: Omit<ConnectionReport, "atMs">) => void
}

/** An established session. */
interface Guest {
  readonly session: number
  readonly subject: Subject
  readonly connectionId: number
  readonly openedMs: number
  peer: { readonly address: string; readonly port: number }
}

/** A session that has not joined after this is ended. */
const JOIN_TIMEOUT_MS = 5_000

export class Arena implements SessionHandler, Companion {
  readonly game: GameServer
  /** How long ticks took, with their snapshots, ns; 0 where time stands still while code runs. */
  readonly tickCost = new Histogram()
  /** Handshakes refused by `admit`. */
  refused = 0
  /** Nobody comes in any more: who was sent away must not come back to a server that is about to end. */
  closing = false
  private readonly options: ArenaOptions
  private endpoint: ServerEndpoint | undefined
  private readonly guests = new Map<number, Guest>()
  /** Devices with a session: one that connects anew takes its own place. */
  private readonly sessionOf = new Map<string, number>()
  /** Bytes of messages, by session. */
  private readonly bytesIn: Float64Array
  private readonly bytesOut: Float64Array

  constructor(options: ArenaOptions) {
    const { config, shell } = options
    this.options = options
    // The endpoint numbers handshakes and sessions alike, so a session's number may be above the most players.
    this.bytesIn = new Float64Array(config.playersMax + PENDING_MAX)
    this.bytesOut = new Float64Array(config.playersMax + PENDING_MAX)
    this.game = new GameServer({
      capacity: config.playersMax,
      tickRateHz: config.tickRateHz,
      snapshotEvery: config.snapshotEvery,
      halfM: config.worldHalfM,
      spawnHalfM: config.spawnHalfM,
      radiusM: config.radiusM,
      hysteresisM: config.hysteresisM,
      visibleMax: config.visibleMax,
      maxSpeedMmS: config.maxSpeedMmS,
      creditMs: config.creditMs,
      joinTimeoutMs: JOIN_TIMEOUT_MS,
      faultPoint: options.faultPoint,
      send: (session, bytes, at, length) => {
        this.bytesOut[session] += length
        this.endpoint?.send(shell.nowNs, session, CHANNEL.unreliable, bytes, at, length)
      }
    })
  }

  /** The endpoint is made after this, because it needs this. The game begins now. */
  attach(nowNs: number, endpoint: ServerEndpoint): void {
    this.endpoint = endpoint
    this.game.start(nowNs)
  }

  /** Sessions established now. */
  get size(): number {
    return this.guests.size
  }

  /** Whether a device with a valid ticket may come in: the reason why not, else `undefined`. */
  admit(subject: Subject): CloseReason | undefined {
    const reason = this.refusal(subject)
    if (reason !== undefined) this.refused++
    return reason
  }

  onData(session: number, channel: number, bytes: Uint8Array, at: number, length: number): void {
    if (channel !== CHANNEL.unreliable) return
    this.bytesIn[session] += length
    this.game.handleMessage(this.options.shell.nowNs, session, bytes, at, length)
  }

  onEvent(event: SessionEvent): void {
    const { trace } = this.options
    switch (event.kind) {
      case "established":
        trace("session.established", {
          role: "server",
          connectionId: event.connectionId,
          peer: formatEndpoint(event.peer),
          subject: event.subject.deviceId
        })
        return this.opened(event.session, event.connectionId, event.peer, event.subject)
      case "refused":
        return trace("session.refused", {
          role: "server",
          peer: formatEndpoint(event.peer),
          reason: describeClose(event.reason)
        })
      case "closed":
        trace("session.closed", {
          role: "server",
          connectionId: event.connectionId,
          reason: describeClose(event.reason)
        })
        return this.closed(event.session, event.reason)
      case "roamed":
        trace("session.roamed", {
          connectionId: event.connectionId,
          from: formatEndpoint(event.from),
          to: formatEndpoint(event.to)
        })
        return this.roamed(event.session, event.to)
    }
  }

  /** Runs the ticks that are due, then does what the game asks for. */
  handleTimeout(nowNs: number): void {
    this.game.handleTimeout(nowNs)
    this.tickCost.record(this.options.nowNs() - nowNs)
    this.drain(nowNs)
  }

  pollTimeout(): number {
    return this.game.pollTimeout()
  }

  /** Ends the sessions that came in with a ticket that the broker has revoked since. */
  endRevoked(nowNs: number, deviceId: string, ticketExpiresMs: number): void {
    for (const { session, subject } of [...this.guests.values()])
      if (subject.deviceId === deviceId && subject.ticketExpiresMs === ticketExpiresMs)
        this.endpoint?.close(nowNs, session, CLOSE.forbidden)
  }

  /** Reports every open connection with its traffic. */
  reportAlive(): void {
    for (const guest of this.guests.values()) this.reportOf(guest, "alive", "")
  }

  private refusal(subject: Subject): CloseReason | undefined {
    if (this.closing) return CLOSE.shutdown
    if ((subject.rights & RIGHT.game) === 0 || this.options.isRevoked(subject)) return CLOSE.forbidden
    if (this.sessionOf.has(subject.deviceId)) return undefined
    return this.guests.size < this.options.config.playersMax ? undefined : CLOSE.full
  }

  private drain(nowNs: number): void {
    for (let event = this.game.pollEvent(); event !== undefined; event = this.game.pollEvent()) this.act(nowNs, event)
  }

  private act(nowNs: number, event: GameEvent): void {
    const { trace } = this.options
    switch (event.kind) {
      case "joined":
        return trace("game.player-joined", {
          player: event.player,
          subject: this.guests.get(event.session)?.subject.deviceId ?? ""
        })
      case "left":
        return trace("game.player-left", { player: event.player, reason: event.reason })
      case "turned-away":
        return this.endpoint?.close(nowNs, event.session, event.why === "full" ? CLOSE.full : CLOSE.handshakeTimeout)
      case "speed-corrected":
        return trace("game.speed-corrected", { player: event.player, tick: event.tick, overMm: event.overMm })
      case "tick-late":
        return trace("game.tick-late", { tick: event.tick, lateNs: event.lateNs, skipped: event.skipped })
      case "view-unequal":
        return trace("game.view-unequal", { player: event.player, ordinal: event.ordinal })
    }
  }

  private opened(session: number, connectionId: number, peer: Guest["peer"], subject: Subject): void {
    assert(!this.guests.has(session), "a session number is given out again only after its end was told")
    const guest = { session, subject, connectionId, openedMs: this.options.brokerNowMs(), peer }
    this.guests.set(session, guest)
    this.bytesIn[session] = 0
    this.bytesOut[session] = 0
    this.sessionOf.set(subject.deviceId, session)
    this.game.handleEstablished(this.options.shell.nowNs, session)
    this.reportOf(guest, "opened", "")
  }

  private roamed(session: number, peer: Guest["peer"]): void {
    const guest = this.guests.get(session)
    if (guest === undefined) return
    guest.peer = peer
    this.reportOf(guest, "alive", "")
  }

  private closed(session: number, reason: CloseReason): void {
    const guest = this.guests.get(session)
    if (guest === undefined) return
    this.guests.delete(session)
    if (this.sessionOf.get(guest.subject.deviceId) === session) this.sessionOf.delete(guest.subject.deviceId)
    this.game.handleClosed(session, closeName(reason))
    this.reportOf(guest, "closed", closeName(reason))
  }

  private reportOf(guest: Guest, event: ConnectionReport["event"], reason: string): void {
    this.options.report({
      event,
      connectionId: guest.connectionId,
      openedMs: guest.openedMs,
      deviceId: guest.subject.deviceId,
      user: guest.subject.user,
      tenant: guest.subject.tenant,
      peer: guest.peer,
      reason,
      bytesIn: this.bytesIn[guest.session],
      bytesOut: this.bytesOut[guest.session]
    })
  }
}

/** The short name of a close reason. */
const closeName = (reason: CloseReason): string =>
  Object.entries(CLOSE).find(([, number]) => number === reason)?.[0] ?? `reason ${reason}`
