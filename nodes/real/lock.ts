/**
 * A lock between processes that the system itself releases when its holder dies, so there is no stale lock to judge.
 *
 * Node has no file locks, but SQLite does, on every system: an empty database on which an exclusive transaction is open.
 */

import { chmodSync } from "node:fs"
import { Effect, type Scope } from "effect"
import Database from "libsql"

/** Why a lock was not taken: someone holds it, or its file could not be made. */
export type LockFailure = { readonly reason: "held" | "failed"; readonly cause: unknown }

/** Takes the lock `path` until the scope closes; fails at once if it is held. */
export const acquireLock = (path: string): Effect.Effect<void, LockFailure, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => lock(path),
      catch: (cause): LockFailure => ({ reason: isBusy(cause) ? "held" : "failed", cause })
    }),
    (database) => Effect.sync(() => database.close())
  ).pipe(Effect.asVoid)

const lock = (path: string): Database.Database => {
  const database = new Database(path, { timeout: 0 })
  try {
    // The journal stays in memory: the lock is all that the file is for.
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
    chmodSync(path, 0o600)
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

const isBusy = (cause: unknown): boolean => {
  const code = (cause as { code?: unknown }).code
  return typeof code === "string" && (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
}
