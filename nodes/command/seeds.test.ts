import { Result } from "effect"
import { expect, test } from "vitest"
import { parseSeed, parseSeeds, parseShard } from "./seeds.ts"

const failed = (result: Result.Result<unknown, string>): boolean => Result.isFailure(result)

test("a seed is a non-negative integer below 2^53, in decimal digits", () => {
  expect(Result.getOrThrow(parseSeed("0"))).toBe(0)
  expect(Result.getOrThrow(parseSeed("9007199254740991"))).toBe(Number.MAX_SAFE_INTEGER)
  for (const bad of ["", "x", "-1", "1.5", "1e3", "0x10", " 1", "9007199254740992", "9".repeat(40)]) {
    expect(failed(parseSeed(bad)), bad).toBe(true)
  }
})

test("a range of seeds includes both ends and is refused when reversed, half or endless", () => {
  expect(Result.getOrThrow(parseSeeds("1..4"))).toEqual([1, 2, 3, 4])
  expect(Result.getOrThrow(parseSeeds("7..7"))).toEqual([7])
  for (const bad of ["", "1", "1..", "..2", "2..1", "1...2", "a..b", "0..9007199254740991", "1..2..3"]) {
    expect(failed(parseSeeds(bad)), bad).toBe(true)
  }
})

test("a shard is one of N parts, counted from 1", () => {
  expect(Result.getOrThrow(parseShard("1/4"))).toEqual({ index: 1, count: 4 })
  expect(Result.getOrThrow(parseShard("4/4"))).toEqual({ index: 4, count: 4 })
  for (const bad of ["", "0/4", "5/4", "1", "1/0", "-1/4", "a/b"]) expect(failed(parseShard(bad)), bad).toBe(true)
})
