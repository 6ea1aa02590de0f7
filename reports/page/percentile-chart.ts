/** Latency against percentile, on an axis of nines. */

import type uPlotClass from "uplot"
import type { PercentileChart } from "../chart-data.ts"
import { Chart } from "./chart.ts"

const PERCENTILE_HEIGHT_PX = 280

/** Marks of the axis: where a reader looks. */
const MARKS: ReadonlyArray<readonly [number, string]> = [
  [0, "min"],
  [0.30103, "p50"],
  [1, "p90"],
  [2, "p99"],
  [3, "p99.9"],
  [4, "p99.99"]
]

export const mountPercentiles = (host: HTMLElement, chart: PercentileChart): Chart =>
  new Chart({
    figure: host,
    unit: "ms",
    names: chart.series.map((series) => series.name),
    on: chart.series.map(() => true),
    data: [[...chart.nines], ...chart.series.map((series) => [...series.values])] as uPlotClass.AlignedData,
    heightPx: PERCENTILE_HEIGHT_PX,
    x: {
      splits: () => MARKS.map(([at]) => at).filter((at) => at <= chart.nines.at(-1)! + 1e-6),
      values: (_, splits) => splits.map((split) => MARKS.find(([at]) => at === split)?.[1] ?? "")
    },
    logarithmic: true,
    rightPx: 26,
    rest: `at ${percentileName(chart.nines.at(-1)!)}`,
    when: percentileName
  })

const percentileName = (nines: number): string =>
  `p${Number((100 * (1 - 10 ** -nines)).toFixed(nines > 3 ? 3 : nines > 2 ? 2 : 1))}`
