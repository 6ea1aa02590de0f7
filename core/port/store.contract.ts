/** What every store (an `SqlClient` made by `makeSqlClient`) must do. */

import type { Layer } from "effect"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { describe, expect, test } from "vitest"
import { type ContractInstance, type ContractWorld, inWorld } from "./world.contract.ts"

export interface StoreInstance extends ContractInstance {
  /** Opens the same database each time that it is built. */
  readonly layer: Layer.Layer<SqlClient, SqlError>
}

export const storeContract = (world: ContractWorld<StoreInstance>): void => {
  const withStore = <E>(body: (sql: SqlClient, instance: StoreInstance) => Effect.Effect<void, E>) =>
    inWorld(world)((instance) =>
      Effect.flatMap(SqlClient, (sql) =>
        Effect.andThen(
          sql`CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB)`,
          body(sql, instance)
        )
      ).pipe(Effect.provide(instance.layer))
    )
  const names = (sql: SqlClient) =>
    Effect.map(sql<{ name: string }>`SELECT name FROM item ORDER BY name`, (rows) => rows.map((row) => row.name))
  const insert = (sql: SqlClient, name: string) => sql`INSERT INTO item (name) VALUES (${name})`

  describe(`Store, ${world.name}`, () => {
    test(
      "integers, reals, text, blobs, booleans and null come back as they were stored",
      withStore((sql) =>
        Effect.gen(function* () {
          const blob = Uint8Array.from({ length: 256 }, (_, i) => i)
          const wide = Number.MAX_SAFE_INTEGER
          yield* sql`CREATE TABLE value (a, b, c, d, e, f, g, h)`
          yield* sql`INSERT INTO value VALUES (${1}, ${-wide}, ${wide}, ${1.5}, ${"Zoë's ⚙ text"}, ${blob}, ${null}, ${true})`
          const [row] = yield* sql<Record<string, unknown>>`SELECT * FROM value`
          expect(Object.keys(row)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"])
          expect({ ...row, f: undefined }).toEqual({
            a: 1,
            b: -wide,
            c: wide,
            d: 1.5,
            e: "Zoë's ⚙ text",
            f: undefined,
            g: null,
            h: 1
          })
          expect(row.f).toBeInstanceOf(Uint8Array)
          expect([...(row.f as Uint8Array)]).toEqual([...blob])
        })
      )
    )

    test(
      "an empty result is an empty list, and RETURNING gives rows",
      withStore((sql) =>
        Effect.gen(function* () {
          expect(yield* sql`SELECT * FROM item`).toEqual([])
          const rows = yield* sql`INSERT INTO item ${sql.insert([{ name: "a" }, { name: "b" }])} RETURNING id, name`
          expect(rows).toEqual([
            { id: 1, name: "a" },
            { id: 2, name: "b" }
          ])
          expect(yield* sql`SELECT name FROM item WHERE ${sql.in("name", ["b", "c"])}`.values).toEqual([["b"]])
        })
      )
    )

    test(
      "a transaction that succeeds is committed",
      withStore((sql) =>
        Effect.gen(function* () {
          yield* sql.withTransaction(Effect.andThen(insert(sql, "a"), insert(sql, "b")))
          expect(yield* names(sql)).toEqual(["a", "b"])
        })
      )
    )

    test(
      "a transaction that fails is rolled back and hands on its failure",
      withStore((sql) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(
            sql.withTransaction(Effect.andThen(insert(sql, "a"), Effect.fail("no" as const)))
          )
          expect(error).toBe("no")
          expect(yield* names(sql)).toEqual([])
          yield* insert(sql, "b")
          expect(yield* names(sql)).toEqual(["b"])
        })
      )
    )

    test(
      "a nested transaction is a savepoint: its failure undoes its own writes only",
      withStore((sql) =>
        Effect.gen(function* () {
          yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* insert(sql, "outer")
              yield* sql.withTransaction(Effect.andThen(insert(sql, "lost"), Effect.fail("no"))).pipe(Effect.ignore)
              yield* sql.withTransaction(insert(sql, "kept"))
            })
          )
          expect(yield* names(sql)).toEqual(["kept", "outer"])
        })
      )
    )

    test(
      "an interrupted transaction is rolled back and the store goes on",
      withStore((sql) =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* insert(sql, "lost")
                yield* Deferred.succeed(begun, undefined)
                yield* Effect.never
              })
            )
          )
          yield* Deferred.await(begun)
          yield* Fiber.interrupt(fiber)
          expect(yield* names(sql)).toEqual([])
          yield* insert(sql, "kept")
          expect(yield* names(sql)).toEqual(["kept"])
        })
      )
    )

    test(
      "a transaction that is interrupted while it waits for its turn leaves the turn of others alone",
      withStore((sql) =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>()
          const release = yield* Deferred.make<void>()
          const first = yield* Effect.forkChild(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* insert(sql, "first")
                yield* Deferred.succeed(begun, undefined)
                yield* Deferred.await(release)
              })
            )
          )
          yield* Deferred.await(begun)
          const second = yield* Effect.forkChild(sql.withTransaction(insert(sql, "second")))
          const third = yield* Effect.forkChild(sql.withTransaction(insert(sql, "third")))
          yield* Effect.sleep(10)
          yield* Fiber.interrupt(second)
          yield* Deferred.succeed(release, undefined)
          yield* Fiber.join(first)
          yield* Fiber.join(third)
          expect(yield* names(sql)).toEqual(["first", "third"])
        })
      )
    )

    test(
      "statements from outside wait for an open transaction and do not end up in it",
      withStore((sql) =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>()
          const failing = yield* Effect.forkChild(
            Effect.exit(
              sql.withTransaction(
                Effect.gen(function* () {
                  yield* insert(sql, "inside")
                  yield* Deferred.succeed(begun, undefined)
                  yield* Effect.sleep(20)
                  return yield* Effect.fail("no")
                })
              )
            )
          )
          yield* Deferred.await(begun)
          yield* insert(sql, "outside")
          expect(Exit.isFailure(yield* Fiber.join(failing))).toBe(true)
          expect(yield* names(sql)).toEqual(["outside"])
        })
      )
    )

    test(
      "concurrent read-modify-write transactions follow each other and lose no update",
      withStore((sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE counter (n INTEGER NOT NULL)`
          yield* sql`INSERT INTO counter VALUES (0)`
          const increment = sql.withTransaction(
            Effect.gen(function* () {
              const [{ n }] = yield* sql<{ n: number }>`SELECT n FROM counter`
              yield* Effect.sleep(1)
              yield* sql`UPDATE counter SET n = ${n + 1}`
            })
          )
          yield* Effect.all(
            Array.from({ length: 10 }, () => increment),
            { concurrency: "unbounded" }
          )
          expect(yield* sql`SELECT n FROM counter`).toEqual([{ n: 10 }])
        })
      )
    )

    test(
      "a unique violation, of a column or of a primary key, is a typed error that names the columns",
      withStore((sql) =>
        Effect.gen(function* () {
          yield* sql`INSERT INTO item (id, name) VALUES (1, 'a')`
          const byColumn = (yield* Effect.flip(insert(sql, "a"))).reason
          expect(byColumn._tag).toBe("UniqueViolation")
          expect(byColumn._tag === "UniqueViolation" && byColumn.constraint).toBe("item.name")
          const byKey = (yield* Effect.flip(sql`INSERT INTO item (id, name) VALUES (1, 'b')`)).reason
          expect(byKey._tag).toBe("UniqueViolation")
          expect(byKey._tag === "UniqueViolation" && byKey.constraint).toBe("item.id")
        })
      )
    )

    test(
      "other constraints and malformed statements have reasons of their own, and none is worth a retry",
      withStore((sql) =>
        Effect.gen(function* () {
          const notNull = yield* Effect.flip(sql`INSERT INTO item (name) VALUES (${null})`)
          expect(notNull.reason._tag).toBe("ConstraintError")
          for (const statement of [sql`SELEKT 1`, sql`SELECT * FROM nowhere`, sql`SELECT nothing FROM item`]) {
            const error = yield* Effect.flip(statement)
            expect(error.reason._tag).toBe("SqlSyntaxError")
            expect(error.isRetryable).toBe(false)
          }
        })
      )
    )

    test(
      "a statement that fails inside a transaction leaves the transaction usable",
      withStore((sql) =>
        Effect.gen(function* () {
          yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* insert(sql, "a")
              yield* Effect.flip(insert(sql, "a"))
              yield* insert(sql, "b")
            })
          )
          expect(yield* names(sql)).toEqual(["a", "b"])
        })
      )
    )

    test(
      "data survives closing and opening again",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          yield* Effect.provide(
            SqlClient.use((sql) => Effect.andThen(sql`CREATE TABLE t (n)`, sql`INSERT INTO t VALUES (41), (42)`)),
            instance.layer
          )
          const rows = yield* Effect.provide(
            SqlClient.use((sql) => sql`SELECT n FROM t ORDER BY n`),
            instance.layer
          )
          expect(rows).toEqual([{ n: 41 }, { n: 42 }])
        })
      )
    )
  })
}
