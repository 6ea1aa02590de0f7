import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keysContract } from "@horizon/core/port/keys.contract.ts"
import { Keys, type KeysError } from "@horizon/core/port/keys.ts"
import { Effect, Option, type Scope } from "effect"
import { afterAll, expect, test } from "vitest"
import { layerKeys } from "./keys.ts"

const root = mkdtempSync(join(tmpdir(), "horizon-keys-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let directories = 0
const fresh = (): string => join(root, `d${directories++}`)
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))
const withKeys = <A, E>(directory: string, body: (keys: Keys["Service"]) => Effect.Effect<A, E>): Promise<A> =>
  run(Effect.flatMap(Keys, body).pipe(Effect.provide(layerKeys(directory))))
const openError = (directory: string): Promise<KeysError> =>
  run(Effect.flip(Effect.provide(Keys, layerKeys(directory)))) as any

keysContract({
  name: "files",
  open: () => {
    const directory = fresh()
    return {
      run,
      layer: layerKeys(directory),
      damage: (name) =>
        Effect.sync(() => {
          const path = join(directory, name)
          const file = readFileSync(path)
          file[file.length - 1] ^= 4
          writeFileSync(path, file)
        })
    }
  }
})

test("entries are readable by their owner only, and no temporary file stays", async () => {
  const directory = fresh()
  await withKeys(directory, (keys) => keys.write("identity", Uint8Array.of(1)))
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  expect(statSync(join(directory, "identity")).mode & 0o777).toBe(0o600)
  expect(statSync(join(directory, ".lock")).mode & 0o777).toBe(0o600)
  expect(readdirSync(directory).sort()).toEqual([".lock", "identity"])
})

test("every single flipped bit and every truncation of a file is found", async () => {
  const directory = fresh()
  await withKeys(directory, (keys) =>
    Effect.gen(function* () {
      yield* keys.write("identity", Uint8Array.of(1, 2, 3))
      const path = join(directory, "identity")
      const good = readFileSync(path)
      const damaged: Array<Uint8Array> = []
      for (let bit = 0; bit < good.length * 8; bit++) {
        const bad = Uint8Array.from(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        damaged.push(bad)
      }
      for (let length = 0; length < good.length; length++) damaged.push(good.subarray(0, length))
      for (const bytes of damaged) {
        writeFileSync(path, bytes)
        expect((yield* Effect.flip(keys.read("identity"))).reason).toBe("corrupt")
      }
      writeFileSync(path, good)
      expect(Option.getOrThrow(yield* keys.read("identity"))).toEqual(Uint8Array.of(1, 2, 3))
    })
  )
})

test("a temporary file that a crash left behind is removed and not taken for an entry", async () => {
  const directory = fresh()
  await withKeys(directory, (keys) => keys.write("identity", Uint8Array.of(1)))
  writeFileSync(join(directory, ".new-identity"), "half")
  expect(await withKeys(directory, (keys) => keys.list)).toEqual(["identity"])
  expect(readdirSync(directory)).not.toContain(".new-identity")
})

test("a directory that others can write is refused with the command that closes it", async () => {
  const directory = fresh()
  await withKeys(directory, (keys) => keys.list)
  chmodSync(directory, 0o777)
  const error = await openError(directory)
  expect(error.reason).toBe("permission-denied")
  expect(error.message).toContain(`chmod 700 ${directory}`)
})

test("a path that is a file is refused and the file is left alone", async () => {
  const path = fresh()
  writeFileSync(path, "mine")
  const error = await openError(path)
  expect(error.message).toContain("is not a directory")
  expect(readFileSync(path, "utf8")).toBe("mine")
})

test("two openings of one directory exclude each other, in one process and between two", async () => {
  const directory = fresh()
  await withKeys(directory, () =>
    Effect.promise(async () => {
      const error = await openError(directory)
      expect(error.reason).toBe("in-use")
      expect(error.message).toContain(directory)
    })
  )
  const holder = spawn(process.execPath, [
    "--input-type=module",
    "-e",
    `import D from "libsql"; const d = new D(process.argv[1]); d.exec("BEGIN EXCLUSIVE"); console.log("held"); setInterval(() => {}, 1000)`,
    join(directory, ".lock")
  ])
  try {
    await once(holder.stdout, "data")
    expect((await openError(directory)).reason).toBe("in-use")
    holder.kill("SIGKILL")
    await once(holder, "exit")
    expect(await withKeys(directory, (keys) => keys.list)).toEqual([])
  } finally {
    holder.kill("SIGKILL")
  }
})
