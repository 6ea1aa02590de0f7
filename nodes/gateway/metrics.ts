/** The figures of a gateway: what an operator or a report wants to know, read at one moment. */

import type { ServerAgent } from "@horizon/core/api/server-agent.ts"
import type { ServerEndpoint } from "@horizon/core/machine/session/session.ts"
import { FATE_NAMES } from "@horizon/core/machine/tunnel/switch.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
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

/** Writes the figures that change while a gateway runs into the trace: those that are not zero. */
export const traceMetrics = (metrics: GatewayMetrics, trace: TraceWriter): void => {
  const sample = (name: string, value: number, unit: string): void => trace("sample", { name, value, unit })
  sample("gateway.sessions", metrics.sessions, "sessions")
  sample("gateway.leases", metrics.leases, "addresses")
  sample("gateway.forwarded", metrics.forwardedPackets, "packets")
  sample("gateway.forwarded-bytes", metrics.forwardedBytes, "bytes")
  sample("gateway.delivered", metrics.packets["delivered"], "packets")
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
