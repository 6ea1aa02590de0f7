/** The store's engine of simulated hosts: SQLite in memory, synchronous, deterministic, the same dialect as a libSQL file. */

import { DatabaseSync, type StatementSync } from "node:sqlite"
import { EngineError, type EngineRows, type SqlEngine } from "@horizon/core/port/store.ts"

/** SQLite's result codes, extended ones too, that a sound program meets in memory. */
const CODES: Readonly<Record<number, string>> = {
  1: "SQLITE_ERROR",
  1299: "SQLITE_CONSTRAINT_NOTNULL",
  1555: "SQLITE_CONSTRAINT_PRIMARYKEY",
  2067: "SQLITE_CONSTRAINT_UNIQUE"
}

/** Statements after which the columns of others may have changed. */
const SCHEMA_CHANGE = /^\s*(CREATE|ALTER|DROP)\b/i

/** Opens an empty database, which is gone when it is closed. */
export const openMemoryEngine = (): SqlEngine => {
  const database = new DatabaseSync(":memory:")
  // Compiling a statement costs more than running it, and a node's statements are few: their values are parameters.
  const statements = new Map<string, StatementSync>()
  const prepared = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    statements.set(sql, statement)
    return statement
  }
  return {
    name: "sqlite in memory",
    run: (sql, parameters): EngineRows => {
      try {
        if (SCHEMA_CHANGE.test(sql)) statements.clear()
        const statement = prepared(sql)
        const columns = statement.columns().map((column) => column.name)
        const values = parameters as ReadonlyArray<never>
        if (columns.length === 0) {
          statement.run(...values)
          return { columns, rows: [] }
        }
        return { columns, rows: statement.all(...values) as unknown as EngineRows["rows"] }
      } catch (cause) {
        const { errcode, message } = cause as { readonly errcode?: number; readonly message: string }
        // Not SQLite's: a value that it cannot hold.
        if (errcode === undefined) throw cause
        throw new EngineError(CODES[errcode] ?? `SQLITE_${errcode}`, message)
      }
    },
    inTransaction: () => database.isTransaction,
    close: () => database.close()
  }
}
