/** The figures of a gateway: what an operator or a report wants to know, read at one moment. */

import type { ServerAgent } from "@horizon/core/api/server-agent.ts"
import type { ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { FATE_NAMES } from "@horizon/core/machine/tunnel/switch.ts"
import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
import { traceFigures, traceTraffic } from "@horizon/core/server/metrics.ts"
import { DROP_NAMES } from "@horizon/core/wire/drop.ts"
import type { LeaseKeeper } from "./lease-keeper.ts"
import type { Members } from "./members.ts"

export interface GatewayMetrics {
  readonly sessions: number
  /** Addresses in use or kept, and how many there can be. */
  readonly leases: number
  readonly leasesMax: number
  readonly forwardedPackets: number
  readonly forwardedBytes: number
  /** Of the packets that went out: answers to echo requests, copies of those to all, ICMP errors. And how many packets were for all. */
  readonly echoReplies: number
  readonly broadcastCopies: number
  readonly unreachablesSent: number
  readonly broadcasts: number
  /** Tunnel packets by what became of them (FATE). */
  readonly packets: Readonly<Record<string, number>>
  /** Datagrams dropped by the session machine, by reason. */
  readonly datagramDrops: Readonly<Record<string, number>>
  /** Datagrams that the socket dropped, in and out. */
  readonly socketDropsIn: number
  readonly socketDropsOut: number
  /** Valid tickets that were refused, and those of them for want of an address. */
  readonly refused: number
  readonly exhausted: number
  /** Writes of the leases that failed. */
  readonly leaseWriteFailures: number
  readonly brokerLink: string
}

export interface GatewayParts {
  readonly members: Members
  readonly endpoint: ServerEndpoint
  readonly socket: UdpSocket
  readonly keeper: LeaseKeeper
  readonly agent: ServerAgent
  readonly shell: SessionShell
}

export const gatewayMetrics = (parts: GatewayParts): GatewayMetrics => {
  const { members, endpoint, socket } = parts
  const udp = socket.stats()
  return {
    sessions: members.book.size,
    leases: members.pool.size,
    leasesMax: members.pool.capacity,
    forwardedPackets: members.fabric.forwardedPackets,
    forwardedBytes: members.fabric.forwardedBytes,
    echoReplies: members.fabric.echoReplies,
    broadcastCopies: members.fabric.broadcastCopies,
    unreachablesSent: members.fabric.unreachablesSent,
    broadcasts: members.fabric.broadcasts,
    packets: named(FATE_NAMES, members.fabric.fates),
    datagramDrops: named(DROP_NAMES, endpoint.drops),
    socketDropsIn: udp.dropsIn,
    socketDropsOut: udp.dropsOut,
    refused: members.refused,
    exhausted: members.exhausted,
    leaseWriteFailures: parts.keeper.failures,
    brokerLink: parts.agent.state().link
  }
}

/** Writes all figures of a gateway into the trace, in one call, so that they are of one moment; the first is always `gateway.sessions`. */
export const traceSamples = (parts: GatewayParts, trace: TraceWriter): void => {
  traceMetrics(gatewayMetrics(parts), trace)
  traceTraffic("gateway", parts.endpoint.traffic(), parts.shell.unattended, trace)
  traceFigures("gateway.udp", parts.socket, trace)
  const { host } = parts.members
  if (host !== undefined) traceFigures("gateway.tun", host.device, trace)
}

/** Writes the figures that change while a gateway runs into the trace: those that are not zero. */
const traceMetrics = (metrics: GatewayMetrics, trace: TraceWriter): void => {
  const sample = (name: string, value: number, unit: string): void => trace("sample", { name, value, unit })
  sample("gateway.sessions", metrics.sessions, "sessions")
  sample("gateway.leases", metrics.leases, "addresses")
  sample("gateway.forwarded", metrics.forwardedPackets, "packets")
  sample("gateway.forwarded-bytes", metrics.forwardedBytes, "bytes")
  sample("gateway.delivered", metrics.packets["delivered"], "packets")
  sample("gateway.echo-replies", metrics.echoReplies, "packets")
  if (metrics.broadcasts > 0) sample("gateway.broadcasts", metrics.broadcasts, "packets")
  if (metrics.broadcastCopies > 0) sample("gateway.broadcast-copies", metrics.broadcastCopies, "packets")
  if (metrics.unreachablesSent > 0) sample("gateway.unreachables", metrics.unreachablesSent, "packets")
  for (const [name, value] of Object.entries(metrics.packets))
    if (name !== "delivered" && value > 0) sample(`gateway.dropped.${name}`, value, "packets")
  for (const [name, value] of Object.entries(metrics.datagramDrops))
    if (value > 0) sample(`gateway.datagram-dropped.${name}`, value, "packets")
}

const named = (names: ReadonlyArray<string>, counts: ArrayLike<number>): Record<string, number> => {
  const record: Record<string, number> = {}
  for (const [i, name] of names.entries()) record[name] = counts[i] ?? 0
  return record
}
