/** The figures of a client: what passed it, and what it dropped and why, read at one moment. */

import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
import { traceFigures, traceSessions } from "@horizon/core/server/metrics.ts"
import { namedDrops } from "@horizon/core/wire/drop.ts"
import type { Connector } from "./connector.ts"
import { LINK_DROP_NAMES } from "./tunnel-link.ts"

/** Writes the figures into the trace; drops that are zero are left out. Those of a session begin anew with each one. */
export const traceSamples = (connector: Connector, socket: UdpSocket, trace: TraceWriter): void => {
  const { link, session } = connector
  const dropped = (name: string, value: number): void => trace("sample", { name, value, unit: "packets" })
  for (const [code, name] of LINK_DROP_NAMES.entries())
    if (link.drops[code] > 0) dropped(`client.dropped.${name}`, link.drops[code])
  if (session !== undefined) {
    for (const [name, count] of Object.entries(namedDrops(session.drops)))
      dropped(`client.datagram-dropped.${name}`, count)
    traceSessions("client.session", [session.info()], trace)
  }
  traceFigures("client.udp", socket, trace)
  if (link.device !== undefined) traceFigures("client.tun", link.device, trace)
}
