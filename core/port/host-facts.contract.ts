/** What every `HostFacts` layer must do. */

import type { Layer } from "effect"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { HOST_FACT_CHARACTERS_MAX, HOST_FACT_KINDS, HOST_FACTS_MAX, HostFacts, orderFacts } from "./host-facts.ts"
import { type ContractInstance, type ContractWorld, inWorld } from "./world.contract.ts"

export interface HostFactsInstance extends ContractInstance {
  readonly layer: Layer.Layer<HostFacts>
}

export const hostFactsContract = (world: ContractWorld<HostFactsInstance>): void => {
  const withFacts = (body: (facts: HostFacts["Service"]) => Effect.Effect<void>) =>
    inWorld(world)((instance) => Effect.flatMap(HostFacts, body).pipe(Effect.provide(instance.layer)))

  describe(`HostFacts, ${world.name}`, () => {
    test(
      "reading again, also through a layer that is built anew, gives the same facts",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const read = HostFacts.use((facts) => Effect.all([facts.read, facts.read]))
          const [first, second] = yield* Effect.provide(read, instance.layer)
          const [third] = yield* Effect.provide(read, instance.layer)
          expect(first.length).toBeGreaterThan(0)
          expect(second).toEqual(first)
          expect(third).toEqual(first)
        })
      )
    )

    test(
      "facts are bounded in number and length, of known kinds, without empty ones, sorted, and none is there twice",
      withFacts((facts) =>
        Effect.map(facts.read, (read) => {
          expect(read.length).toBeLessThanOrEqual(HOST_FACTS_MAX)
          for (const { kind, value } of read) {
            expect(HOST_FACT_KINDS).toContain(kind)
            expect(value.trim()).toBe(value)
            expect(value.length).toBeGreaterThan(0)
            expect(value.length).toBeLessThanOrEqual(HOST_FACT_CHARACTERS_MAX)
          }
          const keys = read.map(({ kind, value }) => `${kind} ${value}`)
          expect(keys).toEqual([...new Set(keys)].sort())
          expect(orderFacts(read)).toEqual(read)
        })
      )
    )
  })
}
