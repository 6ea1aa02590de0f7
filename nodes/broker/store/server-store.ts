/** Queries for registered servers and for registrations that wait for their proof. */

import { formatFingerprint } from "@horizon/core/api/fingerprint.ts"
import type { ServerKind, ServerMetrics, ServerRecord } from "@horizon/core/api/server.ts"
import type { HostFactKind } from "@horizon/core/port/host-facts.ts"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { KnownFingerprint } from "../fingerprint.ts"
import { fromText } from "../record-id.ts"
import { optionalNumber, type Stored } from "./key-store.ts"

type Row = Readonly<Record<string, any>>

export interface ServerRow {
  readonly record: ServerRecord
  /** Base64url, the broker's over the record. */
  readonly signature: string
  readonly tags: ReadonlyArray<string>
  readonly registrationKeyId: string
  /** Base64url; null once it has deregistered. */
  readonly session: string | null
  /** Highest counter accepted in this session; -1 = none. */
  readonly counter: number
  readonly lastHeardMs: number
  readonly metrics: ServerMetrics | null
  /** Null until the server has told one. */
  readonly fingerprint: KnownFingerprint | null
  readonly deregisteredMs: number | null
  readonly revokedMs: number | null
}

export interface ChallengeRow {
  readonly id: string
  /** Base64url. */
  readonly challenge: string
  /** Base64url. */
  readonly publicKey: string
  /** JSON of the declaration. */
  readonly declaration: string
  readonly registrationKeyId: string
  readonly expiresMs: number
}

export interface ServerFilter {
  readonly kind?: ServerKind
  readonly region?: string
  readonly status?: "online" | "offline"
}

export type ServerStore = ReturnType<typeof serverStore>

export const serverStore = (sql: SqlClient.SqlClient) => ({
  byId: (id: string): Stored<ServerRow | undefined> =>
    Effect.map(sql<Row>`SELECT * FROM servers WHERE id = ${id}`, (rows) => rows.map(serverOf)[0]),

  /** Takes in the record with a new session, whether it is the server's first or not, unless it was revoked meanwhile. */
  put: (
    server: {
      readonly record: ServerRecord
      readonly publicKey: string
      readonly signature: string
      readonly tags: ReadonlyArray<string>
      readonly registrationKeyId: string
      readonly session: string
      readonly fingerprint: KnownFingerprint | null
    },
    nowMs: number
  ): Stored<boolean> => {
    const { record, fingerprint } = server
    return Effect.map(
      sql<Row>`INSERT INTO servers ${sql.insert({
        id: record.id,
        public_key: server.publicKey,
        name: record.name,
        kind: record.kind,
        address: record.endpoint.address,
        port: record.endpoint.port,
        region: record.region,
        capacity: record.capacity,
        capabilities: JSON.stringify(record.capabilities),
        tags: JSON.stringify(server.tags),
        registration_key_id: server.registrationKeyId,
        signature: server.signature,
        registered_ms: nowMs,
        proved_ms: record.provedMs,
        session: server.session,
        counter: -1,
        last_heard_ms: nowMs,
        status: "online",
        metrics: null,
        deregistered_ms: null,
        revoked_ms: null,
        fingerprint: fingerprint === null ? null : formatFingerprint(fingerprint.components),
        fingerprint_told_ms: fingerprint === null ? null : fingerprint.toldMs,
        fingerprint_change: fingerprint === null ? null : fingerprint.change,
        fingerprint_changed_ms: fingerprint === null ? null : fingerprint.changedMs
      })} ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind, address = excluded.address,
        port = excluded.port, region = excluded.region, capacity = excluded.capacity,
        capabilities = excluded.capabilities, tags = excluded.tags, registration_key_id = excluded.registration_key_id,
        signature = excluded.signature, proved_ms = excluded.proved_ms, session = excluded.session, counter = -1,
        last_heard_ms = excluded.last_heard_ms, status = 'online', deregistered_ms = NULL,
        fingerprint = excluded.fingerprint, fingerprint_told_ms = excluded.fingerprint_told_ms,
        fingerprint_change = excluded.fingerprint_change, fingerprint_changed_ms = excluded.fingerprint_changed_ms
        WHERE servers.revoked_ms IS NULL
        RETURNING id`,
      (rows) => rows.length > 0
    )
  },

  /**
   * Accepts a signed request: the counter must be higher than any before, in the same session. One statement, so of two copies of a
   * request one is accepted.
   */
  accept: (id: string, session: string, counter: number, nowMs: number): Stored<boolean> =>
    Effect.map(
      sql<Row>`UPDATE servers SET counter = ${counter}, last_heard_ms = ${nowMs}, status = 'online'
        WHERE id = ${id} AND session = ${session} AND counter < ${counter} AND revoked_ms IS NULL
        RETURNING id`,
      (rows) => rows.length > 0
    ),

  putMetrics: (id: string, metrics: ServerMetrics): Stored<void> =>
    Effect.asVoid(sql`UPDATE servers SET metrics = ${JSON.stringify(metrics)} WHERE id = ${id}`),

  deregister: (id: string, nowMs: number): Stored<void> =>
    Effect.asVoid(
      sql`UPDATE servers SET session = NULL, status = 'offline', deregistered_ms = ${nowMs} WHERE id = ${id}`
    ),

  /** False if it is not there or was revoked before. */
  revoke: (id: string, nowMs: number): Stored<boolean> =>
    Effect.map(
      sql<Row>`UPDATE servers SET session = NULL, status = 'offline', revoked_ms = ${nowMs}
        WHERE id = ${id} AND revoked_ms IS NULL RETURNING id`,
      (rows) => rows.length > 0
    ),

  /** By id, from after `cursor`; one more than `limit`, if there is one. Online = heard at or after `onlineSinceMs`. */
  list: (
    filter: ServerFilter,
    cursor: string | undefined,
    limit: number,
    onlineSinceMs: number
  ): Stored<ReadonlyArray<ServerRow>> => {
    const clauses = [sql`deregistered_ms IS NULL`, sql`revoked_ms IS NULL`]
    if (cursor !== undefined) clauses.push(sql`id > ${cursor}`)
    if (filter.kind !== undefined) clauses.push(sql`kind = ${filter.kind}`)
    if (filter.region !== undefined) clauses.push(sql`region = ${filter.region}`)
    if (filter.status === "online") clauses.push(sql`last_heard_ms >= ${onlineSinceMs}`)
    if (filter.status === "offline") clauses.push(sql`last_heard_ms < ${onlineSinceMs}`)
    return Effect.map(
      sql<Row>`SELECT * FROM servers WHERE ${sql.and(clauses)} ORDER BY id LIMIT ${limit + 1}`,
      (rows) => rows.map(serverOf)
    )
  },

  /** Marks the servers that were last heard before `sinceMs`; their ids, at most `limit` in one go. */
  markOffline: (sinceMs: number, limit: number): Stored<ReadonlyArray<string>> =>
    Effect.map(
      sql<Row>`UPDATE servers SET status = 'offline' WHERE status = 'online' AND last_heard_ms < ${sinceMs}
        AND id IN (SELECT id FROM servers WHERE status = 'online' AND last_heard_ms < ${sinceMs} ORDER BY id LIMIT ${limit})
        RETURNING id`,
      (rows) => rows.map((row) => row.id as string).sort()
    ),

  counts: (onlineSinceMs: number): Stored<{ readonly online: number; readonly offline: number }> =>
    Effect.map(
      sql<Row>`SELECT COUNT(*) AS total, COALESCE(SUM(CASE WHEN last_heard_ms >= ${onlineSinceMs} THEN 1 ELSE 0 END), 0) AS up
        FROM servers WHERE deregistered_ms IS NULL AND revoked_ms IS NULL`,
      ([row]) => ({ online: Number(row.up), offline: Number(row.total) - Number(row.up) })
    ),

  /** False, with nothing changed, if `challengesMax` wait already. A server's earlier challenge goes. */
  addChallenge: (challenge: ChallengeRow, challengesMax: number): Stored<boolean> =>
    sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`DELETE FROM challenges WHERE public_key = ${challenge.publicKey}
          AND registration_key_id = ${challenge.registrationKeyId}`
        const added =
          yield* sql<Row>`INSERT INTO challenges (id, challenge, public_key, declaration, registration_key_id, expires_ms)
          SELECT ${challenge.id}, ${challenge.challenge}, ${challenge.publicKey}, ${challenge.declaration},
            ${challenge.registrationKeyId}, ${challenge.expiresMs}
          WHERE (SELECT COUNT(*) FROM challenges) < ${challengesMax} RETURNING id`
        return added.length > 0
      })
    ),

  challenge: (id: string): Stored<ChallengeRow | undefined> =>
    Effect.map(sql<Row>`SELECT * FROM challenges WHERE id = ${id}`, (rows) => rows.map(challengeOf)[0]),

  /** True for exactly one taker. */
  takeChallenge: (id: string): Stored<boolean> =>
    Effect.map(sql<Row>`DELETE FROM challenges WHERE id = ${id} RETURNING id`, (rows) => rows.length > 0),

  removeExpiredChallenges: (nowMs: number): Stored<number> =>
    Effect.map(sql<Row>`DELETE FROM challenges WHERE expires_ms <= ${nowMs} RETURNING id`, (rows) => rows.length)
})

const serverOf = (row: Row): ServerRow => ({
  record: {
    id: row.id,
    name: row.name,
    kind: row.kind,
    publicKey: fromText(row.public_key),
    endpoint: { address: row.address, port: Number(row.port) },
    region: row.region,
    capacity: Number(row.capacity),
    capabilities: JSON.parse(row.capabilities),
    provedMs: Number(row.proved_ms)
  },
  signature: row.signature,
  tags: JSON.parse(row.tags),
  registrationKeyId: row.registration_key_id,
  session: row.session,
  counter: Number(row.counter),
  lastHeardMs: Number(row.last_heard_ms),
  metrics: row.metrics === null ? null : JSON.parse(row.metrics),
  fingerprint: row.fingerprint === null ? null : fingerprintRow(row),
  deregisteredMs: optionalNumber(row.deregistered_ms),
  revokedMs: optionalNumber(row.revoked_ms)
})

const fingerprintRow = (row: Row): KnownFingerprint => ({
  components: (JSON.parse(row.fingerprint) as ReadonlyArray<[HostFactKind, string]>).map(([kind, hash]) => ({
    kind,
    hash: fromText(hash)
  })),
  toldMs: Number(row.fingerprint_told_ms),
  change: row.fingerprint_change,
  changedMs: optionalNumber(row.fingerprint_changed_ms)
})

const challengeOf = (row: Row): ChallengeRow => ({
  id: row.id,
  challenge: row.challenge,
  publicKey: row.public_key,
  declaration: row.declaration,
  registrationKeyId: row.registration_key_id,
  expiresMs: Number(row.expires_ms)
})
