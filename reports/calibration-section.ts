/** The calibration of the simulated world as a part of a page: each link in both worlds, side by side, and why some differ. */

import {
  type CalibrationDocument,
  type CalibrationDriver,
  type CalibrationResult,
  type StreamFigures,
  summarise
} from "@horizon/core/measure/calibration.ts"
import { duration, significant } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { time } from "./places.ts"
import { toneIcon } from "./verdict.ts"

export const calibrationSection = (document: CalibrationDocument): Html => {
  const { drivers, environment, machine, madeAt, missing, quick, seed } = document
  return html`
<section class="part" id="calibration" aria-labelledby="calibration-h">
<h3 id="calibration-h">Calibration</h3>
<p class="summary">The same streams of datagrams over the same links, in the simulated world and on a kernel. Goodput and median delay agree within 5 %, the 99th percentile within 15 %, what chance decides within three standard errors of the two samples.</p>
<p class="facts"><span>${time(madeAt)}</span><span>Linux ${environment["kernel"] ?? "?"}</span><span>seed <b>${seed}</b></span><span>a sleeper wakes ${duration(machine.wakeP50Ns)} late (median), ${duration(machine.wakeP99Ns)} (p99)</span><span>machine ${Math.round(machine.idleRatio * 100)} % idle</span>${quick && html`<span><b>a quick look</b>: a third of the time</span>`}</p>
${drivers.map(driverPart)}
${missing.length > 0 && html`<h4>Not compared with</h4><ul class="absent">${missing.map(({ name, sentence }) => html`<li><b>${name}</b>: ${sentence}</li>`)}</ul>`}
</section>`
}

const driverPart = (driver: CalibrationDriver): Html => {
  const { means, name, results } = driver
  const { compared, within, worst } = summarise(driver)
  const outside = results.filter((result) => !result.within)
  return html`<section class="bench-table"><h4>${name}: ${means}</h4>
<p class="quiet">${within} of ${compared} streams agree; the largest difference of goodput or median delay among them is ${(worst * 100).toFixed(1)} %.</p>
<div class="scroll" role="region" aria-label="Calibration on ${name}" tabindex="0">
<table class="bench">
<thead><tr><th scope="col">Link</th>${COLUMNS.map(({ title }) => html`<th scope="col" class="figure">${title}<small>simulated → measured</small></th>`)}<th scope="col">Result</th></tr></thead>
<tbody>${results.map(resultRow)}</tbody>
</table>
</div>
${outside.length > 0 && html`<ul class="absent">${outside.map(({ causes, row, way }) => html`<li><b>${row}/${way}</b>: ${causes.join("; ")}</li>`)}</ul>`}
</section>`
}

interface Column {
  readonly title: string
  /** Figures of the comparison that the column stands for. */
  readonly figures: ReadonlyArray<string>
  readonly value: (of: StreamFigures) => string
}

const percent = (part: number, whole: number): string => `${significant((100 * part) / Math.max(1, whole))} %`

const COLUMNS: ReadonlyArray<Column> = [
  { title: "Goodput", figures: ["goodput"], value: ({ goodputBps }) => `${significant(goodputBps / 1e6)} Mbit/s` },
  { title: "Median delay", figures: ["delayP50"], value: ({ delayP50Ns }) => duration(delayP50Ns) },
  { title: "Delay, p99", figures: ["delayP99"], value: ({ delayP99Ns }) => duration(delayP99Ns) },
  { title: "Lost", figures: ["loss", "drops"], value: ({ received, sent }) => percent(sent - received, sent) },
  { title: "Reordered", figures: ["reordered"], value: ({ received, reordered }) => percent(reordered, received) },
  { title: "Duplicated", figures: ["duplicates"], value: ({ duplicates, sent }) => percent(duplicates, sent) }
]

const SHARES = new Set(["loss", "lossRuns", "duplicates", "reordered"])

const resultRow = (result: CalibrationResult): Html => {
  const { differences, row, tries, way, within } = result
  const tone = within ? "good" : "bad"
  const again = tries > 1 && html`<small>try ${tries}</small>`
  return html`<tr><th scope="row">${row}/${way}</th>${COLUMNS.map((column) => cell(result, column))}<td>${
    differences.length === 0
      ? html`<span class="quiet">looked at</span>`
      : html`<span class="mark tone-${tone}">${toneIcon(tone)}<span>${within ? "within" : "outside"}</span></span>`
  }${again}</td></tr>`
}

const cell = ({ differences, measured, simulated }: CalibrationResult, { figures, value }: Column): Html => {
  const compared = differences.find(({ figure }) => figures.includes(figure))
  const pair = html`${value(simulated)} → ${value(measured)}`
  if (compared === undefined) return html`<td class="figure quiet">${pair}</td>`
  // Of two shares the difference is told, of all else the ratio.
  const unit = SHARES.has(compared.figure) ? "points" : "%"
  const signed = (share: number): string => `${share >= 0 ? "+" : ""}${(share * 100).toFixed(2)} ${unit}`
  const words = `difference ${signed(compared.difference)}, bound ±${(compared.bound * 100).toFixed(2)} ${unit}`
  const difference = compared.within ? signed(compared.difference) : html`<b>${signed(compared.difference)}</b>`
  return html`<td class="figure" title="${words}">${pair}<small>${difference}</small></td>`
}
