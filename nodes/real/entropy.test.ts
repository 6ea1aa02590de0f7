import { entropyContract } from "@horizon/core/port/entropy.contract.ts"
import { Entropy } from "@horizon/core/port/entropy.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { layerEntropy } from "./entropy.ts"

entropyContract({
  name: "node",
  open: () => ({ run: (effect) => Effect.runPromise(Effect.scoped(effect)), layer: layerEntropy })
})

test("no two small draws are equal over several refills of the pool", async () => {
  const source = await Effect.runPromise(
    Effect.provide(
      Effect.map(Entropy, (entropy) => entropy.source("test")),
      layerEntropy
    )
  )
  const seen = new Set<string>()
  for (let i = 0; i < 1000; i++) {
    const bytes = new Uint8Array(16)
    source.fill(bytes)
    seen.add(bytes.join())
  }
  expect(seen.size).toBe(1000)
})
