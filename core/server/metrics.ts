/** The figures that a server tells the broker with each heartbeat, read at one moment. */

import type { ServerMetrics } from "../api/server.ts"
import type { ServerEndpoint } from "../machine/session/session.ts"
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
