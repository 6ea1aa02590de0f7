/** What the page's scripts get of one run: the contract between the renderer (Node) and the page (browser). */

/** A stretch of time in which a fault was active. Times are seconds since the start of the run. */
export interface Band {
  readonly from: number
  /** The same as `from` for what strikes once. */
  readonly to: number
  /** Numbers of its faults in the fault timeline, e.g. `1–4`. */
  readonly label: string
}

export interface ChartSeries {
  readonly name: string
  /** Index into the chart's `times`. */
  readonly time: number
  /** `null` where there was nothing to measure: the line is broken there. */
  readonly values: ReadonlyArray<number | null>
  /** Whether it is drawn at first. */
  readonly on: boolean
}

export interface TimeChart {
  readonly id: string
  readonly unit: string
  /** Points in time in seconds; series that were sampled together share them. */
  readonly times: ReadonlyArray<ReadonlyArray<number>>
  readonly series: ReadonlyArray<ChartSeries>
}

/** Latency against percentile. The axis counts nines: `-log10(1 - share)`, so 1 is p90, 2 is p99, 3 is p99.9. */
export interface PercentileChart {
  readonly id: string
  readonly nines: ReadonlyArray<number>
  /** Milliseconds at each percentile; `null` beyond what the number of operations can tell. */
  readonly series: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<number | null> }>
}

/** Lines of the log; node and kind are indices into the lists. */
export interface LogData {
  readonly nodes: ReadonlyArray<string>
  readonly kinds: ReadonlyArray<string>
  /** Event id, time in ms, node, kind, words. */
  readonly lines: ReadonlyArray<readonly [number, number, number, number, string]>
}

export interface RunData {
  readonly seconds: number
  /** Start of the liveness phase. */
  readonly livenessFrom: number | null
  readonly bands: ReadonlyArray<Band>
  readonly charts: ReadonlyArray<TimeChart>
  readonly percentiles: PercentileChart | null
  readonly log: LogData
}
