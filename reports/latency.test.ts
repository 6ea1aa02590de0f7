import { Histogram } from "@horizon/core/measure/histogram.ts"
import { expect, test } from "vitest"
import { latencyRow, ninesOf, percentileChart } from "./latency.ts"

const series = (op: string, values: ReadonlyArray<number>) => {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return { histogram, latency: { op, actors: 1, outcomes: { ok: values.length, lost: 2 }, ...histogram.sparse() } }
}

test("percentiles of the table are those of the histogram that was recorded, to within its 0.8 %", () => {
  const values = Array.from({ length: 5_000 }, (_, index) => 1e6 + index ** 2)
  const { histogram, latency } = series("ping", values)
  const row = latencyRow(latency)
  const wanted = [50, 90, 99, 99.9].map((p) => histogram.percentile(p))
  const found = [row.p50Ns, row.p90Ns, row.p99Ns, row.p999Ns]
  found.forEach((value, index) => {
    expect(Math.abs(value / wanted[index] - 1)).toBeLessThan(1 / 128)
  })
  expect(row.maxNs / histogram.max).toBeCloseTo(1, 1)
  expect([row.count, row.tried]).toEqual([5_000, 5_002])
})

test("the curve passes through the named percentiles, never falls, and ends where the number of operations ends", () => {
  const many = series(
    "many",
    Array.from({ length: 20_000 }, (_, index) => 1e6 + index * 997)
  )
  const few = series("few", [5e6, 6e6, 7e6])
  const chart = percentileChart("id", [many.latency, few.latency])!
  for (const percentile of [50, 90, 99, 99.9]) {
    const at = chart.nines.findIndex((nines) => Math.abs(nines - ninesOf(percentile)) < 1e-3)
    const value = chart.series[0].values[at]!
    expect(value).toBeCloseTo(many.histogram.percentile(percentile) / 1e6, 1)
  }
  expect(chart.nines.at(-1)).toBe(4)
  const curve = chart.series[0].values
  expect(curve.every((value, index) => value !== null && (index === 0 || value >= curve[index - 1]!))).toBe(true)
  const last = chart.series[1].values.findLastIndex((value) => value !== null)
  expect(chart.nines[last]).toBeLessThanOrEqual(Math.log10(3) + 1e-6)
})

test("operations that never succeeded, and malformed buckets, have no curve and no invented figures", () => {
  const none = { op: "none", actors: 1, outcomes: { refused: 4 }, indices: [], counts: [] }
  const broken = { op: "broken", actors: 1, outcomes: {}, indices: [-1], counts: [2] }
  expect(percentileChart("id", [none, broken])).toBeNull()
  expect([latencyRow(none).count, latencyRow(broken).count, latencyRow(none).tried]).toEqual([0, 0, 4])
})
