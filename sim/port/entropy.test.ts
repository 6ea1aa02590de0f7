import { type EntropyInstance, entropyContract } from "@horizon/core/port/entropy.contract.ts"
import { Entropy, randomBytes } from "@horizon/core/port/entropy.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { drive } from "../kernel/drive.ts"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { layerEntropy } from "./entropy.ts"

const boot = (seed = 1, name = "node#1") => {
  const kernel = new Kernel({ seed })
  return new Process({ kernel, name, wall: new WallClock(kernel, 0) })
}

const draw = (process: Process, label: string): ReadonlyArray<number> =>
  drive(
    process,
    Entropy.use((entropy) => Effect.sync(() => [...randomBytes(entropy.source(label), 16)])).pipe(
      Effect.provide(layerEntropy(process))
    )
  )

entropyContract({
  name: "simulated",
  open: (): EntropyInstance => {
    const process = boot()
    return { run: (effect) => drive(process, effect), layer: layerEntropy(process) }
  }
})

test("the same seed, node and label give the same bytes, whatever other labels have drawn", () => {
  const process = boot()
  draw(process, "other")
  expect(draw(process, "a")).toEqual(draw(boot(), "a"))
})

test("another seed or another life of the node gives other bytes", () => {
  const draws = [draw(boot(1, "node#1"), "a"), draw(boot(2, "node#1"), "a"), draw(boot(1, "node#2"), "a")]
  expect(new Set(draws.map(String)).size).toBe(3)
})

test("a second layer in the same life goes on with the stream instead of repeating it", () => {
  const process = boot()
  expect(draw(process, "a")).not.toEqual(draw(process, "a"))
})
