import type { StreamFigures } from "@horizon/core/measure/calibration.ts"
import type { LinkFigure } from "@horizon/scenarios/calibration/links.ts"
import { expect, test } from "vitest"
import { causesOf, isDisturbed, type Surroundings } from "./cause.ts"
import { compare } from "./compare.ts"
import { figures } from "./figures.fixture.ts"

const quiet: Surroundings = {
  driver: "box",
  path: figures({ delayP50Ns: 100_000, delayP99Ns: 300_000 }),
  wake: { p50Ns: 30_000, p99Ns: 100_000 },
  count: { packets: 1_000, bytes: 1, dropped: 0, overrun: 0 },
  notes: [],
  waited: 0
}

const causes = (figure: LinkFigure, measured: Partial<StreamFigures>, around: Partial<Surroundings> = {}) =>
  causesOf(compare([figure], figures(), figures(measured)), figures(measured), { ...quiet, ...around })

test("what agrees needs no cause, whatever the surroundings", () => {
  expect(causes("goodput", {}, { waited: 0.9, notes: ["rateBps: x"] })).toEqual([])
})

test("a delay that is longer by what the driver's own path and one wake-up take is theirs", () => {
  expect(causes("delayP50", { delayP50Ns: 1.12e6 })).toEqual([
    "the driver box itself takes 100 µs (median of a link that does nothing) and a wake-up 30 µs; here they added 120 µs"
  ])
  expect(causes("delayP99", { delayP99Ns: 1.4e6 })[0]).toMatch(/takes 300 µs \(p99 .*wake-up 100 µs.*added 400 µs/)
})

test("a delay that is longer than that, or shorter, is not explained by the path", () => {
  expect(causes("delayP50", { delayP50Ns: 1.5e6 })).toEqual(["not known: delayP50"])
  expect(causes("delayP50", { delayP50Ns: 0.5e6 })).toEqual(["not known: delayP50"])
  expect(causes("delayP50", { delayP50Ns: 1.1e6 }, { path: undefined })).toEqual(["not known: delayP50"])
})

test("frames for which the driver came too late are named before all else", () => {
  const count = { packets: 500, bytes: 1, dropped: 500, overrun: 500 }
  const notes = ["rateBps: the first packet of a burst passes"]
  const found = causes("goodput", { goodputBps: 500_000, lateP99Ns: 9e6 }, { count, notes, waited: 0.5 })
  expect(found).toHaveLength(2)
  expect(found[0]).toBe("the driver box is too slow for this link: it came too late for 500 of 1000 frames")
  expect(found[1]).toMatch(/the machine was busy: .* 50.0 % .* 9000 µs late/)
})

test("on a busy machine a far percentile is the machine's fault and not the path's", () => {
  expect(causes("delayP99", { delayP99Ns: 1.4e6 }, { waited: 0.4 })).toEqual([
    expect.stringMatching(/^the machine was busy/)
  ])
})

test("what the kernel does only nearly is named with the figures that depend on it", () => {
  const notes = ["duplicatePpm: stands alone", "queue: bytesMax is not enforced, only packetsMax"]
  expect(causes("drops", { received: 500 }, { notes })).toEqual([
    "the kernel does it only nearly: queue: bytesMax is not enforced, only packetsMax"
  ])
})

test("a machine that lets the measurement wait, or on which the sender itself is late, disturbs", () => {
  expect(isDisturbed(figures(), 0.004)).toBe(false)
  expect(isDisturbed(figures(), 0.006)).toBe(true)
  expect(isDisturbed(figures({ lateP99Ns: 0.6e6 }), 0)).toBe(true)
})
