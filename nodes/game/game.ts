/**
 * The game server: players connect to it by the session protocol and move in one world that it alone decides on.
 *
 * It runs until it is interrupted. The packet path is socket → shell → session endpoint → game machine → outbox, plain calls; ticks
 * are the shell's one timer at absolute deadlines. Round it are a few fibers: the link to the broker, reports and samples. The broker
 * may be away at any time, also when the game server starts: tickets are checked offline with the broker's cached key.
 */

import { fromBase64Url } from "@horizon/core/api/base64url.ts"
import { type ServerAgent, type ServerAgentPorts, serverAgent } from "@horizon/core/api/server-agent.ts"
import { makeServerEndpoint } from "@horizon/core/machine/session/server.ts"
import { CLOSE, type ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Entropy } from "@horizon/core/port/entropy.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatEndpoint, parseAddress } from "@horizon/core/wire/address.ts"
import { Effect, type Scope } from "effect"
import { Arena } from "./arena.ts"
import { badSetting, fromKeys, fromUdp, type GameError } from "./error.ts"
import { heartbeatMetrics, traceSamples } from "./metrics.ts"
import type { GameConfig } from "./settings.ts"

export type GamePorts = Udp | ServerAgentPorts

/** How long a stopping game server waits for its goodbyes and last reports to leave, ms. */
const FAREWELL_MS = 500
/** Everything in sight must fit the wire's relative positions, metres. */
const SIGHT_MAX_M = 131

/** Runs a game server; never ends by itself. Fails if it cannot start: bad setting, port taken, key store damaged or not usable. */
export const game = (config: GameConfig): Effect.Effect<void, GameError, GamePorts> =>
  Effect.gen(function* () {
    yield* checkSettings(config)
    const socket = yield* bind(config)
    const address = yield* advertised(config, socket)
    const running = yield* assemble(config, socket, address)
    const { arena, endpoint } = running
    const trace = yield* Trace
    yield* Effect.addFinalizer(() => farewell(running))
    const lifecycle = yield* Lifecycle
    lifecycle.ready({
      endpoint: formatEndpoint(address),
      serverId: running.agent.serverId,
      playersMax: config.playersMax,
      tickRateHz: config.tickRateHz
    })
    // None of these ends but by a bug, which then stops the game server instead of leaving it half alive.
    return yield* Effect.raceAllFirst([
      running.agent.ended,
      every(config.reportSeconds, () => arena.reportAlive()),
      every(config.sampleSeconds, () => traceSamples(arena, endpoint, trace))
    ])
  }).pipe(Effect.scoped)

interface RunningGame {
  readonly arena: Arena
  readonly endpoint: ServerEndpoint
  readonly agent: ServerAgent
  readonly shell: SessionShell
}

/** Builds the parts and starts serving. */
const assemble = (
  config: GameConfig,
  socket: UdpSocket,
  address: Endpoint
): Effect.Effect<RunningGame, GameError, ServerAgentPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const trace = yield* Trace
    const faultPoint = yield* FaultPoints
    const shell = new SessionShell(socket, clock)
    const arena: Arena = new Arena({
      config,
      shell,
      faultPoint,
      trace,
      nowNs: clock.nowNs,
      brokerNowMs: () => agent.brokerNowMs(),
      isRevoked: (subject) => agent.isRevoked(subject),
      report: (report) => agent.reportConnections([report])
    })
    let sessions: ServerEndpoint | undefined
    const agent = yield* brokerLink(config, address, {
      metrics: () => heartbeatMetrics(arena, sessions, socket, config.playersMax),
      onRevoked: (ticket) => shell.act((nowNs) => arena.endRevoked(nowNs, ticket.deviceId, ticket.expiresMs))
    })
    sessions = yield* sessionEndpoint(config, arena, agent, shell, faultPoint)
    arena.attach(clock.nowNs(), sessions)
    shell.drive(sessions, (event) => arena.onEvent(event), arena)
    return { arena, endpoint: sessions, agent, shell }
  })

const sessionEndpoint = (
  config: GameConfig,
  arena: Arena,
  agent: ServerAgent,
  shell: SessionShell,
  faultPoint: (name: string) => boolean
): Effect.Effect<ServerEndpoint, never, Crypto | Entropy> =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const random = (yield* Entropy).source("session")
    return makeServerEndpoint(
      {
        crypto,
        identity: agent.identity,
        fill: (bytes) => random.fill(bytes),
        // The broker's clock decides when a ticket has expired, so a step of this host's clock does not shut players out.
        wallMs: () => agent.brokerNowMs(),
        replayWindow: config.replayWindow,
        faultPoint,
        brokerKey: () => agent.brokerKey(),
        admit: (subject) => arena.admit(subject),
        parameters: () => NOTHING,
        sessionsMax: config.playersMax,
        worker: 0
      },
      shell.outbox,
      arena
    )
  })

/** READY carries nothing: what a player must know comes with WELCOME, when there is a player. */
const NOTHING = new Uint8Array(0)

const brokerLink = (
  config: GameConfig,
  endpoint: Endpoint,
  callbacks: Pick<Parameters<typeof serverAgent>[0], "metrics" | "onRevoked">
): Effect.Effect<ServerAgent, GameError, ServerAgentPorts | Scope.Scope> => {
  const brokerKey = config.brokerKey === "" ? undefined : fromBase64Url(config.brokerKey)
  return serverAgent({
    name: config.name,
    kind: "game",
    endpoint,
    region: config.region,
    capacity: config.playersMax,
    capabilities: ["ipv4"],
    brokerUrl: config.brokerUrl,
    registrationKey: config.registrationKey,
    ...(brokerKey === undefined ? {} : { brokerKey }),
    ...callbacks
  }).pipe(Effect.mapError(fromKeys))
}

/** What single settings cannot know of each other. */
const checkSettings = (config: GameConfig): Effect.Effect<void, GameError> => {
  const sightM = config.radiusM + config.hysteresisM
  if (sightM > SIGHT_MAX_M)
    return Effect.fail(
      badSetting(`radiusM and hysteresisM together are ${sightM}; they may be ${SIGHT_MAX_M} at most.`)
    )
  if (config.spawnHalfM > config.worldHalfM)
    return Effect.fail(
      badSetting(
        `spawnHalfM is ${config.spawnHalfM}, but the world ends at worldHalfM, ${config.worldHalfM}. Make it smaller.`
      )
    )
  return Effect.void
}

const bind = (config: GameConfig): Effect.Effect<UdpSocket, GameError, Udp | Scope.Scope> =>
  Effect.gen(function* () {
    const udp = yield* Udp
    const address = config.listenAddress === "" ? {} : { address: config.listenAddress }
    return yield* udp.bind({ ...address, port: config.port })
  }).pipe(Effect.mapError(fromUdp))

/** Where players are told to connect: as configured, else where the socket listens. */
const advertised = (config: GameConfig, socket: UdpSocket): Effect.Effect<Endpoint, GameError> => {
  const address = config.advertiseAddress === "" ? socket.local.address : config.advertiseAddress
  const port = config.advertisePort === 0 ? socket.local.port : config.advertisePort
  if (!parseAddress(address, new Uint32Array(4), 0))
    return Effect.fail(
      badSetting(`advertiseAddress: "${address}" is no IPv4 or IPv6 address (names are not resolved).`)
    )
  if (address === "0.0.0.0" || address === "::")
    return Effect.fail(
      badSetting("advertiseAddress: the game server listens on every address; say at which one players reach it.")
    )
  return Effect.succeed({ address, port })
}

/** Says goodbye to every player and gives the broker a moment to hear of it. */
const farewell = (running: RunningGame): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hadSessions = running.arena.size > 0
    running.arena.closing = true
    running.shell.act((nowNs) => running.endpoint.closeAll(nowNs, CLOSE.shutdown))
    if (hadSessions) yield* Effect.sleep(FAREWELL_MS)
    running.shell.rest()
  })

const every = (seconds: number, work: () => void): Effect.Effect<never> =>
  Effect.forever(Effect.andThen(Effect.sleep(seconds * 1_000), Effect.sync(work)))
