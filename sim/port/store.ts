/**
 * The store on a simulated disk: the host's SQL engine behind core's client, with a virtual cost for each statement and the faults that
 * the scenario injects. The engine stays open on the disk when the client goes, as a file would stay.
 */

import { EngineError, layerSqlClient, sqlErrorOf } from "@horizon/core/port/store.ts"
import { Effect, type Layer } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Disk } from "../disk/disk.ts"

export const layerStore = (disk: Disk): Layer.Layer<SqlClient, SqlError> =>
  layerSqlClient({
    engine: Effect.sync(() => disk.database()),
    beforeStatement: (sql) =>
      disk.statementCostUs === 0
        ? Effect.suspend(() => strike(disk, sql))
        : Effect.andThen(
            Effect.sleep(disk.statementCostUs / 1000),
            Effect.suspend(() => strike(disk, sql))
          )
  })

const WRITE = /^\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|WITH|COMMIT)\b/i
const COMMIT = /^\s*COMMIT\b/i

/** What the present fault, if any, does to a statement. */
const strike = (disk: Disk, sql: string): Effect.Effect<void, SqlError> => {
  const fault = disk.storeFault
  if (fault === undefined || !disk.faultRng.chance(fault.ppm)) return Effect.void
  switch (fault.mode) {
    case "slow":
      return Effect.sleep(fault.delayMs)
    case "busy":
      return failed("SQLITE_BUSY", "database is locked", sql)
    case "full":
      return WRITE.test(sql) ? failed("SQLITE_FULL", "database or disk is full", sql) : Effect.void
    case "failed-commit":
      return isCommit(disk, sql) ? failed("SQLITE_IOERR_FSYNC", "disk I/O error", sql) : Effect.void
  }
}

/** COMMIT itself, or a write outside a transaction, which commits by itself. */
const isCommit = (disk: Disk, sql: string): boolean =>
  COMMIT.test(sql) || (WRITE.test(sql) && !disk.database().inTransaction())

const failed = (code: string, message: string, sql: string): Effect.Effect<never, SqlError> =>
  Effect.fail(sqlErrorOf(new EngineError(code, message), sql))
