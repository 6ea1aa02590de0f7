/** The broker's own figures and the list of connections, for administrators. */

import type { BrokerStatus } from "@horizon/core/api/admin.ts"
import type { ConnectionEntry } from "@horizon/core/api/connection.ts"
import { PAGE_DEFAULT } from "@horizon/core/api/scalar.ts"
import { Effect } from "effect"
import { type Answer, BROKER_VERSION, type BrokerParts } from "./parts.ts"
import { fromHex } from "./record-id.ts"
import type { ConnectionRow } from "./store/connection-store.ts"

export const brokerStatus = (parts: BrokerParts): Answer<BrokerStatus> =>
  Effect.gen(function* () {
    const nowMs = parts.clock.wallMs()
    const servers = yield* parts.servers.counts(nowMs - parts.config.serverStaleMs)
    const connectionsOpen = yield* parts.connections.open()
    const ticketsValid = yield* parts.tickets.valid(nowMs)
    const { registrationKeys, personalKeys } = yield* parts.keys.counts()
    return {
      version: BROKER_VERSION,
      brokerKey: parts.identity.publicKey,
      brokerNowMs: nowMs,
      uptimeMs: Math.floor(parts.clock.nowNs() / 1_000_000),
      servers,
      connectionsOpen,
      ticketsValid,
      registrationKeys,
      personalKeys,
      schemaVersion: parts.schemaVersion
    }
  })

export interface ConnectionQuery {
  readonly serverId?: string
  readonly state?: "open" | "closed"
  readonly cursor?: string
  readonly limit?: number
}

export const listConnections = (
  parts: BrokerParts,
  query: ConnectionQuery
): Answer<{
  readonly connections: ReadonlyArray<ConnectionEntry>
  readonly cursor: string | null
  readonly brokerNowMs: number
}> => {
  const limit = query.limit ?? PAGE_DEFAULT
  return Effect.map(parts.connections.list(query, query.cursor, limit), (rows) => ({
    connections: rows.slice(0, limit).map(connectionEntry),
    cursor: rows.length > limit ? rows[limit - 1].id : null,
    brokerNowMs: parts.clock.wallMs()
  }))
}

const connectionEntry = (row: ConnectionRow): ConnectionEntry => ({
  id: fromHex(row.id),
  serverId: row.serverId,
  serverName: row.serverName,
  serverKind: row.serverKind,
  connectionId: row.connectionId,
  deviceId: row.deviceId,
  user: row.user,
  tenant: row.tenant,
  peer: { address: row.address, port: row.port },
  state: row.state,
  openedMs: row.openedMs,
  lastSeenMs: row.lastSeenMs,
  closedMs: row.closedMs,
  reason: row.reason,
  bytesIn: row.bytesIn,
  bytesOut: row.bytesOut
})
