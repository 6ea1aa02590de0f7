/** What every `Keys` layer must do. */

import type { Layer } from "effect"
import { Effect, Option } from "effect"
import { describe, expect, test } from "vitest"
import { KEY_BYTES_MAX, Keys, type KeysError } from "./keys.ts"
import { type ContractInstance, type ContractWorld, inWorld } from "./world.contract.ts"

export interface KeysInstance extends ContractInstance {
  /** Opens the same entries each time that it is built. */
  readonly layer: Layer.Layer<Keys, KeysError>
  /** Damages an entry behind the port's back: flips a bit of what is stored. */
  readonly damage: (name: string) => Effect.Effect<void>
}

const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

export const keysContract = (world: ContractWorld<KeysInstance>): void => {
  const withKeys = <E>(body: (keys: Keys["Service"], instance: KeysInstance) => Effect.Effect<void, E>) =>
    inWorld(world)((instance) =>
      Effect.flatMap(Keys, (keys) => body(keys, instance)).pipe(Effect.provide(instance.layer))
    )

  describe(`Keys, ${world.name}`, () => {
    test(
      "what was written is read, also when empty, of every byte value, or of the largest size",
      withKeys((keys) =>
        Effect.gen(function* () {
          const all = Uint8Array.from({ length: 256 }, (_, i) => i)
          const large = new Uint8Array(KEY_BYTES_MAX).fill(0xa5)
          yield* keys.write("empty", bytes())
          yield* keys.write("all-values.bin", all)
          yield* keys.write("large", large)
          expect(Option.getOrThrow(yield* keys.read("empty"))).toEqual(bytes())
          expect(Option.getOrThrow(yield* keys.read("all-values.bin"))).toEqual(all)
          const read = Option.getOrThrow(yield* keys.read("large"))
          expect(read.length === large.length && read.every((byte) => byte === 0xa5)).toBe(true)
        })
      )
    )

    test(
      "an entry that was never written is none",
      withKeys((keys) =>
        Effect.gen(function* () {
          expect(Option.isNone(yield* keys.read("absent"))).toBe(true)
        })
      )
    )

    test(
      "a write replaces the whole entry, and neither the caller's array nor a read one is shared with it",
      withKeys((keys) =>
        Effect.gen(function* () {
          const mine = bytes(1, 2, 3, 4)
          yield* keys.write("entry", bytes(9, 9, 9, 9, 9, 9, 9, 9))
          yield* keys.write("entry", mine)
          mine[0] = 77
          const first = Option.getOrThrow(yield* keys.read("entry"))
          expect(first).toEqual(bytes(1, 2, 3, 4))
          first[1] = 77
          expect(Option.getOrThrow(yield* keys.read("entry"))).toEqual(bytes(1, 2, 3, 4))
        })
      )
    )

    test(
      "concurrent writes of one entry leave one of them whole",
      withKeys((keys) =>
        Effect.gen(function* () {
          const values = [1, 2, 3, 4, 5, 6, 7, 8]
          yield* Effect.forEach(values, (n) => keys.write("entry", new Uint8Array(1000 * n).fill(n)), {
            concurrency: "unbounded"
          })
          const read = Option.getOrThrow(yield* keys.read("entry"))
          expect(values).toContain(read[0])
          expect(read.length).toBe(1000 * read[0])
          expect(read.every((byte) => byte === read[0])).toBe(true)
        })
      )
    )

    test(
      "remove takes an entry away, and removing an absent one is no error",
      withKeys((keys) =>
        Effect.gen(function* () {
          yield* keys.write("entry", bytes(1))
          yield* keys.remove("entry")
          yield* keys.remove("entry")
          expect(Option.isNone(yield* keys.read("entry"))).toBe(true)
        })
      )
    )

    test(
      "list names the entries in ascending order and nothing else",
      withKeys((keys) =>
        Effect.gen(function* () {
          expect(yield* keys.list).toEqual([])
          for (const name of ["identity", "broker.key", "a", "z-9", "a.b"]) yield* keys.write(name, bytes(1))
          yield* keys.remove("a")
          expect(yield* keys.list).toEqual(["a.b", "broker.key", "identity", "z-9"])
        })
      )
    )

    test(
      "names that could leave the place or differ by case are refused before anything is touched",
      withKeys((keys) =>
        Effect.gen(function* () {
          for (const name of [
            "",
            "../x",
            "/etc/passwd",
            "Upper",
            "1st",
            ".hidden",
            "a/b",
            "a b",
            "a\u0000b",
            "x".repeat(65)
          ]) {
            for (const act of [keys.write(name, bytes(1)), keys.read(name), keys.remove(name)]) {
              const error = yield* Effect.flip(act)
              expect(error.reason).toBe("bad-name")
              expect(error.message.length).toBeGreaterThan(10)
            }
          }
          expect(yield* keys.list).toEqual([])
        })
      )
    )

    test(
      "an entry above the limit is refused and the old one stays",
      withKeys((keys) =>
        Effect.gen(function* () {
          yield* keys.write("entry", bytes(5))
          const error = yield* Effect.flip(keys.write("entry", new Uint8Array(KEY_BYTES_MAX + 1)))
          expect(error.reason).toBe("too-large")
          expect(Option.getOrThrow(yield* keys.read("entry"))).toEqual(bytes(5))
        })
      )
    )

    test(
      "a damaged entry is an error that names it, never other bytes, and writing it anew heals it",
      withKeys((keys, instance) =>
        Effect.gen(function* () {
          yield* keys.write("identity", bytes(1, 2, 3, 4, 5, 6, 7, 8))
          yield* keys.write("other", bytes(1))
          yield* instance.damage("identity")
          const error = yield* Effect.flip(keys.read("identity"))
          expect(error.reason).toBe("corrupt")
          expect(error.message).toContain("identity")
          expect(Option.getOrThrow(yield* keys.read("other"))).toEqual(bytes(1))
          yield* keys.write("identity", bytes(2))
          expect(Option.getOrThrow(yield* keys.read("identity"))).toEqual(bytes(2))
        })
      )
    )

    test(
      "entries outlive the service that wrote them",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          yield* Effect.provide(
            Keys.use((keys) => keys.write("identity", bytes(7, 8))),
            instance.layer
          )
          const read = yield* Effect.provide(
            Keys.use((keys) => keys.read("identity")),
            instance.layer
          )
          expect(Option.getOrThrow(read)).toEqual(bytes(7, 8))
        })
      )
    )

    test(
      "where says in words where the entries lie",
      withKeys((keys) => Effect.sync(() => expect(keys.where.length).toBeGreaterThan(0)))
    )
  })
}
