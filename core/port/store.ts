/**
 * Port: the SQL store is Effect's own `SqlClient`. A world makes it from a synchronous SQL engine: a libSQL file in production, an
 * in-memory engine on a simulated disk in the simulator. This file says what such an engine is and turns it into a client.
 */

/** A prepared statement's outcome. */
export interface EngineRows {
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<unknown>>
}

/** One open database, synchronous. Throws on SQL errors, with a `code` such as `SQLITE_BUSY` on the error. */
export interface SqlEngine {
  readonly name: string
  run(sql: string, parameters: ReadonlyArray<unknown>): EngineRows
  /** Whether a transaction is open. */
  inTransaction(): boolean
  close(): void
}
