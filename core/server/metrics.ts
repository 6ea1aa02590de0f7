/** Figures that every kind of server has: what it tells the broker with each heartbeat, and what its sockets and devices say of themselves. */

import type { ServerMetrics } from "../api/server.ts"
import type { ServerEndpoint } from "../machine/session/session.ts"
import type { SessionTraffic } from "../machine/session/traffic.ts"
import type { TraceWriter } from "../port/trace.ts"
import type { UdpSocket } from "../port/udp.ts"

/** `sessions` of at most `sessionsMax` are established; `endpoint` is undefined while the server starts. */
export const heartbeatMetrics = (
  sessions: number,
  sessionsMax: number,
  endpoint: Pick<ServerEndpoint, "sessions" | "info"> | undefined,
  socket: Pick<UdpSocket, "stats">
): Omit<ServerMetrics, "uptimeMs"> => {
  const udp = socket.stats()
  return {
    sessions,
    loadPpm: Math.min(1_000_000, Math.floor((sessions * 1_000_000) / sessionsMax)),
    rttUs: endpoint === undefined ? null : medianRttUs(endpoint),
    bytesIn: udp.bytesIn,
    bytesOut: udp.bytesOut
  }
}

/** The lower median of the sessions that have a round-trip time, microseconds. */
const medianRttUs = (endpoint: Pick<ServerEndpoint, "sessions" | "info">): number | null => {
  const rtts: Array<number> = []
  for (const session of endpoint.sessions()) {
    const rttNs = endpoint.info(session)?.rttNs ?? 0
    if (rttNs > 0) rtts.push(Math.floor(rttNs / 1_000))
  }
  if (rtts.length === 0) return null
  return rtts.sort((a, b) => a - b)[Math.floor((rtts.length - 1) / 2)]
}

/** What a socket or device says of itself. */
interface Figured {
  readonly stats: () => {
    readonly packetsIn: number
    readonly packetsOut: number
    readonly dropsIn: number
    readonly dropsOut: number
  }
  readonly figures?: () => Readonly<Record<string, number>>
}

/**
 * Writes what passed a socket or device, what it dropped if it did, and what only its implementation knows (system calls, offloads in use), into
 * the trace as `name.…`.
 */
export const traceFigures = (name: string, from: Figured, trace: TraceWriter): void => {
  const { dropsIn, dropsOut, packetsIn, packetsOut } = from.stats()
  const packets = (figure: string, value: number): void =>
    trace("sample", { name: `${name}.${figure}`, value, unit: "packets" })
  packets("packets-in", packetsIn)
  packets("packets-out", packetsOut)
  if (dropsIn > 0) packets("drops-in", dropsIn)
  if (dropsOut > 0) packets("drops-out", dropsOut)
  for (const [figure, value] of Object.entries(from.figures?.() ?? {}))
    trace("sample", { name: `${name}.${kebab(figure)}`, value, unit: "" })
}

/**
 * Writes what an endpoint has taken and made, by kind, into the trace: with the socket's figures and the drops every datagram of the node is
 * accounted for (core/machine/session/traffic.ts says how). `unattended` came while there was no endpoint (SessionShell).
 */
export const traceTraffic = (name: string, traffic: SessionTraffic, unattended: number, trace: TraceWriter): void => {
  const packets = (figure: string, value: number): void =>
    trace("sample", { name: `${name}.${figure}`, value, unit: "packets" })
  packets("session.packets-in", traffic.packetsIn)
  packets("session.packets-out", traffic.packetsOut)
  packets("session.control-in", traffic.controlIn)
  packets("session.control-out", traffic.controlOut)
  if (traffic.discarded > 0) packets("session.discarded", traffic.discarded)
  packets("handshake.packets-in", traffic.handshakesIn)
  packets("handshake.packets-out", traffic.handshakesOut)
  if (unattended > 0) packets("datagram-dropped.unattended", unattended)
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
