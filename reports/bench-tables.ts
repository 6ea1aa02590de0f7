/** The tables of a benchmark: subjects as rows, figures with their spread, and the bars that they had to reach. */

import type {
  BenchColumn,
  BenchFigure,
  BenchMust,
  BenchRow,
  BenchSection,
  BenchTable
} from "@horizon/core/measure/bench.ts"
import { spreadOf } from "@horizon/core/measure/bench.ts"
import { missedFirst } from "./bench-verdict.ts"
import { type Scale, scaleFor, significant, withUnit } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { toneIcon } from "./verdict.ts"

export const benchTable = (table: BenchTable, musts: ReadonlyArray<BenchMust>): Html => {
  const scales = table.columns.map((column) => scaleOf(table, column))
  return html`
<div class="scroll" role="region" aria-label="${table.title}" tabindex="0">
<table class="bench">
<thead><tr><th scope="col">${table.rowTitle}</th>${table.columns.map(({ title }, index) => html`<th scope="col" class="figure">${title}<small>${scales[index].unit === "count" ? "" : scales[index].unit}</small></th>`)}</tr></thead>
<tbody>${table.rows.map((row) => tableRow(table, row, scales, musts))}</tbody>
</table>
</div>`
}

const scaleOf = (table: BenchTable, { name, unit }: BenchColumn): Scale =>
  scaleFor(unit, Math.max(0, ...table.rows.map(({ figures }) => Math.abs(figures[name]?.median ?? 0))))

const tableRow = (
  table: BenchTable,
  row: BenchRow,
  scales: ReadonlyArray<Scale>,
  musts: ReadonlyArray<BenchMust>
): Html => {
  const head = html`<th scope="row">${row.title}${row.about !== undefined && html`<small>${row.about}</small>`}</th>`
  if (row.missing !== undefined)
    return html`<tr class="kind-${row.kind}">${head}<td class="quiet" colspan="${table.columns.length}">missing: ${row.missing}</td></tr>`
  return html`<tr class="kind-${row.kind}">${head}${table.columns.map(({ name }, index) => {
    const about = musts.filter(({ at }) => at?.table === table.name && at.row === row.name && at.column === name)
    return cell(row.figures[name], scales[index], about)
  })}</tr>`
}

const cell = (figure: BenchFigure | undefined, { factor }: Scale, musts: ReadonlyArray<BenchMust>): Html => {
  if (figure === undefined) return html`<td class="figure quiet">–</td>`
  const { median, ratio, rounds } = figure
  const spread = spreadOf(rounds)
  const details = [
    ...(ratio === undefined ? [] : [`${times(ratio.value)} ${ratio.to}`]),
    ...(Number.isNaN(spread) || spread === 0 || median === 0 ? [] : [`± ${significant(spread * 50, 2)} %`])
  ]
  const title = rounds.map((value) => significant(value * factor)).join(" · ")
  return html`<td class="figure" title="${`rounds: ${title}`}">${mark(musts)}${significant(median * factor)}${details.length > 0 && html`<small>${details.join(", ")}</small>`}</td>`
}

/** Whether the bars on a figure are met. */
const mark = (musts: ReadonlyArray<BenchMust>): Html | false => {
  if (musts.length === 0) return false
  const tone = musts.every(({ met }) => met) ? "good" : "bad"
  const words = musts.map(({ met, sentence }) => `${met ? "met" : "MISSED"}: ${sentence}`).join("; ")
  return html`<span class="mark tone-${tone}" title="${words}">${toneIcon(tone)}<span class="only-read">${tone === "good" ? "met" : "missed"}</span></span> `
}

/** All bars of all sections, those that are missed first. */
export const mustTable = (sections: ReadonlyArray<BenchSection>): Html => {
  const rows = missedFirst(sections.flatMap(({ musts, title }) => musts.map((must) => ({ ...must, section: title }))))
  return html`
<div class="scroll" role="region" aria-label="Bars" tabindex="0">
<table class="bench">
<thead><tr><th scope="col">Result</th><th scope="col">What must hold</th><th scope="col" class="figure">Measured</th><th scope="col" class="figure">Bound</th></tr></thead>
<tbody>${rows.map(mustRow)}</tbody>
</table>
</div>`
}

const mustRow = ({ bound, met, relation, sentence, unit, value }: BenchMust): Html => {
  const tone = met ? "good" : "bad"
  return html`<tr><td><span class="mark tone-${tone}">${toneIcon(tone)}<span>${met ? "met" : "missed"}</span></span></td><td>${sentence}</td><td class="figure">${value === null ? "not measured" : amount(value, unit)}</td><td class="figure">${relation} ${amount(bound, unit)}</td></tr>`
}

/** A ratio, with as many digits as tell it from 1. */
const times = (value: number): string => `${value >= 0.1 && value < 10 ? value.toFixed(2) : significant(value, 2)} ×`

export const amount = (value: number, unit: BenchMust["unit"]): string =>
  unit === "×" ? times(value) : unit === "count" ? significant(value) : withUnit(value, unit)
