/** What every `Entropy` layer must do. */

import type { Layer } from "effect"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { Entropy, randomBytes } from "./entropy.ts"
import { type ContractInstance, type ContractWorld, inWorld } from "./world.contract.ts"

export interface EntropyInstance extends ContractInstance {
  readonly layer: Layer.Layer<Entropy>
}

export const entropyContract = (world: ContractWorld<EntropyInstance>): void => {
  const withEntropy = (body: (entropy: Entropy["Service"]) => void) =>
    inWorld(world)((instance) => Effect.map(Entropy, body).pipe(Effect.provide(instance.layer)))

  describe(`Entropy, ${world.name}`, () => {
    test(
      "fill writes every byte of buffers of any length, and nothing around a view",
      withEntropy((entropy) => {
        const source = entropy.source("test")
        for (const length of [0, 1, 3, 4, 5, 31, 32, 1200]) {
          const seen = new Uint8Array(length)
          const around = new Uint8Array(length + 8)
          // A byte that stays 0 in 20 fills has a chance of 2^-160 if it is written.
          for (let i = 0; i < 20; i++) {
            source.fill(around.subarray(4, 4 + length))
            for (let at = 0; at < length; at++) seen[at] |= around[4 + at]
          }
          expect(seen.every((byte) => byte !== 0)).toBe(true)
          expect([...around.subarray(0, 4), ...around.subarray(4 + length)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
        }
      })
    )

    test(
      "all byte values and all 32 bits of u32 occur, and u32 stays in range",
      withEntropy((entropy) => {
        const source = entropy.source("test")
        expect(new Set(randomBytes(source, 16_384)).size).toBe(256)
        let ones = 0
        let zeros = 0
        for (let i = 0; i < 200; i++) {
          const value = source.u32()
          expect(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff).toBe(true)
          ones |= value
          zeros |= ~value
        }
        expect(ones >>> 0).toBe(0xffff_ffff)
        expect(zeros >>> 0).toBe(0xffff_ffff)
      })
    )

    test(
      "streams of different labels differ, and a label asked for twice goes on instead of repeating",
      withEntropy((entropy) => {
        const a = [...randomBytes(entropy.source("a"), 32)]
        const b = [...randomBytes(entropy.source("b"), 32)]
        const again = [...randomBytes(entropy.source("a"), 32)]
        expect(a).not.toEqual(b)
        expect(again).not.toEqual(a)
      })
    )
  })
}
