import { openMemoryEngine } from "@horizon/bench/world/memory-engine.ts"
import { type StoreInstance, storeContract } from "@horizon/core/port/store.contract.ts"
import { Deferred, Effect, Exit, Stream } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { expect, test } from "vitest"
import { Disk, type DiskOptions, type StoreFaultMode } from "../disk/disk.ts"
import { drive } from "../kernel/drive.ts"
import { Kernel, type KernelOptions } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { layerStore } from "./store.ts"

const boot = (options: Partial<DiskOptions> = {}, order: Omit<KernelOptions, "seed"> = {}) => {
  const kernel = new Kernel({ seed: 1, ...order })
  const disk = new Disk({ kernel, host: "host", openEngine: openMemoryEngine, ...options })
  let life = 0
  const start = () => new Process({ kernel, name: `node#${++life}`, wall: new WallClock(kernel, 0) })
  const use = <A, E>(process: Process, body: (sql: SqlClient) => Effect.Effect<A, E>): A =>
    drive(process, Effect.provide(SqlClient.use(body), layerStore(disk)))
  return { kernel, disk, start, use }
}

const booted = () => {
  const bench = boot()
  const process = bench.start()
  bench.use(process, (sql) => sql`CREATE TABLE t (n INTEGER)`)
  const during = <A, E>(fault: StoreFaultMode, body: (sql: SqlClient) => Effect.Effect<A, E>): A => {
    bench.disk.storeFault = fault
    try {
      return bench.use(process, body)
    } finally {
      bench.disk.storeFault = undefined
    }
  }
  const rows = () => bench.use(process, (sql) => sql`SELECT n FROM t`.values).flat()
  return { ...bench, process, during, rows }
}

for (const [name, order] of [
  ["simulated", {}],
  ["simulated in random order with pre-emption", { order: "random", preemptPpm: 200_000 }]
] as const)
  storeContract({
    name,
    open: (): StoreInstance => {
      const { disk, start } = boot({}, order)
      const process = start()
      return { run: (effect) => drive(process, effect), layer: layerStore(disk) }
    }
  })

test("a crash rolls back the open transaction and keeps what was committed", () => {
  const { kernel, disk, start, use } = boot()
  const first = start()
  use(first, (sql) => Effect.andThen(sql`CREATE TABLE t (n)`, sql`INSERT INTO t VALUES (1)`))
  let wrote = false
  first.fork(
    SqlClient.use((sql) =>
      sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (2)`
          wrote = true
          yield* Effect.never
        })
      )
    ).pipe(Effect.provide(layerStore(disk)))
  )
  kernel.run(kernel.nowNs + 1e9)
  expect(wrote).toBe(true)
  first.kill()
  disk.crash()
  const second = start()
  expect(use(second, (sql) => sql`SELECT n FROM t`.values)).toEqual([[1]])
  use(second, (sql) => sql.withTransaction(sql`INSERT INTO t VALUES (3)`))
  disk.crash()
  expect(use(start(), (sql) => sql`SELECT n FROM t`.values)).toEqual([[1], [3]])
})

test("a crash before the database was opened is nothing, and closing the disk loses its data", () => {
  const { disk, start, use } = boot()
  disk.crash()
  disk.close()
  const process = start()
  use(process, (sql) => sql`CREATE TABLE t (n)`)
  disk.close()
  expect(use(process, (sql) => Effect.flip(sql`SELECT * FROM t`)).message).toContain("no such table")
})

test("each statement takes its virtual cost, and none if the cost is 0", () => {
  for (const [statementCostUs, expected] of [
    [50, 150_000],
    [0, 0]
  ]) {
    const { kernel, start, use } = boot({ statementCostUs })
    use(start(), (sql) => sql.withTransaction(sql`CREATE TABLE t (n)`))
    expect(kernel.nowNs).toBe(expected)
  }
})

test("busy fails any statement with an error that is worth a retry, and changes nothing", () => {
  const { during, rows } = booted()
  const fault = { mode: "busy", ppm: 1_000_000, delayMs: 0 } as const
  for (const act of [
    (sql: SqlClient) => Effect.asVoid(sql`SELECT n FROM t`),
    (sql: SqlClient) => Effect.asVoid(sql`INSERT INTO t VALUES (1)`),
    (sql: SqlClient) => Effect.asVoid(sql.withTransaction(sql`INSERT INTO t VALUES (1)`))
  ]) {
    const error = during(fault, (sql) => Effect.flip(act(sql)))
    expect(error.reason._tag).toBe("LockTimeoutError")
    expect(error.isRetryable).toBe(true)
    expect(error.message).toBe("SQLITE_BUSY: database is locked")
  }
  expect(rows()).toEqual([])
})

test("full fails writes and lets reads through", () => {
  const { during, rows } = booted()
  const fault = { mode: "full", ppm: 1_000_000, delayMs: 0 } as const
  expect(during(fault, (sql) => Effect.flip(sql`INSERT INTO t VALUES (1)`)).message).toContain("SQLITE_FULL")
  expect(during(fault, (sql) => sql`SELECT count(*) AS n FROM t`)).toEqual([{ n: 0 }])
  expect(rows()).toEqual([])
})

test("slow adds its delay to each statement", () => {
  const { kernel, during } = booted()
  const before = kernel.nowNs
  during({ mode: "slow", ppm: 1_000_000, delayMs: 40 }, (sql) => sql`SELECT n FROM t`)
  expect(kernel.nowNs - before).toBe(40_050_000)
})

test("a failed commit undoes the transaction and the connection goes on", () => {
  const { during, rows, process, use } = booted()
  const fault = { mode: "failed-commit", ppm: 1_000_000, delayMs: 0 } as const
  const outcome = during(fault, (sql) =>
    Effect.gen(function* () {
      const commit = yield* Effect.exit(sql.withTransaction(sql`INSERT INTO t VALUES (1)`))
      const alone = yield* Effect.exit(sql`INSERT INTO t VALUES (2)`)
      return [commit, alone, yield* sql`SELECT count(*) AS n FROM t`]
    })
  )
  expect(outcome.slice(0, 2).every((exit) => Exit.isExit(exit) && Exit.isFailure(exit))).toBe(true)
  expect(outcome[2]).toEqual([{ n: 0 }])
  use(process, (sql) => sql.withTransaction(sql`INSERT INTO t VALUES (3)`))
  expect(rows()).toEqual([3])
})

test("faults hit about as many statements as their probability says, the same ones for the same seed", () => {
  const hits = () => {
    const { during } = booted()
    return during({ mode: "busy", ppm: 300_000, delayMs: 0 }, (sql) =>
      Effect.forEach(Array.from({ length: 400 }), () => Effect.map(Effect.exit(sql`SELECT 1`), Exit.isFailure))
    )
  }
  const first = hits()
  const count = first.filter(Boolean).length
  expect(count).toBeGreaterThan(85)
  expect(count).toBeLessThan(155)
  expect(hits()).toEqual(first)
})

test("a transaction under faults of every kind is applied wholly or not at all", () => {
  const { during, rows } = booted()
  let committed = 0
  for (const mode of ["busy", "full", "failed-commit"] as const) {
    for (let i = 0; i < 60; i++) {
      const exit = during({ mode, ppm: 200_000, delayMs: 0 }, (sql) =>
        Effect.exit(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (1)`, sql`INSERT INTO t VALUES (2)`)))
      )
      if (Exit.isSuccess(exit)) committed++
      else expect(exit.cause.reasons.every((reason) => reason._tag === "Fail")).toBe(true)
    }
  }
  expect(committed).toBeGreaterThan(20)
  expect(committed).toBeLessThan(160)
  expect(rows()).toHaveLength(2 * committed)
})

test("a statement streams its rows", () => {
  const { process, use } = booted()
  const rows = use(process, (sql) =>
    Effect.andThen(
      sql`INSERT INTO t VALUES (1), (2), (3)`,
      Stream.runCollect(sql<{ n: number }>`SELECT n FROM t`.stream)
    )
  )
  expect(rows.map((row) => row.n)).toEqual([1, 2, 3])
})

test("an engine that throws something odd is an unknown error, not a defect", () => {
  const engine = {
    ...openMemoryEngine(),
    run: () => {
      throw "odd"
    }
  }
  const { start, use } = boot({ openEngine: () => engine })
  const error = use(start(), (sql) => Effect.flip(sql`SELECT 1`))
  expect(error.reason._tag).toBe("UnknownError")
  expect(error.reason.operation).toBe("select")
})

test("two fibers of one process share the client without mixing their transactions", () => {
  const { process, use, rows } = booted()
  use(process, (sql) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const failing = sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* Deferred.succeed(gate, undefined)
          yield* Effect.sleep(5)
          return yield* Effect.fail("no")
        })
      )
      const good = Effect.andThen(Deferred.await(gate), sql.withTransaction(sql`INSERT INTO t VALUES (2)`))
      yield* Effect.all([Effect.ignore(failing), good], { concurrency: 2 })
    })
  )
  expect(rows()).toEqual([2])
})
