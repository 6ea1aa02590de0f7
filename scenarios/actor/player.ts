/**
 * A player as an actor: gets a ticket, connects to a game server, plays, and comes back when the session ends.
 *
 * One fiber does the rare things: tickets, handshakes, waiting. Inputs and snapshots are plain calls (player-link.ts), so
 * that a host carries many players. What it says in the trace: once a second `op.histogram` of `game.input-effect`; the sessions;
 * `invariant.broken` if the server moves it faster than its world allows; as facts who it is and how its predictions fared.
 */

import { Backoff, type BackoffOptions } from "@horizon/core/api/backoff.ts"
import { BrokerCallError } from "@horizon/core/api/broker-client.ts"
import { memberAgent } from "@horizon/core/api/member-agent.ts"
import type { Identity } from "@horizon/core/crypto/crypto.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { makeClientEndpoint } from "@horizon/core/machine/session/client.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import { CLOSE, type ClientEndpoint, type SessionEvent } from "@horizon/core/machine/session/session.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Entropy } from "@horizon/core/port/entropy.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import type { Keys, KeysError } from "@horizon/core/port/keys.ts"
import { type Driven, SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Udp, type UdpError } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatEndpoint } from "@horizon/core/wire/address.ts"
import { Effect, Option, Queue, Result, Schema, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import { Directory } from "./actor.ts"
import { Pilot } from "./pilot.ts"
import { PlayerLink } from "./player-link.ts"

/** Why a player cannot play at all; everything that may pass is tried again for ever. */
export class PlayerError extends Schema.TaggedError<PlayerError>()("PlayerError", {
  reason: Schema.Literals(["port-unavailable", "keys-unavailable"]),
  /** What, where, what to do. */
  message: Schema.String
}) {}

/** What a player needs to connect once. */
export interface Admission {
  readonly identity: Identity
  readonly ticket: Uint8Array
  readonly server: Endpoint
  /** The server's Ed25519 key. */
  readonly serverKey: Uint8Array
  /** When the ticket ends, Unix ms. */
  readonly expiresMs: number
  /** Wall clock by which the ticket is to be judged, Unix ms. */
  readonly wallMs: () => number
}

/** How a player plays. */
export interface PlayStyle {
  /** `speed`: claims twice the greatest speed. `time`: sends two inputs for each that is allowed. */
  readonly cheat?: "speed" | "time"
  /** Inputs in each message, 1 to 16; 8 if left out. */
  readonly redundancy?: number
  /** Turns back when it is farther from the world's origin than this, metres; 80 if left out. */
  readonly leashM?: number
}

export interface PlayerOptions extends PlayStyle {
  /** Name in the trace. */
  readonly name: string
  /** World time less the time of this node's clock; 0 if they are the same. */
  readonly offsetNs?: number
  /**
   * Where tickets come from: asked before an attempt to connect, unless the last ticket has been good for a session and still holds.
   * A failure is tried again, with backoff.
   */
  readonly admission: Effect.Effect<Admission, BrokerCallError | KeysError>
}

export type PlayerPorts = Udp | Clock | Entropy | Crypto

/** Parameters of the actor in a scenario. */
export interface PlayerParams extends PlayStyle {
  readonly brokerUrl: string
  readonly personalKey: string
  /** Name of the game server. */
  readonly server: string
}

const BACKOFF: BackoffOptions = { firstMs: 500, capMs: 2_500, floorMs: 50 }
/** A handshake that the endpoint itself has not given up by then is given up, ms. */
const HANDSHAKE_MS = 15_000
/** A server of which nothing was heard for so long has forgotten this player: a new session finds out sooner than the old one. */
const SILENT_NS = 3_000_000_000
/** How often that is looked at, ms. */
const LOOK_EVERY_MS = 500
const REPLAY_WINDOW = 64
/** A ticket with less life than this is not used again, ms: a handshake takes time. */
const TICKET_LEAST_MS = 5_000
/** A player sends and receives one datagram at a time. */
const SLOTS = 8

/** Plays until it is interrupted. */
export const player = (options: PlayerOptions): Effect.Effect<never, PlayerError, PlayerPorts> =>
  Effect.gen(function* () {
    const playing = yield* assemble(options)
    const backoff = new Backoff((yield* Entropy).source("player-backoff"), BACKOFF)
    let held: Admission | undefined
    for (;;) {
      held = yield* attempt(playing, backoff, held)
      yield* Effect.sleep(backoff.nextMs())
    }
  }).pipe(Effect.scoped)

/** The player of a scenario: its tickets come from the lab's broker. */
export const playerActor = (
  params: PlayerParams
): Effect.Effect<never, PlayerError, PlayerPorts | Keys | HttpClient.HttpClient | Directory> =>
  Effect.gen(function* () {
    const directory = yield* Directory
    const clock = yield* Clock
    const crypto = yield* Crypto
    const trace = yield* Trace
    const agent = yield* memberAgent(params).pipe(Effect.mapError(keysUnavailable))
    const subject = deviceId(crypto, agent.identity.publicKey)
    trace("fact", { name: `player-subject:${directory.self}`, value: subject })
    const admission = Effect.gen(function* () {
      const { servers } = yield* agent.listServers("game")
      const server = servers.find((each) => each.record.name === params.server)
      if (server === undefined) return yield* Effect.fail(noSuchServer(params))
      const granted = yield* agent.ticket(server.record.id)
      return {
        identity: agent.identity,
        ticket: granted.ticket,
        server: granted.server.record.endpoint,
        serverKey: granted.server.record.publicKey,
        expiresMs: granted.expiresMs,
        wallMs: () => agent.brokerNowMs()
      }
    })
    const offsetNs = directory.worldNs() - clock.nowNs()
    return yield* player({ ...params, name: directory.self, offsetNs, admission })
  })

interface Playing {
  readonly options: PlayerOptions
  readonly shell: SessionShell
  readonly link: PlayerLink
  readonly connect: (admission: Admission, onEvent: (event: SessionEvent) => void) => ClientEndpoint
  readonly trace: typeof Trace.Service
}

const assemble = (options: PlayerOptions): Effect.Effect<Playing, PlayerError, PlayerPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const udp = yield* Udp
    const clock = yield* Clock
    const crypto = yield* Crypto
    const entropy = yield* Entropy
    const trace = yield* Trace
    const faultPoint = yield* FaultPoints
    const socket = yield* udp.bind({ port: 0, slots: SLOTS }).pipe(Effect.mapError(portUnavailable))
    const shell = new SessionShell(socket, clock, crypto.batches)
    const pilot = new Pilot({
      random: entropy.source("pilot"),
      speedPercent: options.cheat === "speed" ? 200 : 100,
      leashM: options.leashM ?? 80
    })
    const link = new PlayerLink({
      name: options.name,
      shell,
      trace,
      pilot,
      redundancy: options.redundancy ?? 8,
      haste: options.cheat === "time" ? 2 : 1,
      offsetNs: options.offsetNs ?? 0
    })
    const session = entropy.source("session")
    const connect: Playing["connect"] = ({ identity, ticket, server, serverKey, wallMs }, onEvent) => {
      const endpoint = makeClientEndpoint(
        {
          crypto,
          identity,
          fill: (bytes) => session.fill(bytes),
          wallMs,
          replayWindow: REPLAY_WINDOW,
          faultPoint,
          server,
          serverKey,
          ticket,
          onReady: () => {}
        },
        shell.outbox,
        link
      )
      shell.drive(endpoint, onEvent, link)
      shell.act((nowNs) => endpoint.connect(nowNs))
      return endpoint
    }
    shell.drive(IDLE, () => {}, link)
    yield* Effect.addFinalizer(() => Effect.sync(() => shell.rest()))
    return { options, shell, link, connect, trace }
  })

/** One ticket, one session, to its end; nothing that goes wrong here is for ever. Gives the ticket if it can be used again. */
const attempt = (
  playing: Playing,
  backoff: Backoff,
  held: Admission | undefined
): Effect.Effect<Admission | undefined> =>
  Effect.gen(function* () {
    const { options, trace } = playing
    const holds = held !== undefined && held.wallMs() + TICKET_LEAST_MS < held.expiresMs
    const asked = holds ? Result.succeed(held) : yield* Effect.result(options.admission)
    if (Result.isFailure(asked)) {
      const { reason, message } = asked.failure
      trace("broker-link.attempt", { outcome: "failed", what: "ticket", reason: `${reason}: ${message}` })
      return undefined
    }
    const admission = asked.success
    const events = yield* Queue.dropping<SessionEvent>(16)
    const endpoint = playing.connect(admission, (event) => Queue.offerUnsafe(events, event))
    const stood = yield* session(playing, endpoint, events, backoff).pipe(
      Effect.ensuring(Effect.sync(() => leave(playing, endpoint)))
    )
    return stood ? admission : undefined
  })

/** From the handshake to the end of the session; whether it ever stood. */
const session = (
  playing: Playing,
  endpoint: ClientEndpoint,
  events: Queue.Queue<SessionEvent>,
  backoff: Backoff
): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const { shell, link, trace } = playing
    const first = Option.getOrUndefined(yield* Effect.timeoutOption(Queue.take(events), HANDSHAKE_MS))
    if (first?.kind !== "established") {
      traceEnd(trace, endpoint, first)
      return false
    }
    trace("session.established", {
      role: "client",
      connectionId: first.connectionId,
      peer: formatEndpoint(first.peer),
      subject: first.subject.deviceId
    })
    shell.act((nowNs) => link.open(nowNs, endpoint))
    for (;;) {
      const next = Option.getOrUndefined(yield* Effect.timeoutOption(Queue.take(events), LOOK_EVERY_MS))
      if (next !== undefined && next.kind !== "roamed") {
        traceEnd(trace, endpoint, next)
        return true
      }
      if (link.player.phase === "playing") backoff.reset()
      if (shell.act((nowNs) => nowNs - link.heardNs > SILENT_NS)) {
        trace("session.closed", {
          role: "client",
          connectionId: first.connectionId,
          reason: `the game server has said nothing for ${SILENT_NS / 1e9} s`
        })
        return true
      }
    }
  })

const leave = ({ shell, link, trace, options }: Playing, endpoint: ClientEndpoint): void => {
  const { prediction } = link.player
  shell.act((nowNs) => {
    link.close()
    endpoint.close(nowNs, CLOSE.normal)
  })
  shell.drive(IDLE, () => {}, link)
  if (prediction === undefined) return
  trace("fact", { name: `player-reconciled:${options.name}`, value: prediction.reconciled })
  trace("fact", { name: `player-corrected:${options.name}`, value: prediction.corrected })
  trace("fact", { name: `player-error-max-mm:${options.name}`, value: Math.ceil(prediction.errorMaxUm / 1000) })
}

const traceEnd = (trace: typeof Trace.Service, endpoint: ClientEndpoint, event: SessionEvent | undefined): void => {
  if (event?.kind === "refused") {
    trace("session.refused", {
      role: "client",
      peer: formatEndpoint(event.peer),
      reason: describeClose(event.reason)
    })
    return
  }
  trace("session.closed", {
    role: "client",
    connectionId: event?.kind === "closed" ? event.connectionId : (endpoint.info()?.connectionId ?? 0),
    reason: describeClose(event?.kind === "closed" ? event.reason : CLOSE.handshakeTimeout)
  })
}

/** Nothing to drive: between sessions datagrams are thrown away, and the player's own ticks go on. */
const IDLE: Driven = {
  handleDatagram: () => {},
  handleTimeout: () => {},
  pollTimeout: () => Number.POSITIVE_INFINITY,
  pollEvent: () => undefined
}

const keysUnavailable = (error: KeysError): PlayerError =>
  new PlayerError({ reason: "keys-unavailable", message: error.message })

const portUnavailable = (error: UdpError): PlayerError =>
  new PlayerError({ reason: "port-unavailable", message: error.message })

const noSuchServer = (params: PlayerParams): BrokerCallError =>
  new BrokerCallError({
    reason: "refused",
    passing: true,
    message: `The broker at ${params.brokerUrl} lists no game server named "${params.server}" yet. It will be asked again.`
  })
