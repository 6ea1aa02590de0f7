/**
 * The gateway: members connect to it by the session protocol and reach each other through their tunnels.
 *
 * It runs until it is interrupted. The packet path is socket → shell → session endpoint → switch → outbox, plain calls. Round it
 * are a few fibers: the link to the broker, the keeper of the leases, reports and samples. The broker may be away at any time,
 * also when the gateway starts: tickets are checked offline with the broker's cached key.
 */

import { fromBase64Url } from "@horizon/core/api/base64url.ts"
import type { ServerAgentPorts } from "@horizon/core/api/server-agent.ts"
import { type ServerAgent, serverAgent } from "@horizon/core/api/server-agent.ts"
import { makeServerEndpoint } from "@horizon/core/machine/session/server.ts"
import { CLOSE, type ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { formatCidr, gatewayAddress, type Prefix, parsePrefix } from "@horizon/core/machine/tunnel/prefix.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Entropy } from "@horizon/core/port/entropy.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Keys } from "@horizon/core/port/keys.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatEndpoint, parseAddress } from "@horizon/core/wire/address.ts"
import { Effect, type Scope } from "effect"
import { badSetting, fromKeys, fromUdp, type GatewayError } from "./error.ts"
import { LeaseKeeper } from "./lease-keeper.ts"
import { Members } from "./members.ts"
import { type GatewayParts, gatewayMetrics, heartbeatMetrics, traceMetrics } from "./metrics.ts"
import type { GatewayConfig } from "./settings.ts"

export type GatewayPorts = Udp | ServerAgentPorts

/** How long a stopping gateway waits for its last reports to leave, ms. */
const FAREWELL_MS = 500

/** Runs a gateway; never ends by itself. Fails if it cannot start: bad setting, port taken, key store damaged or not usable. */
export const gateway = (config: GatewayConfig): Effect.Effect<void, GatewayError, GatewayPorts> =>
  Effect.gen(function* () {
    const prefix = yield* prefixOf(config)
    const socket = yield* bind(config)
    const endpoint = yield* advertised(config, socket)
    const parts = yield* assemble(config, prefix, socket, endpoint)
    const trace = yield* Trace
    yield* Effect.addFinalizer(() => farewell(parts))
    const lifecycle = yield* Lifecycle
    lifecycle.ready({
      endpoint: formatEndpoint(endpoint),
      serverId: parts.agent.serverId,
      network: config.network,
      tunnelAddress: formatCidr(gatewayAddress(prefix), prefix.length)
    })
    // None of these ends but by a bug, which then stops the gateway instead of leaving it half alive.
    return yield* Effect.raceAllFirst([
      parts.agent.ended,
      parts.keeper.run,
      every(config.reportSeconds, () => parts.members.reportAlive()),
      every(config.sampleSeconds, () => traceMetrics(gatewayMetrics(parts), trace))
    ])
  }).pipe(Effect.scoped)

/** What a running gateway consists of, with the shell that drives it. */
interface RunningGateway extends GatewayParts {
  readonly shell: SessionShell
}

/** Builds the parts and starts serving. */
const assemble = (
  config: GatewayConfig,
  prefix: Prefix,
  socket: UdpSocket,
  endpoint: Endpoint
): Effect.Effect<RunningGateway, GatewayError, ServerAgentPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const keys = yield* Keys
    const trace = yield* Trace
    const faultPoint = yield* FaultPoints
    const members: Members = new Members({
      ...config,
      prefix,
      faultPoint,
      trace,
      brokerNowMs: () => agent.brokerNowMs(),
      isRevoked: (subject) => agent.isRevoked(subject),
      report: (report) => agent.reportConnections([report]),
      onLeasesChanged: () => keeper.changed()
    })
    const keeper = new LeaseKeeper(members.pool, keys, clock)
    yield* keeper.restore()
    members.traceRestored()
    const shell = new SessionShell(socket, clock)
    let sessions: ServerEndpoint | undefined
    const agent = yield* brokerLink(config, endpoint, {
      metrics: () => heartbeatMetrics(members, sessions, socket, config.sessionsMax),
      onRevoked: (ticket) => shell.act((nowNs) => members.endRevoked(nowNs, ticket.deviceId, ticket.expiresMs))
    })
    sessions = yield* sessionEndpoint(config, members, agent, shell, faultPoint)
    members.attach(sessions, shell)
    shell.drive(sessions, (event) => members.onEvent(event), members)
    return { members, endpoint: sessions, socket, keeper, agent, shell }
  })

const sessionEndpoint = (
  config: GatewayConfig,
  members: Members,
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
        // The broker's clock decides when a ticket has expired, so a step of this host's clock does not shut members out.
        wallMs: () => agent.brokerNowMs(),
        replayWindow: config.replayWindow,
        faultPoint,
        brokerKey: () => agent.brokerKey(),
        admit: (subject) => members.admit(subject),
        parameters: (session, subject) => members.parameters(session, subject),
        sessionsMax: config.sessionsMax,
        worker: 0
      },
      shell.outbox,
      members
    )
  })

const brokerLink = (
  config: GatewayConfig,
  endpoint: Endpoint,
  callbacks: Pick<Parameters<typeof serverAgent>[0], "metrics" | "onRevoked">
): Effect.Effect<ServerAgent, GatewayError, ServerAgentPorts | Scope.Scope> => {
  const brokerKey = config.brokerKey === "" ? undefined : fromBase64Url(config.brokerKey)
  return serverAgent({
    name: config.name,
    kind: "gateway",
    endpoint,
    region: config.region,
    capacity: config.sessionsMax,
    capabilities: ["ipv4"],
    brokerUrl: config.brokerUrl,
    registrationKey: config.registrationKey,
    ...(brokerKey === undefined ? {} : { brokerKey }),
    ...callbacks
  }).pipe(Effect.mapError(fromKeys))
}

const prefixOf = (config: GatewayConfig): Effect.Effect<Prefix, GatewayError> => {
  const prefix = parsePrefix(config.network)
  if (prefix !== undefined) return Effect.succeed(prefix)
  const message = `network: "${config.network}" cannot be used. Give an IPv4 prefix from /16 to /29 without host bits, such as 10.77.0.0/16.`
  return Effect.fail(badSetting(message))
}

const bind = (config: GatewayConfig): Effect.Effect<UdpSocket, GatewayError, Udp | Scope.Scope> =>
  Effect.gen(function* () {
    const udp = yield* Udp
    const address = config.listenAddress === "" ? {} : { address: config.listenAddress }
    return yield* udp.bind({ ...address, port: config.port })
  }).pipe(Effect.mapError(fromUdp))

/** Where members are told to connect: as configured, else where the socket listens. */
const advertised = (config: GatewayConfig, socket: UdpSocket): Effect.Effect<Endpoint, GatewayError> => {
  const address = config.advertiseAddress === "" ? socket.local.address : config.advertiseAddress
  const port = config.advertisePort === 0 ? socket.local.port : config.advertisePort
  if (!parseAddress(address, new Uint32Array(4), 0))
    return Effect.fail(
      badSetting(`advertiseAddress: "${address}" is no IPv4 or IPv6 address (names are not resolved).`)
    )
  if (address === "0.0.0.0" || address === "::")
    return Effect.fail(
      badSetting("advertiseAddress: the gateway listens on every address; say at which one members reach it.")
    )
  return Effect.succeed({ address, port })
}

/** Says goodbye to every member, hears nobody any more, keeps the leases and gives the broker a moment to hear of it. */
const farewell = (parts: RunningGateway): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hadSessions = parts.members.size > 0
    parts.shell.act((nowNs) => parts.endpoint.closeAll(nowNs, CLOSE.shutdown))
    parts.shell.rest()
    yield* parts.keeper.save()
    if (hadSessions) yield* Effect.sleep(FAREWELL_MS)
  })

const every = (seconds: number, work: () => void): Effect.Effect<never> =>
  Effect.forever(Effect.andThen(Effect.sleep(seconds * 1_000), Effect.sync(work)))
