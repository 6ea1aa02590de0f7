/**
 * The client: gives this device an address in the tunnel and keeps it there.
 *
 * One loop: pick a gateway that answers, connect, prove the tunnel, carry packets until it is lost, wait a jittered moment,
 * again. The broker is needed for a ticket and not for the tunnel: it may be away while tickets hold. Runs until it is
 * interrupted; what may pass is a status, only what cannot is an error.
 */

import { Backoff, jitterMs } from "@horizon/core/api/backoff.ts"
import { type MemberAgent, type MemberAgentPorts, memberAgent } from "@horizon/core/api/member-agent.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { formatCidr } from "@horizon/core/machine/tunnel/prefix.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Entropy, type RandomSource } from "@horizon/core/port/entropy.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Tun } from "@horizon/core/port/tun.ts"
import type { Udp } from "@horizon/core/port/udp.ts"
import { badSetting, fromKeys, NodeError } from "@horizon/core/server/node-error.ts"
import { every } from "@horizon/core/server/server.ts"
import { pinnedBrokerKey } from "@horizon/core/server/settings.ts"
import { bindSocket } from "@horizon/core/server/socket.ts"
import { Effect, type Scope } from "effect"
import { Connector } from "./connector.ts"
import { Gateways } from "./gateways.ts"
import { type ClientParts, traceSamples } from "./metrics.ts"
import { personalKey } from "./personal-key.ts"
import type { Setback } from "./setback.ts"
import type { ClientConfig } from "./settings.ts"
import { StatusBoard, StatusSink } from "./status.ts"

export type ClientPorts = Udp | Tun | MemberAgentPorts

/** The first attempt after a loss comes within this, ms: most losses are short, and a hundred clients must not come at once. */
const FIRST_RETRY_MS = 100
/** Between attempts when a person must act first, ms. */
const LATER_MS = [15_000, 30_000] as const
/** How often the broker is asked in the background while the tunnel is up, ms; more often while it is away, to see it return. */
const REFRESH_MS = [20_000, 40_000] as const
const REFRESH_AWAY_MS = [5_000, 10_000] as const

/** Runs a client; never ends by itself. Fails if it cannot start, or if the virtual interface cannot be opened. */
export const client = (config: ClientConfig): Effect.Effect<void, NodeError, ClientPorts> =>
  Effect.gen(function* () {
    const running = yield* assemble(config)
    const trace = yield* Trace
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        running.connector.closeDevice(),
        Effect.sync(() => running.board.set("stopped", "The client was stopped."))
      )
    )
    // None of these ends but by a bug, which then stops the client instead of leaving it half alive.
    const connected = Effect.andThen(running.gateways.prepare(), keepConnected(running))
    return yield* Effect.raceAllFirst([
      connected,
      refreshing(running),
      every(config.sampleSeconds, () => traceSamples(running, trace))
    ])
  }).pipe(Effect.scoped)

interface RunningClient extends ClientParts {
  readonly board: StatusBoard
  readonly backoff: Backoff
  readonly random: RandomSource
  readonly faultPoint: (name: string) => boolean
  /** Whether the tunnel was proved since the last loss. */
  proved: boolean
}

/** Reads identity and caches, opens the socket and builds the parts. */
const assemble = (config: ClientConfig): Effect.Effect<RunningClient, NodeError, ClientPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const agent = yield* member(config)
    const socket = yield* bindSocket(config)
    const clock = yield* Clock
    const crypto = yield* Crypto
    const trace = yield* Trace
    const tun = yield* Tun
    const entropy = yield* Entropy
    const faultPoint = yield* FaultPoints
    const sink = yield* StatusSink
    const lifecycle = yield* Lifecycle
    const shell = new SessionShell(socket, clock, crypto.batches)
    const board = new StatusBoard(trace, sink)
    const backoffRandom = entropy.source("backoff")
    const probeRandom = entropy.source("probe")
    const gateways = new Gateways({
      agent,
      shell,
      board,
      trace,
      fill: (bytes) => probeRandom.fill(bytes),
      nowNs: clock.nowNs,
      pinned: config.server
    })
    let announced = false
    const connector = new Connector({
      agent,
      shell,
      board,
      trace,
      crypto,
      random: entropy.source("session"),
      tun,
      faultPoint,
      interface: config.interface,
      onProved: (parameters, server) => {
        running.proved = true
        running.backoff.reset()
        if (announced) return
        announced = true
        const address = formatCidr(parameters.address, parameters.prefixLength)
        lifecycle.ready({ address, server, deviceId: deviceId(crypto, agent.identity.publicKey) })
      }
    })
    const backoff = new Backoff(backoffRandom)
    const running: RunningClient = {
      socket,
      shell,
      board,
      gateways,
      connector,
      backoff,
      random: backoffRandom,
      faultPoint,
      proved: false
    }
    return running
  })

const member = (config: ClientConfig): Effect.Effect<MemberAgent, NodeError, MemberAgentPorts> =>
  Effect.gen(function* () {
    const key = yield* personalKey(config.personalKey)
    if (key === undefined)
      return yield* badSetting(
        "personalKey: there is none. Ask the network's administrator for one (hzp_…) and give it once."
      )
    return yield* memberAgent({ brokerUrl: config.brokerUrl, personalKey: key, ...pinnedBrokerKey(config) })
  }).pipe(Effect.mapError((error) => (error instanceof NodeError ? error : fromKeys(error))))

/** The loop. Each round ends with a setback, which says how to go on. */
const keepConnected = (running: RunningClient): Effect.Effect<never, NodeError> =>
  Effect.forever(
    Effect.gen(function* () {
      running.proved = false
      const setback = yield* oneRound(running)
      running.board.set(setback.state, setback.detail)
      // The planted liveness bug: a client that gives up after its first loss.
      if (running.proved && running.faultPoint("client.reconnect.never")) return yield* Effect.never
      yield* Effect.sleep(pauseMs(running, setback))
    })
  )

/** From no tunnel to a tunnel to no tunnel. */
const oneRound = (running: RunningClient): Effect.Effect<Setback, NodeError> => {
  const { gateways, connector } = running
  return gateways.pick().pipe(
    Effect.flatMap((ticket) =>
      connector.run(ticket).pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error._tag !== "Setback") return
            if (error.dropTicket) gateways.dropTicket(ticket)
            if (error.avoidServer) gateways.avoid(ticket.server.record.id)
          })
        )
      )
    ),
    Effect.catch((error) => (error instanceof NodeError ? Effect.fail(error) : Effect.succeed(error)))
  )
}

const pauseMs = ({ random, backoff, proved, gateways }: RunningClient, setback: Setback): number => {
  const { again } = setback
  if (again === "later" || (again === "elsewhere" && !gateways.hasAlternative())) return jitterMs(random, ...LATER_MS)
  return proved ? jitterMs(random, 0, FIRST_RETRY_MS) : backoff.nextMs()
}

/** Asks the broker now and then while the tunnel is up: for the next ticket in good time, and to know whether it is there. */
const refreshing = ({ board, gateways, random }: RunningClient): Effect.Effect<never> =>
  Effect.suspend(() => {
    const away = board.status.broker.state === "away"
    const [lowMs, highMs] = away ? REFRESH_AWAY_MS : REFRESH_MS
    return Effect.sleep(jitterMs(random, lowMs, highMs))
  }).pipe(
    Effect.andThen(Effect.suspend(() => (board.status.state === "connected" ? gateways.refresh() : Effect.void))),
    Effect.forever
  )
