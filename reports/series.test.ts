import { expect, test } from "vitest"
import { POINTS_MAX, SHOWN_MAX, timeCharts } from "./series.ts"

const long = Array.from({ length: 10_000 }, (_, index) => index)

const make = (
  name: string,
  group: "throughput" | "queue" | "latency" | "control",
  seconds: ReadonlyArray<number>,
  values: ReadonlyArray<number | null>,
  unit = "x"
) => ({
  name,
  unit,
  group,
  seconds,
  values
})

test("a long queue series is thinned to its largest values, so that no spike is lost", () => {
  const values = long.map((at) => (at === 7_777 ? 500 : 1))
  const [{ chart, thinned, peak }] = timeCharts("p", [make("queue a", "queue", long, values)])
  expect(thinned).toBe(true)
  expect(chart.series[0].values.length).toBeLessThanOrEqual(POINTS_MAX)
  expect(Math.max(...chart.series[0].values.map((value) => value ?? 0))).toBe(500)
  expect(peak).toEqual({ value: 500, name: "a", atSeconds: 7_777 })
})

test("a long throughput series is thinned to means, so that its area stays", () => {
  const [{ chart }] = timeCharts("p", [
    make(
      "throughput a",
      "throughput",
      long,
      long.map((at) => at % 2)
    )
  ])
  const { values } = chart.series[0]
  expect(values.reduce((sum: number, value) => sum + (value ?? 0), 0) / values.length).toBeCloseTo(0.5, 2)
})

test("of many series the most active come first and are switched on, idle ones never", () => {
  const all = Array.from({ length: 12 }, (_, index) =>
    make(`queue ${index}`, "queue", [1, 2], [index > 8 ? index : 0, 0])
  )
  const [{ chart }] = timeCharts("p", all)
  expect(chart.series.slice(0, 3).map(({ name }) => name)).toEqual(["11", "10", "9"])
  expect(chart.series.filter(({ on }) => on)).toHaveLength(3)
  expect(SHOWN_MAX).toBeGreaterThan(3)
})

test("series that were sampled together share their times, and units get charts of their own", () => {
  const charts = timeCharts("p", [
    make("a", "control", [1, 2], [1, 2], "players"),
    make("b", "control", [1, 2], [1, 2], "players"),
    make("c", "control", [5], [1], "packets")
  ])
  expect(charts.map(({ chart }) => [chart.id, chart.unit, chart.times.length])).toEqual([
    ["p-control", "players", 1],
    ["p-control-2", "packets", 1]
  ])
})

test("a second without a successful operation breaks the line of the latency", () => {
  const [{ chart }] = timeCharts("p", [make("ping p50", "latency", [1, 2, 6], [10, 11, 12])])
  expect(chart.times[0]).toEqual([1, 2, 3, 6])
  expect(chart.series[0].values).toEqual([10, 11, null, 12])
})
