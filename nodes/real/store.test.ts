import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { storeContract } from "@horizon/core/port/store.contract.ts"
import { Effect, Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { afterAll, expect, test } from "vitest"
import { layerStore, openEngine } from "./store.ts"

const root = mkdtempSync(join(tmpdir(), "horizon-store-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let files = 0
const fresh = (): string => join(root, `s${files++}`, "horizon.db")
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

storeContract({ name: "libsql file", open: () => ({ run, layer: Layer.orDie(layerStore(`file:${fresh()}`)) }) })

test("a file that is no database is an error that names it, and is left as it was", async () => {
  const path = join(root, "text.db")
  const text = "this is a letter, not a database. ".repeat(100)
  writeFileSync(path, text)
  const error = await run(Effect.flip(openEngine(`file:${path}`)))
  expect(error.reason).toBe("corrupt")
  expect(error.message).toContain(path)
  expect(error.message).not.toContain("\n")
  expect(readFileSync(path, "utf8")).toBe(text)
})

test("a database with a damaged page is found when it is opened", async () => {
  const path = fresh()
  await run(
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`CREATE TABLE a (b TEXT)`
      for (let i = 0; i < 200; i++) yield* sql`INSERT INTO a VALUES (${"x".repeat(200)})`
    }).pipe(Effect.provide(layerStore(path)))
  )
  const file = readFileSync(path)
  file.fill(0xff, 8192, 12288)
  writeFileSync(path, file)
  const error = await run(Effect.flip(openEngine(path)))
  expect(error.reason).toBe("corrupt")
})

test("a store in a directory that cannot be made, a directory, and an unknown scheme are told apart", async () => {
  writeFileSync(join(root, "plain"), "")
  expect((await run(Effect.flip(openEngine(join(root, "plain", "x.db"))))).message).toContain("plain")
  expect((await run(Effect.flip(openEngine(root)))).message).toContain("is a directory")
  expect((await run(Effect.flip(openEngine("postgres://host/db")))).reason).toBe("bad-url")
})

test("statements see the columns of a table that was altered after they were first used", async () => {
  await run(
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`CREATE TABLE a (b TEXT)`
      yield* sql`INSERT INTO a VALUES ('x')`
      expect(yield* sql`SELECT * FROM a`).toEqual([{ b: "x" }])
      yield* sql`ALTER TABLE a ADD COLUMN c INTEGER DEFAULT 7`
      expect(yield* sql`SELECT * FROM a`).toEqual([{ b: "x", c: 7 }])
    }).pipe(Effect.provide(layerStore(fresh())))
  )
})

test("more different statements than are kept prepared still run", async () => {
  await run(
    Effect.gen(function* () {
      const engine = yield* openEngine(fresh())
      for (let i = 0; i < 600; i++) expect(engine.run(`SELECT ${i % 300} AS n`, []).rows).toEqual([[i % 300]])
    })
  )
})

test("what was committed is there after the file is opened again", async () => {
  const path = fresh()
  const write = Effect.gen(function* () {
    const sql = yield* SqlClient
    yield* sql`CREATE TABLE a (b INTEGER)`
    yield* sql.withTransaction(sql`INSERT INTO a VALUES (42)`)
  })
  await run(Effect.provide(write, layerStore(path)))
  const read = Effect.flatMap(SqlClient, (sql) => sql`SELECT b FROM a`)
  expect(await run(Effect.provide(read, layerStore(path)))).toEqual([{ b: 42 }])
})
