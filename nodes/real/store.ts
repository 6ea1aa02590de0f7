/**
 * Port Store on libSQL: `file:` URLs through the synchronous `libsql` driver in write-ahead-log mode.
 *
 * What is committed is on the disk (`synchronous = FULL`). A file that is damaged, or is no database, is found when it is
 * opened and left as it is.
 */

import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type EngineRows, makeSqlClient, type SqlEngine } from "@horizon/core/port/store.ts"
import { Effect, Layer, Schema, type Scope } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import Database from "libsql"

/** How long a statement waits for another process that writes. */
const BUSY_TIMEOUT_MS = 5_000
/** Prepared statements that are kept. */
const STATEMENTS_MAX = 256

/** Why a store could not be opened. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  reason: Schema.Literals(["corrupt", "permission-denied", "busy", "full", "bad-url", "unsupported", "unknown"]),
  message: Schema.String
}) {}

/** The store at `url`: `file:PATH` (relative to the working directory, or absolute), or a path. The file is made if it does not exist. */
export const layerStore = (url: string): Layer.Layer<SqlClient, StoreError> =>
  Layer.effect(
    SqlClient,
    Effect.flatMap(openEngine(url), (engine) => Effect.orDie(makeSqlClient({ engine: Effect.succeed(engine) })))
  )

/** Opens the database for a scope. */
export const openEngine = (url: string): Effect.Effect<SqlEngine, StoreError, Scope.Scope> =>
  Effect.flatMap(pathOf(url), (path) =>
    Effect.acquireRelease(Effect.try({ try: () => open(path), catch: (cause) => storeError(path, cause) }), (engine) =>
      Effect.sync(() => engine.close())
    )
  )

const pathOf = (url: string): Effect.Effect<string, StoreError> => {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1].toLowerCase()
  if (scheme === undefined) return Effect.succeed(resolve(url))
  if (scheme === "file") return Effect.succeed(url.startsWith("file://") ? fileURLToPath(url) : resolve(url.slice(5)))
  return Effect.fail(
    new StoreError({
      reason: scheme === "libsql" || scheme === "http" || scheme === "https" ? "unsupported" : "bad-url",
      message: `store ${JSON.stringify(url)}: only local stores are supported here; give file:PATH`
    })
  )
}

const open = (path: string): SqlEngine => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // The driver says only "14" when it cannot open a file; the system says why.
  if (!existsSync(path)) closeSync(openSync(path, "wx", 0o600))
  if (statSync(path).isDirectory()) throw Object.assign(new Error("is a directory"), { code: "EISDIR" })
  accessSync(path, constants.R_OK | constants.W_OK)
  const database = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    database.exec("PRAGMA journal_mode = WAL")
    database.exec("PRAGMA synchronous = FULL")
    database.exec("PRAGMA foreign_keys = ON")
    const check = database.prepare("PRAGMA quick_check(1)").raw(true).all([]) as ReadonlyArray<ReadonlyArray<unknown>>
    if (check[0]?.[0] !== "ok") throw Object.assign(new Error(String(check[0]?.[0])), { code: "SQLITE_CORRUPT" })
    return new FileEngine(database)
  } catch (cause) {
    database.close()
    throw cause
  }
}

const storeError = (path: string, cause: unknown): StoreError => {
  const { code = "", message } = cause as NodeJS.ErrnoException
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return new StoreError({
      reason: "corrupt",
      message: `store ${path} is damaged or not a database (${firstLine(message)}); restore it from a backup, or move it away to start empty`
    })
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new StoreError({
      reason: "busy",
      message: `store ${path} is locked by another process; stop it, or use another store`
    })
  }
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT") {
    return new StoreError({ reason: "full", message: `store ${path}: the disk is full` })
  }
  if (/^(EACCES|EPERM|EROFS|SQLITE_READONLY|SQLITE_CANTOPEN|SQLITE_PERM)/.test(code)) {
    return new StoreError({
      reason: "permission-denied",
      message: `store ${path} cannot be read and written by this user (${code}); change its owner, or use another store`
    })
  }
  if (code === "EISDIR")
    return new StoreError({ reason: "unknown", message: `store ${path} is a directory; give the path of a file in it` })
  return new StoreError({ reason: "unknown", message: `store ${path} could not be opened: ${firstLine(message)}` })
}

const firstLine = (text: string): string => text.split("\n")[0]

interface Prepared {
  readonly statement: Database.Statement
  /** Empty for statements that give no rows. */
  readonly columns: ReadonlyArray<string>
}

class FileEngine implements SqlEngine {
  readonly name = "libsql"
  private readonly database: Database.Database
  private readonly prepared = new Map<string, Prepared>()

  constructor(database: Database.Database) {
    this.database = database
  }

  run(sql: string, parameters: ReadonlyArray<unknown>): EngineRows {
    const { statement, columns } = this.prepare(sql)
    if (columns.length === 0) {
      statement.run([...parameters])
      // The columns of other statements may have changed with the schema.
      if (SCHEMA_CHANGE.test(sql)) this.prepared.clear()
      return NOTHING
    }
    return { columns, rows: statement.all([...parameters]) as ReadonlyArray<ReadonlyArray<unknown>> }
  }

  inTransaction(): boolean {
    return this.database.inTransaction
  }

  close(): void {
    this.prepared.clear()
    if (!this.database.open) return
    try {
      // The driver leaves the log for the next opening; a closed store is one whole file that can be copied.
      this.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all([])
    } catch {
      // Another process reads: the log stays, and nothing is lost.
    }
    this.database.close()
  }

  private prepare(sql: string): Prepared {
    const known = this.prepared.get(sql)
    if (known !== undefined) {
      // Last used last, so that the first is the one to forget.
      this.prepared.delete(sql)
      this.prepared.set(sql, known)
      return known
    }
    const statement = this.database.prepare(sql)
    const columns = statement.reader
      ? statement
          .raw(true)
          .columns()
          .map((column) => column.name)
      : []
    const prepared: Prepared = { statement, columns }
    if (this.prepared.size >= STATEMENTS_MAX) this.prepared.delete(this.prepared.keys().next().value as string)
    this.prepared.set(sql, prepared)
    return prepared
  }
}

const NOTHING: EngineRows = { columns: [], rows: [] }
const SCHEMA_CHANGE = /^\s*(CREATE|ALTER|DROP|ATTACH|DETACH|ROLLBACK)\b/i
