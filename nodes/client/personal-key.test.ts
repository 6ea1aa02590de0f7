import { Keys } from "@horizon/core/port/keys.ts"
import { Effect, Option } from "effect"
import { expect, test } from "vitest"
import { PERSONAL_KEY, personalKey } from "./personal-key.ts"

const start = () => {
  const entries = new Map<string, Uint8Array>()
  let writes = 0
  const keys = Keys.of({
    where: "a test",
    read: (name) => Effect.sync(() => Option.fromUndefinedOr(entries.get(name))),
    write: (name, bytes) =>
      Effect.sync(() => {
        writes++
        entries.set(name, bytes)
      }),
    remove: () => Effect.void,
    list: Effect.succeed([])
  })
  const ask = (configured: string) => Effect.runSync(Effect.provideService(personalKey(configured), Keys, keys))
  return { ask, entries, writes: () => writes }
}

test("a personal key that was given once is remembered, as UTF-8, and written once", () => {
  const { ask, entries, writes } = start()
  expect(ask("hzp_ä")).toBe("hzp_ä")
  expect([...(entries.get(PERSONAL_KEY) ?? [])]).toEqual([0x68, 0x7a, 0x70, 0x5f, 0xc3, 0xa4])
  expect([ask("hzp_ä"), ask(""), writes()]).toEqual(["hzp_ä", "hzp_ä", 1])
})

test("another personal key replaces the one that was remembered", () => {
  const { ask } = start()
  ask("hzp_one")
  expect([ask("hzp_two"), ask("")]).toEqual(["hzp_two", "hzp_two"])
})

test("without any personal key there is none", () => {
  expect(start().ask("")).toBeUndefined()
})
