/**
 * Brings the store's schema up to the broker's own: each missing migration in one transaction with the note that it is done. A
 * store that a newer broker has used, or whose notes do not fit, is refused untouched.
 */

import { utf8 } from "@horizon/core/api/base64url.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Effect } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { BrokerError } from "../broker-error.ts"
import { toHex } from "../record-id.ts"

import { type Migration, migrations } from "./migrations.ts"

/** Highest migration after this. */
export const migrate = (
  nowMs: number,
  list: ReadonlyArray<Migration> = migrations
): Effect.Effect<number, BrokerError | SqlError.SqlError, SqlClient.SqlClient | Crypto> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const crypto = yield* Crypto
    yield* sql`CREATE TABLE IF NOT EXISTS schema_migrations (
      id BIGINT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      checksum TEXT NOT NULL,
      applied_ms BIGINT NOT NULL
    )`
    const step = Effect.gen(function* () {
      const done = yield* sql<{ id: number; name: string; checksum: string }>`
        SELECT id, name, checksum FROM schema_migrations ORDER BY id`
      yield* checkDone(done, list, (migration) => checksumOf(crypto, migration))
      const next = list[done.length]
      if (next === undefined) return false
      for (const statement of next.statements) yield* sql.unsafe(statement)
      yield* sql`INSERT INTO schema_migrations (id, name, checksum, applied_ms)
        VALUES (${next.id}, ${next.name}, ${checksumOf(crypto, next)}, ${nowMs})`
      return true
    })
    for (let i = 0; i <= list.length; i++) if (!(yield* sql.withTransaction(step))) break
    return list.length === 0 ? 0 : list[list.length - 1].id
  })

const checkDone = (
  done: ReadonlyArray<{ readonly id: number; readonly name: string; readonly checksum: string }>,
  list: ReadonlyArray<Migration>,
  checksum: (migration: Migration) => string
): Effect.Effect<void, BrokerError> => {
  const refuse = (message: string) => Effect.fail(new BrokerError({ reason: "schema-mismatch", message }))
  if (done.length > list.length) {
    const newest = done[done.length - 1]
    return refuse(
      `The store has migration ${newest.id} (${newest.name}), which this broker does not know: a newer broker has used it. Start that version.`
    )
  }
  for (let i = 0; i < done.length; i++) {
    if (Number(done[i].id) !== list[i].id || done[i].checksum !== checksum(list[i])) {
      return refuse(
        `Migration ${done[i].id} (${done[i].name}) in the store is not the one of this broker. Start the version that made the store, or restore a backup.`
      )
    }
  }
  return Effect.void
}

/** SHA-256 over name and statements; white space does not count, so that re-indenting is not a change. */
const checksumOf = (crypto: Crypto["Service"], migration: Migration): string =>
  toHex(crypto.sha256(utf8([migration.name, ...migration.statements].join("\u0000").replace(/\s+/g, " "))))
