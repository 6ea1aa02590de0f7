import { Rng } from "@horizon/sim/kernel/rng.ts"
import { expect, test } from "vitest"
import { BACKOFF, Backoff, jitterMs } from "./backoff.ts"

const source = (seed: number) => new Rng(seed, "backoff")

test("each wait lies between the floor and a ceiling that doubles up to the cap", () => {
  for (let seed = 0; seed < 200; seed++) {
    const backoff = new Backoff(source(seed))
    for (let attempt = 0; attempt < 40; attempt++) {
      const ceilingMs = Math.min(BACKOFF.capMs, BACKOFF.firstMs * 2 ** attempt)
      const waitMs = backoff.nextMs()
      expect(Number.isInteger(waitMs)).toBe(true)
      expect(waitMs).toBeGreaterThanOrEqual(BACKOFF.floorMs)
      expect(waitMs).toBeLessThanOrEqual(ceilingMs)
    }
  }
})

test("the first waits of many nodes are spread evenly, and a success begins anew", () => {
  const waits = Array.from({ length: 1_000 }, (_, seed) => new Backoff(source(seed)).nextMs())
  const tenths = new Array<number>(10).fill(0)
  for (const waitMs of waits) tenths[Math.min(9, Math.floor(((waitMs - 50) / 451) * 10))]++
  expect(Math.min(...tenths)).toBeGreaterThan(60)
  expect(Math.max(...tenths)).toBeLessThan(140)
  const backoff = new Backoff(source(1))
  for (let i = 0; i < 10; i++) backoff.nextMs()
  expect(backoff.attempts).toBe(10)
  backoff.reset()
  expect(backoff.attempts).toBe(0)
  expect(backoff.nextMs()).toBeLessThanOrEqual(BACKOFF.firstMs)
})

test("jitter reaches both of its ends", () => {
  const random = source(3)
  const drawn = new Set(Array.from({ length: 200 }, () => jitterMs(random, 3, 5)))
  expect([...drawn].sort()).toEqual([3, 4, 5])
})
