/**
 * The arena of a game server: joins its sessions with its game machine.
 *
 * The session endpoint asks it whether to admit a device, hands it opened messages and tells it when a session ends; the game
 * machine hands it snapshots to send and says who came, went or cheated. Everything here is a plain call under the shell.
 */

import { type GameEvent, GameServer } from "@horizon/core/machine/game/server.ts"
import {
  CHANNEL,
  CLOSE,
  type CloseReason,
  type ServerEndpoint,
  type SessionEvent,
  type Subject
} from "@horizon/core/machine/session/session.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { Application } from "@horizon/core/server/server.ts"
import { closeName, SessionBook, type SessionBookOptions } from "@horizon/core/server/session-book.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import type { GameConfig } from "./settings.ts"

export interface ArenaOptions extends Omit<SessionBookOptions, "sessionsMax"> {
  readonly config: GameConfig
  readonly shell: SessionShell
  readonly faultPoint: (name: string) => boolean
  /** For the cost of ticks. */
  readonly nowNs: () => number
  /** Whether the broker has revoked the ticket. */
  readonly isRevoked: (subject: Subject) => boolean
}

/** A session that has not joined after this is ended. */
const JOIN_TIMEOUT_MS = 5_000
const NOTHING = new Uint8Array(0)

export class Arena implements Application, Companion {
  readonly game: GameServer
  readonly book: SessionBook
  /** How long ticks took, with their snapshots, ns; 0 where time stands still while code runs. */
  readonly tickCost = new Histogram()
  /** Handshakes refused by `admit`. */
  refused = 0
  /** Nobody comes in any more: who was sent away must not come back to a server that is about to end. */
  closing = false
  private readonly options: ArenaOptions
  private endpoint: ServerEndpoint | undefined
  /** Devices with a session: one that connects anew takes its own place. */
  private readonly sessionOf = new Map<string, number>()

  constructor(options: ArenaOptions) {
    const { config, shell } = options
    this.options = options
    this.book = new SessionBook({ ...options, sessionsMax: config.playersMax })
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
        this.book.countOut(session, length)
        this.endpoint?.send(shell.nowNs, session, CHANNEL.unreliable, bytes, at, length)
      }
    })
  }

  /** The endpoint is made after this, because it needs this. The game begins now. */
  attach(nowNs: number, endpoint: ServerEndpoint): void {
    this.endpoint = endpoint
    this.book.attach(endpoint)
    this.game.start(nowNs)
  }

  /** Whether a device with a valid ticket may come in: the reason why not, else `undefined`. */
  admit(subject: Subject): CloseReason | undefined {
    const reason = this.refusal(subject)
    if (reason !== undefined) this.refused++
    return reason
  }

  /** READY carries nothing: what a player must know comes with WELCOME, when there is a player. */
  parameters(): Uint8Array {
    return NOTHING
  }

  onData(session: number, channel: number, bytes: Uint8Array, at: number, length: number): void {
    if (channel !== CHANNEL.unreliable) return
    this.book.countIn(session, length)
    this.game.handleMessage(this.options.shell.nowNs, session, bytes, at, length)
  }

  onEvent(event: SessionEvent): void {
    if (event.kind === "closed") this.closed(event.session, event.reason)
    this.book.onEvent(event)
    if (event.kind === "established") this.opened(event.session, event.subject)
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

  private refusal(subject: Subject): CloseReason | undefined {
    if (this.closing) return CLOSE.shutdown
    if ((subject.rights & RIGHT.game) === 0 || this.options.isRevoked(subject)) return CLOSE.forbidden
    if (this.sessionOf.has(subject.deviceId)) return undefined
    return this.book.size < this.options.config.playersMax ? undefined : CLOSE.full
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
          subject: this.book.subjectOf(event.session)?.deviceId ?? ""
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

  private opened(session: number, subject: Subject): void {
    this.sessionOf.set(subject.deviceId, session)
    this.game.handleEstablished(this.options.shell.nowNs, session)
  }

  private closed(session: number, reason: CloseReason): void {
    const subject = this.book.subjectOf(session)
    if (subject === undefined) return
    if (this.sessionOf.get(subject.deviceId) === session) this.sessionOf.delete(subject.deviceId)
    this.game.handleClosed(session, closeName(reason))
  }
}
