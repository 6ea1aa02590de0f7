/** Queries for administrators' tokens, registration keys, and personal keys with their devices. */

import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

/** What is stored of every secret. */
interface SecretRow {
  readonly id: string
  readonly prefix: string
  /** Hex of SHA-256 of the whole key. */
  readonly sha256: string
  readonly revokedMs: number | null
}

export interface RegistrationKeyRow extends SecretRow {
  readonly label: string
  readonly tags: ReadonlyArray<string>
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly usesMax: number | null
  readonly uses: number
}

export interface PersonalKeyRow extends SecretRow {
  readonly label: string
  readonly user: string
  readonly tenant: string
  readonly rights: number
  readonly devicesMax: number
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly lastUsedMs: number | null
}

export type Stored<A> = Effect.Effect<A, SqlError.SqlError>
type Row = Readonly<Record<string, any>>

export type KeyStore = ReturnType<typeof keyStore>

export const keyStore = (sql: SqlClient.SqlClient) => ({
  /** Tokens whose visible part is `prefix`. */
  adminTokens: (prefix: string): Stored<ReadonlyArray<SecretRow>> =>
    Effect.map(sql<Row>`SELECT * FROM admin_tokens WHERE prefix = ${prefix}`, (rows) => rows.map(secretOf)),

  /** Makes the token `id` be this one; the one that was there before counts no more. */
  putAdminToken: (token: SecretRow, nowMs: number): Stored<void> =>
    Effect.asVoid(
      sql`INSERT INTO admin_tokens (id, prefix, sha256, created_ms, revoked_ms)
        VALUES (${token.id}, ${token.prefix}, ${token.sha256}, ${nowMs}, ${token.revokedMs})
        ON CONFLICT (id) DO UPDATE SET prefix = excluded.prefix, sha256 = excluded.sha256, revoked_ms = excluded.revoked_ms`
    ),

  removeAdminToken: (id: string): Stored<void> => Effect.asVoid(sql`DELETE FROM admin_tokens WHERE id = ${id}`),

  registrationKey: (prefix: string): Stored<RegistrationKeyRow | undefined> =>
    Effect.map(
      sql<Row>`SELECT * FROM registration_keys WHERE prefix = ${prefix}`,
      (rows) => rows.map(registrationOf)[0]
    ),

  registrationKeyById: (id: string): Stored<RegistrationKeyRow | undefined> =>
    Effect.map(sql<Row>`SELECT * FROM registration_keys WHERE id = ${id}`, (rows) => rows.map(registrationOf)[0]),

  /** False, with nothing changed, if there is a key with this visible part. */
  addRegistrationKey: (key: RegistrationKeyRow): Stored<boolean> =>
    Effect.map(
      sql<Row>`INSERT INTO registration_keys ${sql.insert({
        id: key.id,
        prefix: key.prefix,
        sha256: key.sha256,
        label: key.label,
        tags: JSON.stringify(key.tags),
        created_ms: key.createdMs,
        expires_ms: key.expiresMs,
        revoked_ms: key.revokedMs,
        uses_max: key.usesMax,
        uses: key.uses
      })} ON CONFLICT DO NOTHING RETURNING id`,
      (rows) => rows.length > 0
    ),

  /** Newest first, from after `cursor`; one more than `limit`, if there is one. */
  registrationKeys: (cursor: string | undefined, limit: number): Stored<ReadonlyArray<RegistrationKeyRow>> =>
    Effect.map(
      cursor === undefined
        ? sql<Row>`SELECT * FROM registration_keys ORDER BY id DESC LIMIT ${limit + 1}`
        : sql<Row>`SELECT * FROM registration_keys WHERE id < ${cursor} ORDER BY id DESC LIMIT ${limit + 1}`,
      (rows) => rows.map(registrationOf)
    ),

  /**
   * Uses the key once more; false if it may not be used (any more) at this moment. The decision and the write are one statement, so
   * of two servers that want the last use one gets it.
   */
  takeRegistrationUse: (id: string, nowMs: number): Stored<boolean> =>
    Effect.map(
      sql<Row>`UPDATE registration_keys SET uses = uses + 1
        WHERE id = ${id} AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ${nowMs})
          AND (uses_max IS NULL OR uses < uses_max)
        RETURNING id`,
      (rows) => rows.length > 0
    ),

  /** False if it is not there or was revoked before. */
  revokeRegistrationKey: (id: string, nowMs: number): Stored<boolean> =>
    Effect.map(
      sql<Row>`UPDATE registration_keys SET revoked_ms = ${nowMs} WHERE id = ${id} AND revoked_ms IS NULL RETURNING id`,
      (rows) => rows.length > 0
    ),

  personalKey: (prefix: string): Stored<PersonalKeyRow | undefined> =>
    Effect.map(sql<Row>`SELECT * FROM personal_keys WHERE prefix = ${prefix}`, (rows) => rows.map(personalOf)[0]),

  personalKeyById: (id: string): Stored<PersonalKeyRow | undefined> =>
    Effect.map(sql<Row>`SELECT * FROM personal_keys WHERE id = ${id}`, (rows) => rows.map(personalOf)[0]),

  addPersonalKey: (key: PersonalKeyRow): Stored<boolean> =>
    Effect.map(
      sql<Row>`INSERT INTO personal_keys ${sql.insert({
        id: key.id,
        prefix: key.prefix,
        sha256: key.sha256,
        label: key.label,
        user_name: key.user,
        tenant: key.tenant,
        rights: key.rights,
        devices_max: key.devicesMax,
        created_ms: key.createdMs,
        expires_ms: key.expiresMs,
        revoked_ms: key.revokedMs,
        last_used_ms: key.lastUsedMs
      })} ON CONFLICT DO NOTHING RETURNING id`,
      (rows) => rows.length > 0
    ),

  /** Newest first, with the number of devices of each; one more than `limit`, if there is one. */
  personalKeys: (
    cursor: string | undefined,
    limit: number
  ): Stored<ReadonlyArray<PersonalKeyRow & { readonly devices: number }>> =>
    Effect.map(
      sql<Row>`SELECT k.*, (SELECT COUNT(*) FROM devices d WHERE d.personal_key_id = k.id) AS devices
        FROM personal_keys k WHERE ${cursor === undefined ? sql`1 = 1` : sql`k.id < ${cursor}`}
        ORDER BY k.id DESC LIMIT ${limit + 1}`,
      (rows) => rows.map((row) => ({ ...personalOf(row), devices: Number(row.devices) }))
    ),

  revokePersonalKey: (id: string, nowMs: number): Stored<boolean> =>
    Effect.map(
      sql<Row>`UPDATE personal_keys SET revoked_ms = ${nowMs} WHERE id = ${id} AND revoked_ms IS NULL RETURNING id`,
      (rows) => rows.length > 0
    ),

  /** Notes the use, at most once a minute. */
  touchPersonalKey: (id: string, nowMs: number): Stored<void> =>
    Effect.asVoid(
      sql`UPDATE personal_keys SET last_used_ms = ${nowMs}
        WHERE id = ${id} AND (last_used_ms IS NULL OR last_used_ms < ${nowMs - 60_000})`
    ),

  /** Binds a device to the key; false if it is not bound and the key has as many devices as it may. */
  bindDevice: (
    device: { readonly keyId: string; readonly deviceId: string; readonly publicKey: string },
    devicesMax: number,
    nowMs: number
  ): Stored<boolean> =>
    Effect.gen(function* () {
      const inserted = yield* sql<Row>`INSERT INTO devices (personal_key_id, device_id, public_key, first_ms)
        SELECT ${device.keyId}, ${device.deviceId}, ${device.publicKey}, ${nowMs}
        WHERE (SELECT COUNT(*) FROM devices WHERE personal_key_id = ${device.keyId}) < ${devicesMax}
        ON CONFLICT DO NOTHING RETURNING device_id`
      if (inserted.length > 0) return true
      const bound = yield* sql<Row>`SELECT device_id FROM devices
        WHERE personal_key_id = ${device.keyId} AND device_id = ${device.deviceId}`
      return bound.length > 0
    }),

  counts: (): Stored<{ readonly registrationKeys: number; readonly personalKeys: number }> =>
    Effect.map(
      sql<Row>`SELECT (SELECT COUNT(*) FROM registration_keys WHERE revoked_ms IS NULL) AS r,
        (SELECT COUNT(*) FROM personal_keys WHERE revoked_ms IS NULL) AS p`,
      ([row]) => ({ registrationKeys: Number(row.r), personalKeys: Number(row.p) })
    )
})

/** PostgreSQL's driver gives BIGINT as text. */
export const optionalNumber = (value: unknown): number | null => (value === null ? null : Number(value))

const secretOf = (row: Row): SecretRow => ({
  id: row.id,
  prefix: row.prefix,
  sha256: row.sha256,
  revokedMs: optionalNumber(row.revoked_ms)
})

const registrationOf = (row: Row): RegistrationKeyRow => ({
  ...secretOf(row),
  label: row.label,
  tags: JSON.parse(row.tags),
  createdMs: Number(row.created_ms),
  expiresMs: optionalNumber(row.expires_ms),
  usesMax: optionalNumber(row.uses_max),
  uses: Number(row.uses)
})

const personalOf = (row: Row): PersonalKeyRow => ({
  ...secretOf(row),
  label: row.label,
  user: row.user_name,
  tenant: row.tenant,
  rights: Number(row.rights),
  devicesMax: Number(row.devices_max),
  createdMs: Number(row.created_ms),
  expiresMs: optionalNumber(row.expires_ms),
  lastUsedMs: optionalNumber(row.last_used_ms)
})
