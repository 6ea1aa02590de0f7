import type { StreamFigures } from "@horizon/core/measure/calibration.ts"
import { CALIBRATION_GROUPS, CALIBRATION_ROWS } from "@horizon/scenarios/calibration/links.ts"
import { calibrationOf, countOf } from "@horizon/scenarios/calibration/plan.ts"
import { beforeAll, expect, test } from "vitest"
import { makeSimulated } from "../world/simulated.ts"
import type { WorldRunOutcome } from "../world/world.ts"
import { figuresOf } from "./figures.ts"

let outcome: WorldRunOutcome
beforeAll(async () => {
  outcome = await makeSimulated().run({ scenario: calibrationOf(CALIBRATION_GROUPS), seed: 7 })
})

const measured = (name: string, way: "up" | "down" = "up"): StreamFigures => {
  const row = CALIBRATION_ROWS.find((one) => one.name === name)!
  const stream = row.streams.find((one) => one.way === way)!
  const figures = figuresOf(outcome.trace.events, row, stream)!
  expect(figures.sent).toBe(countOf(stream))
  return figures
}

test("a link that does nothing takes no time, and a delay is what it says to the nanosecond", () => {
  expect(measured("path")).toMatchObject({ delayMaxNs: 0, goodputBps: 400_000 })
  for (const ms of [1, 5, 20, 50, 100, 300])
    for (const way of ["up", "down"] as const)
      expect(measured(`delay-${ms}ms`, way)).toMatchObject({ delayMinNs: ms * 1e6, delayMaxNs: ms * 1e6 })
})

test("losses are those of the models: independent ones alone, those of Gilbert and Elliott in runs", () => {
  const share = ({ received, sent }: StreamFigures): number => (sent - received) / sent
  // Five standard deviations of 8,000 and of 5,000 draws.
  expect(Math.abs(share(measured("loss-1-percent")) - 0.01)).toBeLessThan(0.0056)
  expect(Math.abs(share(measured("loss-10-percent")) - 0.1)).toBeLessThan(0.0212)
  const bursts = measured("loss-bursts")
  // 0.0037 / (0.0037 + 0.07) of the time in the bad state, which loses 80 %.
  expect(Math.abs(share(bursts) - 0.0402)).toBeLessThan(0.02)
  expect((bursts.sent - bursts.received) / bursts.lossRuns).toBeGreaterThan(3)
})

test("a flooded link delivers its rate, less headers and framing, and its queue is full", () => {
  const goodput = (rateBps: number, bytes: number, overheadBytes = 0): number =>
    (rateBps * bytes) / (bytes + 28 + overheadBytes)
  const near = (figures: StreamFigures, bps: number): void =>
    expect(Math.abs(figures.goodputBps / bps - 1)).toBeLessThan(0.002)
  near(measured("rate-256k"), goodput(256e3, 1200))
  near(measured("rate-5m-small"), goodput(5e6, 172, 38))
  near(measured("rate-5m-bytes"), goodput(5e6, 1200))
  near(measured("rate-100m"), goodput(100e6, 1200))
  near(measured("rate-1g"), goodput(1e9, 1472))
  near(measured("home-line", "up"), goodput(20e6, 1200))
  near(measured("home-line", "down"), goodput(100e6, 1200))
  // 100 packets wait and one is being sent, then 5 ms.
  expect(measured("rate-100m").delayMaxNs / 1e6).toBeCloseTo(5 + (101 * 1228 * 8) / 100e3, 1)
})

test("CoDel keeps the queue of a link that is flooded a little shorter than its bounds", () => {
  const { delayP50Ns, goodputBps } = measured("codel-5m")
  expect(delayP50Ns).toBeLessThan(60e6)
  expect(goodputBps).toBeGreaterThan(4.8e6)
})

test("duplicates come as often as they should, and packets that skip their delay come too early", () => {
  const { duplicates, sent } = measured("duplication")
  // Five standard deviations of 5,000 draws.
  expect(Math.abs(duplicates / sent - 0.02)).toBeLessThan(0.0099)
  const { delayMinNs, delayP50Ns, reordered } = measured("reorder-gap")
  expect([delayMinNs, delayP50Ns]).toEqual([0, 10e6])
  expect(reordered).toBeGreaterThan(1_000)
  expect(measured("jitter-uniform-ordered").reordered).toBe(0)
  expect(measured("jitter-normal").reordered).toBeGreaterThan(500)
})
