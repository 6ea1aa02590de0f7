/**
 * Port: the SQL store is Effect's own `SqlClient`. A world makes it from a synchronous SQL engine: a libSQL file in production, an
 * in-memory engine on a simulated disk in the simulator. This file says what such an engine is and turns it into a client.
 *
 * There is one connection and a semaphore before it: statements and transactions of one client follow each other. A statement
 * is synchronous, so interruption falls between statements; a transaction that is interrupted is rolled back. The dialect is
 * that of SQLite and libSQL.
 */

import type { Scope } from "effect"
import { Effect, Layer, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError, SqlSyntaxError, UniqueViolation } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"

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

export interface StoreOptions {
  /** Opens the engine, or gives the open one; whoever opens it for a scope closes it there. */
  readonly engine: Effect.Effect<SqlEngine, SqlError, Scope.Scope>
  /**
   * Runs before each statement: the simulator injects faults and costs here. Not before ROLLBACK and RELEASE, which undo or end
   * what failed: Effect has no error channel for them, and SQLite does not fail them for want of space or a lock.
   */
  readonly beforeStatement?: (sql: string) => Effect.Effect<void, SqlError>
}

/** A client on the engine; usable until the scope closes. */
export const makeSqlClient = (options: StoreOptions): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* options.engine
    const connection = makeConnection(engine, options.beforeStatement)
    const acquirers = SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connection),
      semaphore: Semaphore.makeUnsafe(1),
      isTransaction: () => engine.inTransaction()
    })
    return yield* SqlClient.make({
      ...acquirers,
      compiler: Statement.makeCompilerSqlite(),
      driver: engine.name,
      spanAttributes: [],
      // A write lock from the start: otherwise two writers could both read first and one would fail at its first write.
      beginTransaction: "BEGIN IMMEDIATE",
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
    })
  }).pipe(Effect.provide(Reactivity.layer))

export const layerSqlClient = (options: StoreOptions): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.effect(SqlClient.SqlClient)(makeSqlClient(options))

/** The error that a client gives for what an engine threw on the statement `sql`. */
export const sqlErrorOf = (cause: unknown, sql: string): SqlError => {
  const operation = operationOf(sql)
  const { code, message } = describe(cause)
  // Effect takes only SQLITE_CONSTRAINT_UNIQUE for a unique violation; SQLite reports primary keys by codes of their own.
  if (code === "SQLITE_CONSTRAINT_PRIMARYKEY" || code === "SQLITE_CONSTRAINT_ROWID") {
    const constraint = /UNIQUE constraint failed: (.+)/.exec(message)?.[1] ?? "unknown"
    return new SqlError({ reason: new UniqueViolation({ cause, message, operation, constraint }) })
  }
  if (code === "SQLITE_ERROR" && /syntax error|no such|incomplete input|unrecognized token/.test(message))
    return new SqlError({ reason: new SqlSyntaxError({ cause, message, operation }) })
  return new SqlError({ reason: classifySqliteError(cause, { message, operation }) })
}

/** An engine's error with a code, for engines that have to make one. */
export class EngineError extends Error {
  override readonly name = "EngineError"
  /** `SQLITE_BUSY`, `SQLITE_FULL`, `SQLITE_CONSTRAINT_UNIQUE`, … */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

const describe = (cause: unknown): { readonly code: string; readonly message: string } => {
  const { code, message } = (typeof cause === "object" && cause !== null ? cause : {}) as Record<string, unknown>
  const codeText = typeof code === "string" ? code : ""
  const text = typeof message === "string" ? message : String(cause)
  return { code: codeText, message: codeText === "" || text.includes(codeText) ? text : `${codeText}: ${text}` }
}

const UNDO = /^\s*(ROLLBACK|RELEASE)\b/i

const makeConnection = (engine: SqlEngine, beforeStatement: StoreOptions["beforeStatement"]): Connection => {
  const runNow = (sql: string, parameters: ReadonlyArray<unknown>): Effect.Effect<EngineRows, SqlError> =>
    Effect.try({
      try: () => engine.run(sql, parameters.map(toParameter)),
      catch: (cause) => sqlErrorOf(cause, sql)
    })
  const run = (sql: string, parameters: ReadonlyArray<unknown>): Effect.Effect<EngineRows, SqlError> =>
    beforeStatement === undefined || UNDO.test(sql)
      ? runNow(sql, parameters)
      : Effect.andThen(beforeStatement(sql), runNow(sql, parameters))
  const execute: Connection["execute"] = (sql, parameters, transformRows) =>
    Effect.map(run(sql, parameters), (outcome) => {
      const records = toRecords(outcome)
      return transformRows === undefined ? records : transformRows(records)
    })
  const values: Connection["executeValues"] = (sql, parameters) =>
    Effect.map(run(sql, parameters), (outcome) => outcome.rows)
  return {
    execute,
    executeUnprepared: execute,
    executeRaw: run,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, parameters, transformRows) =>
      Stream.unwrap(Effect.map(execute(sql, parameters, transformRows), (records) => Stream.fromIterable(records)))
  }
}

/** SQLite has no booleans; engines differ in whether they take them, so they become integers here. */
const toParameter = (parameter: unknown): unknown =>
  typeof parameter === "boolean" ? Number(parameter) : parameter === undefined ? null : parameter

const toRecords = (outcome: EngineRows): ReadonlyArray<Record<string, unknown>> =>
  outcome.rows.map((row) => {
    const record: Record<string, unknown> = {}
    for (let i = 0; i < outcome.columns.length; i++) record[outcome.columns[i]] = row[i]
    return record
  })

/** First word of a statement, for messages. */
const operationOf = (sql: string): string => /^\s*([a-z]+)/i.exec(sql)?.[1].toLowerCase() ?? "statement"
