/**
 * Figures side by side as bars: a row for each subject, its length the median, a whisker from the least to the most of its rounds. Drawn with
 * the page's style alone, so it works without scripts, on paper and on any width.
 */

import type { BenchColumn, BenchFigure, BenchRow, BenchTable } from "@horizon/core/measure/bench.ts"
import { scaleFor, significant } from "./figures.ts"
import { type Html, html } from "./html.ts"

/** The charts of a table: one for each column that is worth it and has at least two subjects. */
export const barCharts = (table: BenchTable): ReadonlyArray<Html> =>
  table.columns
    .filter(({ chart, name }) => chart && table.rows.filter(({ figures }) => figures[name] !== undefined).length > 1)
    .map((column) => barChart(table, column))

/** What the colours of the bars mean. */
export const SWATCHES = html`<p class="swatches"><span class="kind-ours">Horizon</span><span class="kind-floor">C programs that do the same work</span><span class="kind-other">others</span><span class="kind-path">what everything runs over; a bar that fades is longer</span></p>`

interface Bar {
  readonly row: BenchRow
  readonly figure: BenchFigure
}

const barChart = (table: BenchTable, column: BenchColumn): Html => {
  const bars = table.rows.flatMap((row): ReadonlyArray<Bar> => {
    const figure = row.figures[column.name]
    return figure === undefined ? [] : [{ row, figure }]
  })
  // What everything runs over is often many times faster: it would leave the others no room.
  const compared = bars.filter(({ row }) => row.kind !== "path")
  const most = Math.max(
    ...(compared.length > 0 ? compared : bars).flatMap(({ figure }) => [figure.median, ...figure.rounds])
  )
  const scale = scaleFor(column.unit, Math.max(...bars.map(({ figure }) => figure.median)))
  const said = bars.map(({ figure, row }) => `${row.title} ${significant(figure.median * scale.factor)}`).join(", ")
  return html`
<figure class="bars">
<figcaption><h5>${column.title} <span class="unit">${scale.unit}, ${column.better} is better</span></h5></figcaption>
<div role="img" aria-label="${column.title} in ${scale.unit}: ${said}">${bars.map((bar) => barRow(bar, most, scale.factor))}</div>
</figure>`
}

const barRow = ({ figure, row }: Bar, most: number, factor: number): Html => {
  const { median, rounds } = figure
  const share = (value: number): string => (most === 0 ? "0" : Math.min(100, (value / most) * 100).toFixed(2))
  const [least, greatest] = [Math.min(median, ...rounds), Math.min(most, Math.max(median, ...rounds))]
  return html`<div class="bar kind-${row.kind}${median > most && " beyond"}"><span class="name" title="${row.title}">${row.title}</span><span class="rail"><i style="width:${share(median)}%"></i>${
    greatest > least && html`<b style="left:${share(least)}%;width:${share(greatest - least)}%"></b>`
  }</span><output>${significant(median * factor)}</output></div>`
}
