/** The figures of a client: what passed it, and what it dropped and why, read at one moment. */

import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
import { traceFigures, traceTraffic } from "@horizon/core/server/metrics.ts"
import { namedDrops } from "@horizon/core/wire/drop.ts"
import type { Connector } from "./connector.ts"
import type { Gateways } from "./gateways.ts"
import { LINK_DROP_NAMES } from "./tunnel-link.ts"

export interface ClientParts {
  readonly socket: UdpSocket
  readonly shell: SessionShell
  readonly gateways: Gateways
  readonly connector: Connector
}

/**
 * Writes all figures into the trace, in one call, so that they are of one moment; the first is always `client.sessions`. They are of the whole
 * life of the client, but those of the interface begin anew with each one. Drops that are zero are left out.
 */
export const traceSamples = ({ connector, gateways, shell, socket }: ClientParts, trace: TraceWriter): void => {
  const { link, session } = connector
  trace("sample", { name: "client.sessions", value: session?.state === "established" ? 1 : 0, unit: "sessions" })
  const packets = (name: string, value: number): void =>
    trace("sample", { name: `client.${name}`, value, unit: "packets" })
  for (const [code, name] of LINK_DROP_NAMES.entries())
    if (link.drops[code] > 0) packets(`dropped.${name}`, link.drops[code])
  for (const [name, count] of Object.entries(namedDrops(connector.drops()))) packets(`datagram-dropped.${name}`, count)
  traceTraffic("client", connector.traffic(), shell.unattended, trace)
  packets("probe.packets-in", gateways.probes.answered)
  packets("probe.packets-out", gateways.probes.sent)
  if (gateways.probes.stray > 0) packets("datagram-dropped.stray", gateways.probes.stray)
  packets("proof.packets-in", link.proofsIn)
  packets("proof.packets-out", link.proofsOut)
  traceFigures("client.udp", socket, trace)
  if (link.device !== undefined) traceFigures("client.tun", link.device, trace)
}
