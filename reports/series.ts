/** Time series made ready to draw: one chart for each group and unit, thinned, rounded, with a sensible choice switched on. */

import type { TimeSeries } from "@horizon/core/measure/document.ts"
import type { ChartSeries, TimeChart } from "./chart-data.ts"

/** A chart with the words around it. */
export interface TitledChart {
  readonly chart: TimeChart
  readonly group: TimeSeries["group"]
  readonly title: string
  /** Largest value, its series and its time, for the summary in words; missing if nothing was measured. */
  readonly peak?: { readonly value: number; readonly name: string; readonly atSeconds: number }
  /** Whether points were merged to keep the page small. */
  readonly thinned: boolean
}

/** Points of one series in the page. */
export const POINTS_MAX = 600
/** Series that are switched on at first. */
export const SHOWN_MAX = 6

const TITLES: Readonly<Record<TimeSeries["group"], string>> = {
  latency: "Latency in each second",
  throughput: "Throughput",
  queue: "Queue",
  tick: "Tick",
  memory: "Held by processes",
  control: "Reported by nodes"
}

const ORDER: ReadonlyArray<TimeSeries["group"]> = ["latency", "throughput", "queue", "tick", "memory", "control"]

/** Charts of a run, in the order of the page. */
export const timeCharts = (prefix: string, all: ReadonlyArray<TimeSeries>): ReadonlyArray<TitledChart> =>
  ORDER.flatMap((group) => {
    const units = new Map<string, Array<TimeSeries>>()
    for (const series of all) {
      if (series.group !== group || series.seconds.length === 0) continue
      units.set(series.unit, [...(units.get(series.unit) ?? []), series])
    }
    return [...units].map(([unit, series], index) => {
      const title = units.size > 1 ? `${TITLES[group]}: ${unit}` : TITLES[group]
      return makeChart(`${prefix}-${group}${index === 0 ? "" : `-${index + 1}`}`, group, title, unit, series)
    })
  })

const makeChart = (
  id: string,
  group: TimeSeries["group"],
  title: string,
  unit: string,
  members: ReadonlyArray<TimeSeries>
): TitledChart => {
  const ready = mostActiveFirst(
    members.map((series) => thin(group === "latency" ? withGaps(series) : plain(series), group))
  )
  const times: Array<ReadonlyArray<number>> = []
  const known = new Map<string, number>()
  const series = ready.map((one, index): ChartSeries => {
    const key = one.seconds.join()
    const time = known.get(key) ?? times.push(one.seconds) - 1
    known.set(key, time)
    return {
      name: shortName(one.name, group),
      time,
      values: one.values.map(short),
      on: index < SHOWN_MAX && (ready.length <= SHOWN_MAX || one.values.some((value) => value !== 0))
    }
  })
  const peak = peakOf(members, group)
  return {
    chart: { id, unit, times, series },
    group,
    title,
    thinned: ready.some((one) => one.thinned),
    ...(peak === undefined ? {} : { peak })
  }
}

interface Points {
  readonly name: string
  readonly seconds: ReadonlyArray<number>
  readonly values: ReadonlyArray<number | null>
}

const plain = ({ name, seconds, values }: TimeSeries): Points => ({ name, seconds, values })

/** A second in which no operation succeeded has no latency: the line must break there, not bridge it. */
const withGaps = ({ name, seconds, values }: TimeSeries): Points => {
  const at: Array<number> = []
  const points: Array<number | null> = []
  seconds.forEach((second, index) => {
    if (index > 0 && second - seconds[index - 1] > 1.5) {
      at.push(seconds[index - 1] + 1)
      points.push(null)
    }
    at.push(second)
    points.push(values[index])
  })
  return { name, seconds: at, values: points }
}

/**
 * Merges neighbouring points of a long series. A rate becomes their mean, so that areas stay true; anything else their
 * largest, so that no spike is lost.
 */
const thin = (series: Points, group: TimeSeries["group"]): Points & { readonly thinned: boolean } => {
  const { seconds, values } = series
  if (seconds.length <= POINTS_MAX) return { ...series, thinned: false }
  const each = Math.ceil(seconds.length / POINTS_MAX)
  const at: Array<number> = []
  const points: Array<number | null> = []
  for (let start = 0; start < seconds.length; start += each) {
    const own = values.slice(start, start + each).filter((value) => value !== null)
    at.push(seconds[start])
    if (own.length === 0) points.push(null)
    else if (group === "throughput") points.push(own.reduce((sum, value) => sum + value, 0) / own.length)
    else points.push(own.reduce((most, value) => Math.max(most, value), own[0]))
  }
  return { name: series.name, seconds: at, values: points, thinned: true }
}

/** If there are too many to show at once, those with the most in them come first; of equals the first. */
const mostActiveFirst = <A extends Points>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.length <= SHOWN_MAX
    ? all
    : all
        .map((series) => ({ series, sum: series.values.reduce((sum: number, value) => sum + Math.abs(value ?? 0), 0) }))
        .sort((a, b) => b.sum - a.sum)
        .map(({ series }) => series)

const peakOf = (members: ReadonlyArray<TimeSeries>, group: TimeSeries["group"]): TitledChart["peak"] => {
  let peak: TitledChart["peak"]
  for (const { name, seconds, values } of members) {
    values.forEach((value, index) => {
      if (value !== null && (peak === undefined || value > peak.value))
        peak = { value, name: shortName(name, group), atSeconds: seconds[index] }
    })
  }
  return peak
}

/** The chart's title says what it shows; its series need not repeat it. */
const shortName = (name: string, group: TimeSeries["group"]): string =>
  name.startsWith(`${group} `) ? name.slice(group.length + 1) : name

const short = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(4)))
