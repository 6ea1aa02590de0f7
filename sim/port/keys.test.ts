import { type KeysInstance, keysContract } from "@horizon/core/port/keys.contract.ts"
import { Keys } from "@horizon/core/port/keys.ts"
import { Effect, Option } from "effect"
import { expect, test } from "vitest"
import { Disk } from "../disk/disk.ts"
import { drive } from "../kernel/drive.ts"
import { Kernel, type KernelOptions } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { layerKeys } from "./keys.ts"

const boot = (entriesBytesMax?: number, order: Omit<KernelOptions, "seed"> = {}) => {
  const kernel = new Kernel({ seed: 1, ...order })
  const disk = new Disk({
    kernel,
    host: "host",
    openEngine: () => expect.unreachable("keys need no database"),
    ...(entriesBytesMax === undefined ? {} : { entriesBytesMax })
  })
  let life = 0
  const start = () => new Process({ kernel, name: `node#${++life}`, wall: new WallClock(kernel, 0) })
  const use = <A, E>(process: Process, body: (keys: Keys["Service"]) => Effect.Effect<A, E>): A =>
    drive(process, Effect.provide(Keys.use(body), layerKeys(disk)))
  return { kernel, disk, start, use }
}

const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

for (const [name, order] of [
  ["simulated", {}],
  ["simulated in random order with pre-emption", { order: "random", preemptPpm: 200_000 }]
] as const)
  keysContract({
    name,
    open: (): KeysInstance => {
      const { disk, start } = boot(undefined, order)
      const process = start()
      return {
        run: (effect) => drive(process, effect),
        layer: layerKeys(disk),
        damage: (name) => Effect.sync(() => disk.entries.damage(name))
      }
    }
  })

test("a crash before a write returned leaves the old entry, after it the new one", () => {
  const { kernel, disk, start, use } = boot()
  const first = start()
  use(first, (keys) => keys.write("entry", bytes(1)))
  first.fork(
    Effect.provide(
      Keys.use((keys) => keys.write("entry", bytes(2))),
      layerKeys(disk)
    )
  )
  kernel.run(kernel.nowNs + 500_000)
  first.kill()
  disk.crash()
  const second = start()
  expect(use(second, (keys) => keys.read("entry"))).toEqual(Option.some(bytes(1)))
  use(second, (keys) => keys.write("entry", bytes(3)))
  second.kill()
  disk.crash()
  expect(use(start(), (keys) => keys.read("entry"))).toEqual(Option.some(bytes(3)))
})

test("a full disk refuses a write and keeps the old entry; removing one makes room", () => {
  const { start, use } = boot(100)
  const process = start()
  use(process, (keys) => keys.write("a", new Uint8Array(60)))
  expect(use(process, (keys) => Effect.flip(keys.write("b", new Uint8Array(41)))).reason).toBe("full")
  use(process, (keys) => keys.write("a", new Uint8Array(100)))
  expect(use(process, (keys) => Effect.flip(keys.write("b", bytes(1)))).message).toMatch(
    /no room for b .*free some space/
  )
  use(process, (keys) => keys.remove("a"))
  use(process, (keys) => keys.write("b", new Uint8Array(100)))
})

test("a fault refuses accesses while it lasts and touches nothing", () => {
  const { disk, start, use } = boot()
  const process = start()
  use(process, (keys) => keys.write("a", bytes(1)))
  disk.entriesFault = "permission-denied"
  for (const act of [
    (keys: Keys["Service"]) => Effect.asVoid(keys.read("a")),
    (keys: Keys["Service"]) => keys.write("a", bytes(2)),
    (keys: Keys["Service"]) => keys.remove("a"),
    (keys: Keys["Service"]) => Effect.asVoid(keys.list)
  ])
    expect(use(process, (keys) => Effect.flip(act(keys))).reason).toBe("permission-denied")
  disk.entriesFault = "full"
  expect(use(process, (keys) => Effect.flip(keys.write("a", bytes(2)))).reason).toBe("full")
  disk.entriesFault = undefined
  expect(use(process, (keys) => keys.read("a"))).toEqual(Option.some(bytes(1)))
})

test("damage is noticed in an empty entry too, and damaging an absent one does nothing", () => {
  const { disk, start, use } = boot()
  const process = start()
  use(process, (keys) => keys.write("empty", bytes()))
  disk.entries.damage("empty")
  disk.entries.damage("absent")
  expect(use(process, (keys) => Effect.flip(keys.read("empty"))).reason).toBe("corrupt")
  expect(use(process, (keys) => keys.read("absent"))).toEqual(Option.none())
})
