/** Queries for issued tickets and their revocations. */

import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { Stored } from "./key-store.ts"

type Row = Readonly<Record<string, any>>

export interface TicketRow {
  /** Hex. */
  readonly id: string
  readonly personalKeyId: string
  readonly deviceId: string
  readonly serverId: string
  readonly issuedMs: number
  readonly expiresMs: number
}

export interface RevokedTicket {
  readonly number: number
  readonly id: string
  readonly deviceId: string
  readonly expiresMs: number
}

export type TicketStore = ReturnType<typeof ticketStore>

export const ticketStore = (sql: SqlClient.SqlClient) => ({
  /** Adds the ticket if its personal key has not been revoked in the meantime. */
  add: (ticket: TicketRow): Stored<boolean> =>
    Effect.map(
      sql<Row>`INSERT INTO tickets (id, personal_key_id, device_id, server_id, issued_ms, expires_ms)
        SELECT ${ticket.id}, ${ticket.personalKeyId}, ${ticket.deviceId}, ${ticket.serverId}, ${ticket.issuedMs},
          ${ticket.expiresMs}
        WHERE EXISTS (SELECT 1 FROM personal_keys WHERE id = ${ticket.personalKeyId} AND revoked_ms IS NULL)
        RETURNING id`,
      (rows) => rows.length > 0
    ),

  /**
   * Revokes the key's tickets that have not expired, each with its own number; how many. Must run in the transaction that revokes
   * the key, so that no ticket slips between.
   */
  revokeOfKey: (personalKeyId: string, nowMs: number): Stored<number> =>
    Effect.gen(function* () {
      const live = yield* sql<Row>`SELECT id FROM tickets
        WHERE personal_key_id = ${personalKeyId} AND expires_ms > ${nowMs} AND revocation IS NULL ORDER BY id`
      if (live.length === 0) return 0
      const [sequence] = yield* sql<Row>`UPDATE sequences SET value = value + ${live.length}
        WHERE name = 'revocation' RETURNING value`
      const first = Number(sequence.value) - live.length + 1
      for (let i = 0; i < live.length; i++) {
        yield* sql`UPDATE tickets SET revocation = ${first + i} WHERE id = ${live[i].id}`
      }
      return live.length
    }),

  /** Revoked and unexpired tickets for a server with numbers above `after`, upwards; one more than `limit`, if there is one. */
  revokedFor: (serverId: string, after: number, nowMs: number, limit: number): Stored<ReadonlyArray<RevokedTicket>> =>
    Effect.map(
      sql<Row>`SELECT id, device_id, expires_ms, revocation FROM tickets
        WHERE server_id = ${serverId} AND revocation > ${after} AND expires_ms > ${nowMs}
        ORDER BY revocation LIMIT ${limit + 1}`,
      (rows) =>
        rows.map((row) => ({
          number: Number(row.revocation),
          id: row.id,
          deviceId: row.device_id,
          expiresMs: Number(row.expires_ms)
        }))
    ),

  removeExpired: (nowMs: number): Stored<number> =>
    Effect.map(sql<Row>`DELETE FROM tickets WHERE expires_ms <= ${nowMs} RETURNING id`, (rows) => rows.length),

  valid: (nowMs: number): Stored<number> =>
    Effect.map(
      sql<Row>`SELECT COUNT(*) AS n FROM tickets WHERE expires_ms > ${nowMs} AND revocation IS NULL`,
      ([row]) => Number(row.n)
    )
})
