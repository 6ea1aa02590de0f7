/** Queries for the records of connections that servers report. */

import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import type { ServerKind } from "@horizon/core/api/server.ts"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { optionalNumber, type Stored } from "./key-store.ts"

type Row = Readonly<Record<string, any>>

export interface ConnectionRow {
  readonly id: string
  readonly serverId: string
  readonly serverName: string
  readonly serverKind: ServerKind
  readonly connectionId: number
  readonly openedMs: number
  readonly deviceId: string
  readonly user: string
  readonly tenant: string
  readonly address: string
  readonly port: number
  readonly state: "open" | "closed"
  readonly lastSeenMs: number
  readonly closedMs: number | null
  readonly reason: string
  readonly bytesIn: number
  readonly bytesOut: number
}

export type ConnectionStore = ReturnType<typeof connectionStore>

export const connectionStore = (sql: SqlClient.SqlClient) => ({
  /**
   * Takes in a report. Reports may come late, twice and out of order: an older one than what is known changes nothing, and a closed
   * connection stays closed, unless it was the broker that closed it for silence (`stale`).
   */
  put: (id: string, serverId: string, report: ConnectionReport, nowMs: number): Stored<void> => {
    const closed = report.event === "closed"
    return Effect.asVoid(
      sql`INSERT INTO connections ${sql.insert({
        id,
        server_id: serverId,
        connection_id: report.connectionId,
        opened_ms: report.openedMs,
        device_id: report.deviceId,
        user_name: report.user,
        tenant: report.tenant,
        address: report.peer.address,
        port: report.peer.port,
        state: closed ? "closed" : "open",
        reported_ms: report.atMs,
        last_seen_ms: nowMs,
        closed_ms: closed ? report.atMs : null,
        reason: closed ? report.reason : "",
        bytes_in: report.bytesIn,
        bytes_out: report.bytesOut
      })} ON CONFLICT (server_id, connection_id, opened_ms) DO UPDATE SET
        address = excluded.address, port = excluded.port, state = excluded.state, reported_ms = excluded.reported_ms,
        last_seen_ms = excluded.last_seen_ms, closed_ms = excluded.closed_ms, reason = excluded.reason,
        bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out
        WHERE excluded.reported_ms >= connections.reported_ms
          AND (connections.state = 'open' OR connections.reason = 'stale')`
    )
  },

  /** Closes the open connections that were last seen before `sinceMs`, at most `limit` in one go; how many. */
  closeStale: (sinceMs: number, nowMs: number, limit: number): Stored<number> =>
    Effect.map(
      sql<Row>`UPDATE connections SET state = 'closed', closed_ms = ${nowMs}, reason = 'stale'
        WHERE state = 'open' AND last_seen_ms < ${sinceMs}
          AND id IN (SELECT id FROM connections WHERE state = 'open' AND last_seen_ms < ${sinceMs} ORDER BY id LIMIT ${limit})
        RETURNING id`,
      (rows) => rows.length
    ),

  /** Forgets connections that were closed before `beforeMs`, at most `limit` in one go; how many. */
  removeClosed: (beforeMs: number, limit: number): Stored<number> =>
    Effect.map(
      sql<Row>`DELETE FROM connections WHERE id IN
        (SELECT id FROM connections WHERE state = 'closed' AND closed_ms < ${beforeMs} ORDER BY id LIMIT ${limit})
        RETURNING id`,
      (rows) => rows.length
    ),

  /** Newest first, from after `cursor`; one more than `limit`, if there is one. */
  list: (
    filter: { readonly serverId?: string; readonly state?: "open" | "closed" },
    cursor: string | undefined,
    limit: number
  ): Stored<ReadonlyArray<ConnectionRow>> => {
    const clauses = [sql`s.id = c.server_id`]
    if (cursor !== undefined) clauses.push(sql`c.id < ${cursor}`)
    if (filter.serverId !== undefined) clauses.push(sql`c.server_id = ${filter.serverId}`)
    if (filter.state !== undefined) clauses.push(sql`c.state = ${filter.state}`)
    return Effect.map(
      sql<Row>`SELECT c.*, s.name AS server_name, s.kind AS server_kind FROM connections c, servers s
        WHERE ${sql.and(clauses)} ORDER BY c.id DESC LIMIT ${limit + 1}`,
      (rows) => rows.map(connectionOf)
    )
  },

  open: (): Stored<number> =>
    Effect.map(sql<Row>`SELECT COUNT(*) AS n FROM connections WHERE state = 'open'`, ([row]) => Number(row.n))
})

const connectionOf = (row: Row): ConnectionRow => ({
  id: row.id,
  serverId: row.server_id,
  serverName: row.server_name,
  serverKind: row.server_kind,
  connectionId: Number(row.connection_id),
  openedMs: Number(row.opened_ms),
  deviceId: row.device_id,
  user: row.user_name,
  tenant: row.tenant,
  address: row.address,
  port: Number(row.port),
  state: row.state,
  lastSeenMs: Number(row.last_seen_ms),
  closedMs: optionalNumber(row.closed_ms),
  reason: row.reason,
  bytesIn: Number(row.bytes_in),
  bytesOut: Number(row.bytes_out)
})
