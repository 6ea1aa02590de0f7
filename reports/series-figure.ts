/** A chart over time as the page has it before its scripts draw it: caption, words for what it shows, place. */

import { counted, seconds, withUnit } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { SHOWN_MAX, type TitledChart } from "./series.ts"

export const chartFigure = ({ chart, title, peak, thinned }: TitledChart, fidelity: string): Html => {
  if (chart.series.every((series) => series.values.every((value) => value === 0 || value === null)))
    return html`<p class="flat"><b>${title}</b>: 0 throughout, in ${counted(chart.series.length, "series", "series")} (${chart.series.map(({ name }) => name).join(", ")}).</p>`
  const many = chart.series.length > SHOWN_MAX
  const said =
    peak === undefined
      ? "Nothing was measured."
      : `Highest: ${withUnit(peak.value, chart.unit)} (${peak.name}) at ${seconds(peak.atSeconds)}.${
          many ? ` The ${SHOWN_MAX} most active of ${chart.series.length} series are switched on.` : ""
        }${thinned ? " Neighbouring points are merged." : ""}`
  return html`
<figure class="chart" data-chart="${chart.id}">
<figcaption><h4>${title} <span class="unit"></span></h4><p>${said}</p><span class="fidelity">${fidelity}</span></figcaption>
<div class="plot" tabindex="0" role="img" aria-label="${title} over time. ${said}"></div>
<div class="legend"></div>
</figure>`
}
