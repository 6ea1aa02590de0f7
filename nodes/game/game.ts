/**
 * The game server: players connect to it by the session protocol and move in one world that it alone decides on.
 *
 * It runs until it is interrupted. The packet path is socket → shell → session endpoint → game machine → outbox, plain calls; ticks
 * are the shell's one timer at absolute deadlines. Round it are a few fibers: the link to the broker, reports and samples. The broker
 * may be away at any time, also when the game server starts: tickets are checked offline with the broker's cached key.
 */

import type { ServerAgent } from "@horizon/core/api/server-agent.ts"
import { CLOSE, type ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import type { Udp, UdpSocket } from "@horizon/core/port/udp.ts"
import { heartbeatMetrics, traceFigures } from "@horizon/core/server/metrics.ts"
import { badSetting, type NodeError } from "@horizon/core/server/node-error.ts"
import { type BrokerLinkPorts, brokerLink, every, sessionEndpoint } from "@horizon/core/server/server.ts"
import { advertisedEndpoint, bindSocket } from "@horizon/core/server/socket.ts"
import { type Endpoint, formatEndpoint } from "@horizon/core/wire/address.ts"
import { Effect, type Scope } from "effect"
import { Arena } from "./arena.ts"
import { traceSamples } from "./metrics.ts"
import { GAME_WORDS, type GameConfig } from "./settings.ts"

export type GamePorts = Udp | BrokerLinkPorts

/** How long a stopping game server waits for its goodbyes and last reports to leave, ms. */
const FAREWELL_MS = 500
/** Everything in sight must fit the wire's relative positions, metres. */
const SIGHT_MAX_M = 131

/** Runs a game server; never ends by itself. Fails if it cannot start: bad setting, port taken, key store damaged or not usable. */
export const game = (config: GameConfig): Effect.Effect<void, NodeError, GamePorts> =>
  Effect.gen(function* () {
    yield* checkSettings(config)
    const socket = yield* bindSocket(config)
    const address = yield* advertisedEndpoint(config, GAME_WORDS, socket.local)
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
      every(config.reportSeconds, () => arena.book.reportAlive()),
      every(config.sampleSeconds, () => {
        traceSamples(arena, endpoint, trace)
        traceFigures("game.udp", socket, trace)
      })
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
): Effect.Effect<RunningGame, NodeError, BrokerLinkPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const trace = yield* Trace
    const faultPoint = yield* FaultPoints
    const shell = new SessionShell(socket, clock, (yield* Crypto).batches)
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
    const agent = yield* brokerLink(config, "game", config.playersMax, address, {
      metrics: () => heartbeatMetrics(arena.book.size, config.playersMax, sessions, socket),
      onRevoked: (ticket) => shell.act((nowNs) => arena.book.endRevoked(nowNs, ticket))
    })
    sessions = yield* sessionEndpoint(config, config.playersMax, agent, shell, arena, faultPoint)
    arena.attach(clock.nowNs(), sessions)
    shell.drive(sessions, (event) => arena.onEvent(event), arena)
    return { arena, endpoint: sessions, agent, shell }
  })

/** What single settings cannot know of each other. */
const checkSettings = (config: GameConfig): Effect.Effect<void, NodeError> => {
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

/** Says goodbye to every player and gives the broker a moment to hear of it. */
const farewell = (running: RunningGame): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hadSessions = running.arena.book.size > 0
    running.arena.closing = true
    running.shell.act((nowNs) => running.endpoint.closeAll(nowNs, CLOSE.shutdown))
    if (hadSessions) yield* Effect.sleep(FAREWELL_MS)
    running.shell.rest()
  })
