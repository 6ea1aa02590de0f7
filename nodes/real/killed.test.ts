/** What outlives a process that is killed in the middle of its work: the promises of keys.ts and store.ts, kept by real files. */

import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Keys } from "@horizon/core/port/keys.ts"
import { Effect, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { afterAll, expect, test } from "vitest"
import { layerKeys } from "./keys.ts"
import { layerStore } from "./store.ts"

const root = mkdtempSync(join(tmpdir(), "horizon-killed-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Runs a program that prints a number after each acknowledged write, kills it after `forMs` of writing; the last number. */
const killed = async (program: string, forMs: number): Promise<number> => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname })
  let said = ""
  child.stdout.on("data", (chunk) => {
    said += chunk
  })
  await once(child.stdout, "data")
  await new Promise((resolve) => setTimeout(resolve, forMs))
  child.kill("SIGKILL")
  await once(child, "close")
  // The last line may be half of a number.
  return Number(said.split("\n").at(-2))
}

const PRELUDE = `import { Effect } from "effect"`

test("a writer killed at any moment leaves a whole entry, not older than the last acknowledged one", async () => {
  const directory = join(root, "keys")
  const program = `${PRELUDE}
    import { Keys } from "@horizon/core/port/keys.ts"
    import { layerKeys } from "./keys.ts"
    await Effect.runPromise(Effect.scoped(Effect.provide(Effect.gen(function* () {
      const keys = yield* Keys
      for (let n = 1; ; n++) {
        yield* keys.write("state", Uint8Array.from({ length: 20_000 }, (_, i) => (i === 0 ? n >> 8 : n)))
        process.stdout.write(n + "\\n")
      }
    }), layerKeys(${JSON.stringify(directory)}))))`
  for (const forMs of [3, 17, 40]) {
    const acknowledged = await killed(program, forMs)
    const read = Keys.use((keys) => keys.read("state"))
    const entry = Option.getOrThrow(await Effect.runPromise(Effect.scoped(Effect.provide(read, layerKeys(directory)))))
    expect(entry.length).toBe(20_000)
    expect(entry.subarray(1).every((byte) => byte === entry[1])).toBe(true)
    expect((entry[0] << 8) | entry[1]).toBeGreaterThanOrEqual(acknowledged)
    expect(readdirSync(directory).filter((name) => name.startsWith(".new-"))).toEqual([])
  }
})

test("a commit that was acknowledged is there after the process was killed", async () => {
  const url = `file:${join(root, "store.db")}`
  const program = `${PRELUDE}
    import { SqlClient } from "effect/sql/SqlClient"
    import { layerStore } from "./store.ts"
    await Effect.runPromise(Effect.scoped(Effect.provide(Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql\`CREATE TABLE IF NOT EXISTS a (n INTEGER)\`
      for (let n = 1; ; n++) {
        yield* sql.withTransaction(Effect.andThen(sql\`DELETE FROM a\`, sql\`INSERT INTO a VALUES (\${n})\`))
        process.stdout.write(n + "\\n")
        yield* Effect.sleep(0)
      }
    }), layerStore(${JSON.stringify(url)}))))`
  for (const forMs of [5, 30]) {
    const acknowledged = await killed(program, forMs)
    const read = Effect.flatMap(SqlClient, (sql) => sql<{ n: number }>`SELECT n FROM a`)
    const rows = await Effect.runPromise(Effect.scoped(Effect.provide(read, layerStore(url))))
    expect(rows).toHaveLength(1)
    expect(rows[0].n).toBeGreaterThanOrEqual(acknowledged)
    expect(acknowledged).toBeGreaterThan(0)
  }
})
