import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { Hash } from "effect"
import { expect, test } from "vitest"
import { Guard, WorldLeak } from "./guard.ts"

const refused: ReadonlyArray<readonly [string, () => unknown]> = [
  ["Date.now", () => Date.now()],
  ["new Date()", () => new Date()],
  ["Math.random", () => Math.random()],
  ["performance.now", () => performance.now()],
  ["setTimeout", () => setTimeout(() => {}, 1)],
  ["setImmediate", () => setImmediate(() => {})],
  ["queueMicrotask", () => queueMicrotask(() => {})],
  ["fetch", () => fetch("http://127.0.0.1:1/")],
  ["node:crypto.randomBytes", () => randomBytes(4)],
  ["node:fs.readFileSync", () => fs.readFileSync("/etc/hostname")]
]

test.each(refused)("%s is refused inside the guard with the place that called it", (name, call) => {
  const guard = new Guard()
  expect(() => guard.during(call)).toThrow(WorldLeak)
  expect(() => guard.during(call)).toThrow(new RegExp(`${name.replace(/[().]/g, "\\$&")}.*guard\\.test\\.ts`))
})

test("a promise made inside the guard is noted with the place that made it", () => {
  const guard = new Guard()
  const pending = guard.during(() => (async () => 1)())
  expect(guard.leak?.message).toMatch(/promise.*guard\.test\.ts/)
  return pending
})

test("everything works again after the guard is down, also after a throw inside", () => {
  const guard = new Guard()
  expect(() =>
    guard.during(() => {
      throw new Error("inner")
    })
  ).toThrow("inner")
  expect(Date.now()).toBeGreaterThan(0)
  expect(randomBytes(4)).toHaveLength(4)
  expect(fs.existsSync("/")).toBe(true)
})

test("signing with noble works inside the guard and gives the same bytes as outside, for all its blinding", () => {
  const guard = new Guard()
  const [seed, message] = [new Uint8Array(32).fill(7), new Uint8Array(10)]
  const inside = guard.during(() => nobleCrypto.ed25519Sign(seed, message))
  expect(inside).toEqual(nobleCrypto.ed25519Sign(seed, message))
  expect(guard.leak).toBeUndefined()
})

test("Effect hashes objects by identity inside the guard without chance", () => {
  const hashes = new Guard().during(() => [Hash.hash(() => 1), Hash.hash(() => 2)])
  expect(hashes[0]).toBe(hashes[1])
})

test("a date made from a given instant still formats inside the guard", () => {
  expect(new Guard().during(() => new Date(0).toISOString())).toBe("1970-01-01T00:00:00.000Z")
})
