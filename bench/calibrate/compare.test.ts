import type { StreamFigures } from "@horizon/core/measure/calibration.ts"
import { expect, test } from "vitest"
import { compare } from "./compare.ts"
import { figures } from "./figures.fixture.ts"

const one = (
  figure: Parameters<typeof compare>[0][number],
  simulated: Partial<StreamFigures>,
  measured: Partial<StreamFigures>
) => compare([figure], figures(simulated), figures(measured))[0]

test("goodput and median delay agree up to five percent, the 99th percentile up to fifteen, in both directions", () => {
  expect(one("goodput", { goodputBps: 1_000 }, { goodputBps: 951 })).toMatchObject({ within: true, bound: 0.05 })
  expect(one("goodput", { goodputBps: 1_000 }, { goodputBps: 949 }).within).toBe(false)
  expect(one("delayP50", { delayP50Ns: 1e6 }, { delayP50Ns: 1.049e6 }).within).toBe(true)
  expect(one("delayP50", { delayP50Ns: 1e6 }, { delayP50Ns: 1.051e6 })).toMatchObject({
    within: false,
    difference: expect.closeTo(0.051)
  })
  expect(one("delayP99", { delayP99Ns: 1e6 }, { delayP99Ns: 0.86e6 }).within).toBe(true)
  expect(one("delayP99", { delayP99Ns: 1e6 }, { delayP99Ns: 1.16e6 }).within).toBe(false)
})

test("what both worlds find to be nothing agrees, and something instead of nothing does not", () => {
  expect(one("delayP50", { delayP50Ns: 0 }, { delayP50Ns: 0 }).within).toBe(true)
  expect(one("delayP50", { delayP50Ns: 0 }, { delayP50Ns: 1 }).within).toBe(false)
  expect(one("loss", { received: 1_000 }, { received: 1_000 }).within).toBe(true)
})

test("losses agree within three standard errors of the two samples", () => {
  // 1 % of 10,000 in both: a standard error of sqrt(2 · 0.01 · 0.99 / 10,000) = 0.14 percentage points.
  const bound = one("loss", { sent: 10_000, received: 9_900 }, { sent: 10_000, received: 9_900 }).bound
  expect(bound).toBeCloseTo(3 * 0.001407, 5)
  expect(
    one("loss", { sent: 10_000, received: 9_900, lossRuns: 100 }, { sent: 10_000, received: 9_861, lossRuns: 139 })
      .within
  ).toBe(true)
  expect(
    one("loss", { sent: 10_000, received: 9_900, lossRuns: 100 }, { sent: 10_000, received: 9_840, lossRuns: 160 })
      .within
  ).toBe(false)
})

test("losses in runs are fewer independent ones, so they may differ by more", () => {
  const single = one(
    "loss",
    { sent: 10_000, received: 9_800, lossRuns: 200 },
    { sent: 10_000, received: 9_800, lossRuns: 200 }
  )
  const runs = one(
    "loss",
    { sent: 10_000, received: 9_800, lossRuns: 40 },
    { sent: 10_000, received: 9_800, lossRuns: 40 }
  )
  // Runs of five: nine times the variance.
  expect(runs.bound / single.bound).toBeCloseTo(3)
  // A hundred spells of three runs of some four losses, and 22 spells less.
  const spells = [
    { sent: 10_000, received: 8_800, lossRuns: 300 },
    { sent: 10_000, received: 9_064, lossRuns: 234 }
  ] as const
  expect(one("lossRuns", ...spells).within).toBe(true)
})

test("of a chance that never struck in one world, many hits in the other one are a difference", () => {
  expect(one("duplicates", { duplicates: 0 }, { duplicates: 5 }).within).toBe(true)
  expect(one("duplicates", { duplicates: 0 }, { duplicates: 20 }).within).toBe(false)
  expect(one("reordered", { reordered: 500 }, { reordered: 400 }).within).toBe(false)
  expect(one("reordered", { reordered: 500 }, { reordered: 470 }).within).toBe(true)
})
