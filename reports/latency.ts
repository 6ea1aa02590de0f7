/** Latency of each kind of operation: percentiles for tables and the curve over the nines for the chart. */

import type { LatencySeries } from "@horizon/core/measure/document.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { PercentileChart } from "./chart-data.ts"

export interface LatencyRow {
  readonly op: string
  readonly actors: number
  /** Operations whatever came of them. */
  readonly tried: number
  /** Operations that succeeded: those with a latency. */
  readonly count: number
  readonly p50Ns: number
  readonly p90Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  readonly maxNs: number
  readonly outcomes: Readonly<Record<string, number>>
}

/** The histogram of a series, or nothing if its buckets are malformed. */
export const histogramOf = (series: LatencySeries): Histogram | undefined => {
  const histogram = new Histogram()
  return histogram.mergeSparse(series) ? histogram : undefined
}

export const latencyRow = (series: LatencySeries): LatencyRow => {
  const histogram = histogramOf(series) ?? new Histogram()
  return {
    op: series.op,
    actors: series.actors,
    tried: Object.values(series.outcomes).reduce((sum, times) => sum + times, 0),
    count: histogram.count,
    p50Ns: histogram.percentile(50),
    p90Ns: histogram.percentile(90),
    p99Ns: histogram.percentile(99),
    p999Ns: histogram.percentile(99.9),
    maxNs: histogram.max,
    outcomes: series.outcomes
  }
}

/** Position of a percentile on the axis of nines. */
export const ninesOf = (percentile: number): number => -Math.log10(1 - percentile / 100)

/** The chart ends at p99.99: beyond it, even long runs have single operations only. */
const NINES_MAX = 4
const STEP = 0.05
/** Percentiles that a reader looks for have their own points, exactly. */
const NAMED = [0, 50, 75, 90, 95, 99, 99.9, 99.99]

/** The curves of all operations that have latencies, or nothing. */
export const percentileChart = (id: string, latencies: ReadonlyArray<LatencySeries>): PercentileChart | null => {
  const drawn = latencies.flatMap((series) => {
    const histogram = histogramOf(series)
    return histogram === undefined || histogram.count === 0 ? [] : [{ name: series.op, histogram }]
  })
  if (drawn.length === 0) return null
  const last = Math.min(NINES_MAX, Math.max(...drawn.map(({ histogram }) => resolvedNines(histogram.count))))
  const points = new Map<number, number>()
  for (let step = 0; step * STEP <= last + 1e-9; step++) points.set(rounded(step * STEP), percentOf(step * STEP))
  for (const percentile of NAMED)
    if (ninesOf(percentile) <= last + 1e-9) points.set(rounded(ninesOf(percentile)), percentile)
  const nines = [...points.keys()].sort((a, b) => a - b)
  return {
    id,
    nines,
    series: drawn.map(({ name, histogram }) => ({
      name,
      values: nines.map((at) =>
        at > resolvedNines(histogram.count) + 1e-6
          ? null
          : Number((histogram.percentile(points.get(at)!) / 1e6).toPrecision(4))
      )
    }))
  }
}

/** How far out `count` values can tell: from p90 on ten are needed, for p99 a hundred. At least to the median. */
const resolvedNines = (count: number): number => Math.max(ninesOf(50), Math.log10(count))

const percentOf = (nines: number): number => 100 * (1 - 10 ** -nines)

const rounded = (nines: number): number => Math.round(nines * 1e4) / 1e4
