/**
 * The gateway: members connect to it by the session protocol and reach each other through their tunnels.
 *
 * It runs until it is interrupted. The packet path is socket → shell → session endpoint → switch → outbox, plain calls. Round it
 * are a few fibers: the link to the broker, the keeper of the leases, reports and samples. The broker may be away at any time,
 * also when the gateway starts: tickets are checked offline with the broker's cached key.
 */

import { CLOSE, type ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { formatCidr, gatewayAddress, type Prefix, parsePrefix } from "@horizon/core/machine/tunnel/prefix.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Keys } from "@horizon/core/port/keys.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Tun } from "@horizon/core/port/tun.ts"
import type { Udp, UdpSocket } from "@horizon/core/port/udp.ts"
import { heartbeatMetrics } from "@horizon/core/server/metrics.ts"
import { badSetting, fromTun, type NodeError } from "@horizon/core/server/node-error.ts"
import { type BrokerLinkPorts, brokerLink, every, sessionEndpoint } from "@horizon/core/server/server.ts"
import { advertisedEndpoint, bindSocket } from "@horizon/core/server/socket.ts"
import { type Endpoint, formatEndpoint } from "@horizon/core/wire/address.ts"
import { SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"
import { Effect, type Scope } from "effect"
import { HostLink } from "./host-link.ts"
import { LeaseKeeper } from "./lease-keeper.ts"
import { Members } from "./members.ts"
import { type GatewayParts, traceSamples } from "./metrics.ts"
import { GATEWAY_WORDS, type GatewayConfig } from "./settings.ts"

export type GatewayPorts = Udp | Tun | BrokerLinkPorts

/** How long a stopping gateway waits for its last reports to leave, ms. */
const FAREWELL_MS = 500

/** Runs a gateway; never ends by itself. Fails if it cannot start: bad setting, port taken, key store damaged or not usable. */
export const gateway = (config: GatewayConfig): Effect.Effect<void, NodeError, GatewayPorts> =>
  Effect.gen(function* () {
    const prefix = yield* prefixOf(config)
    const socket = yield* bindSocket(config)
    const endpoint = yield* advertisedEndpoint(config, GATEWAY_WORDS, socket.local)
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
      every(config.reportSeconds, () => parts.members.book.reportAlive()),
      every(config.sampleSeconds, () => traceSamples(parts, trace))
    ])
  }).pipe(Effect.scoped)

/** Builds the parts and starts serving. */
const assemble = (
  config: GatewayConfig,
  prefix: Prefix,
  socket: UdpSocket,
  endpoint: Endpoint
): Effect.Effect<GatewayParts, NodeError, Tun | BrokerLinkPorts | Scope.Scope> =>
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
    const shell = new SessionShell(socket, clock, (yield* Crypto).batches)
    let sessions: ServerEndpoint | undefined
    const agent = yield* brokerLink(config, "gateway", config.sessionsMax, endpoint, {
      metrics: () => heartbeatMetrics(members.book.size, config.sessionsMax, sessions, socket),
      onRevoked: (ticket) => shell.act((nowNs) => members.book.endRevoked(nowNs, ticket))
    })
    const datagramBytesMax = config.mtuBytes + SEALED_OVERHEAD_BYTES
    sessions = yield* sessionEndpoint(
      { ...config, datagramBytesMax },
      config.sessionsMax,
      agent,
      shell,
      members,
      faultPoint
    )
    members.attach(sessions, shell)
    members.host = yield* hostLink(config, prefix, members, shell)
    shell.drive(sessions, (event) => members.onEvent(event), members)
    return { members, endpoint: sessions, socket, keeper, agent, shell }
  })

/** The interface of the gateway's own host, if one is asked for. */
const hostLink = (
  config: GatewayConfig,
  prefix: Prefix,
  members: Members,
  shell: SessionShell
): Effect.Effect<HostLink | undefined, NodeError, Tun | Scope.Scope> =>
  Effect.gen(function* () {
    if (config.interface === "") return undefined
    const tun = yield* Tun
    const cidr = formatCidr(gatewayAddress(prefix), prefix.length)
    const device = yield* tun.open({ name: config.interface, cidr, mtuBytes: config.mtuBytes })
    return new HostLink(device, () => members.fabric, shell)
  }).pipe(Effect.mapError((error) => fromTun(error)))

const prefixOf = (config: GatewayConfig): Effect.Effect<Prefix, NodeError> => {
  const prefix = parsePrefix(config.network)
  if (prefix !== undefined) return Effect.succeed(prefix)
  const message = `network: "${config.network}" cannot be used. Give an IPv4 prefix from /16 to /29 without host bits, such as 10.77.0.0/16.`
  return Effect.fail(badSetting(message))
}

/** Says goodbye to every member, hears nobody any more, keeps the leases and gives the broker a moment to hear of it. */
const farewell = (parts: GatewayParts): Effect.Effect<void> =>
  Effect.gen(function* () {
    const hadSessions = parts.members.book.size > 0
    parts.shell.act((nowNs) => parts.endpoint.closeAll(nowNs, CLOSE.shutdown))
    parts.shell.rest()
    yield* parts.keeper.save()
    if (hadSessions) yield* Effect.sleep(FAREWELL_MS)
  })
