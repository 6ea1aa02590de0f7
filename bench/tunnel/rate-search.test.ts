import fc from "fast-check"
import { expect, test } from "vitest"
import { type RateProbe, searchRate } from "./rate-search.ts"

/** A path that carries so much and loses the rest, behind a sender that can do so much. */
const path =
  (capacityPerSecond: number, senderPerSecond = Number.POSITIVE_INFINITY) =>
  async (offeredPerSecond: number): Promise<RateProbe> => {
    const sentPerSecond = Math.min(offeredPerSecond, senderPerSecond)
    return { offeredPerSecond, sentPerSecond, lossRatio: Math.max(0, 1 - capacityPerSecond / sentPerSecond) }
  }
const wide = { startPerSecond: 100_000, growth: 2, probesMax: 8, lossRatioMax: 0.01 }

test("any capacity within the reach of eight probes is found to a tenth, and never exceeded by more than the loss allowed", () =>
  fc.assert(
    fc.asyncProperty(fc.integer({ min: 10_000, max: 1_000_000 }), async (capacity) => {
      const { best, probes } = await searchRate({ ...wide, probe: path(capacity) })
      expect(probes.length).toBeLessThanOrEqual(8)
      expect(best!.sentPerSecond).toBeLessThanOrEqual(capacity / 0.99)
      expect(best!.sentPerSecond).toBeGreaterThan(capacity * 0.9)
    })
  ))

test("a sender that cannot keep up is the end of the search, and its own rate the answer", async () => {
  const { best, probes } = await searchRate({ ...wide, probe: path(1e9, 250_000) })
  expect(best?.sentPerSecond).toBe(250_000)
  expect(probes).toHaveLength(3)
})

test("a path that loses at every rate has no answer, after as many probes as allowed", async () => {
  const probe = async (offeredPerSecond: number) => ({
    offeredPerSecond,
    sentPerSecond: offeredPerSecond,
    lossRatio: 0.5
  })
  const { best, probes } = await searchRate({ ...wide, probe })
  expect(best).toBeUndefined()
  expect(probes).toHaveLength(8)
})

test("five probes around a known rate find one that has moved by a third either way", async () => {
  for (const capacity of [70_000, 100_000, 130_000]) {
    const search = { ...wide, startPerSecond: 95_000, growth: 1.3, probesMax: 5 }
    const { best } = await searchRate({ ...search, probe: path(capacity) })
    expect(best!.sentPerSecond).toBeGreaterThan(capacity * 0.9)
  }
})
