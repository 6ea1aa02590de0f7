/** The page of a benchmark: what had to be reached, then each section with its charts, tables, and what could not be measured. */

import type { BenchDocument, BenchSection } from "@horizon/core/measure/bench.ts"
import { hasFigures } from "@horizon/core/measure/bench.ts"
import { barCharts, SWATCHES } from "./bench-bars.ts"
import { BENCH_FILE } from "./bench-input.ts"
import { benchTable, mustTable } from "./bench-tables.ts"
import { benchVerdict } from "./bench-verdict.ts"
import type { RunData } from "./chart-data.ts"
import { counted, seconds } from "./figures.ts"
import { NO_SCRIPTS, renderFrame } from "./frame.ts"
import { dataElement, type Html, html } from "./html.ts"
import { terms, time } from "./places.ts"
import { timeCharts } from "./series.ts"
import { chartFigure } from "./series-figure.ts"
import { toneIcon } from "./verdict.ts"

/** `index` is the address of the report of the runs beside which it lies, if there is one. */
export const renderBenchPage = (document: BenchDocument, index?: string): string => {
  const { tone, word } = benchVerdict(document)
  return renderFrame({
    title: `${word}: benchmarks of ${document.madeAt.slice(0, 10)} · Horizon`,
    verdict: word,
    tone,
    what: "benchmarks",
    links: [...(index === undefined ? [] : [[index, "Runs"] as const]), [BENCH_FILE, "JSON"]],
    main: html`
${hero(document)}
${NO_SCRIPTS}
<nav class="parts" aria-label="Parts of this report"><a href="#bars">Bars</a>${document.sections.map(({ name, title }) => html`<a href="#${name}">${title}</a>`)}<a href="#environment">Environment</a></nav>
<section class="part" id="bars" aria-labelledby="bars-h"><h3 id="bars-h">Bars</h3>
${document.sections.some(({ musts }) => musts.length > 0) ? mustTable(document.sections) : html`<p class="quiet">None of what was measured has a bar.</p>`}
</section>
${document.sections.map((section) => benchSection(section, document.fidelity))}
<section class="part" id="environment" aria-labelledby="environment-h"><h3 id="environment-h">Environment</h3>
${terms([["Made", time(document.madeAt)], ["Commit", document.commit], ...Object.entries(document.environment), ["Took", seconds(document.wallSeconds)]])}
</section>
`
  })
}

const hero = (document: BenchDocument): Html => {
  const { exitCode, tone, word, words } = benchVerdict(document)
  const idle = document.sections.filter(hasFigures).map(({ idleRatio }) => idleRatio)
  const busiest = idle.length === 0 ? 1 : Math.min(...idle)
  return html`
<header class="hero tone-${tone}">
<div class="verdict">${toneIcon(tone)}<p><strong>${word}</strong><span>${words} (exit code ${exitCode})</span></p></div>
<div class="about">
<h1>Benchmarks</h1>
<p class="summary">Ratios are of figures measured in turn in one run; medians of rounds, with half the distance between the least and the most of them as ±.</p>
<p class="facts"><span class="fidelity">${document.fidelity}</span><span>${time(document.madeAt)}</span><span>commit <code>${document.commit}</code></span>${document.effort !== "record" && html`<span><b>a quick look</b>: few, short rounds</span>`}</p>
${document.sections.some(({ tables }) => tables.some((table) => barCharts(table).length > 0)) && SWATCHES}
${busiest < IDLE_MIN && html`<p class="notice">Others used this machine meanwhile: before a section's rounds only ${Math.round(busiest * 100)} % of it was free. Figures of a busy machine are worth little; measure again when it is idle.</p>`}
<p class="repro"><span>Measure again</span><code id="repro">${document.command}</code><button type="button" data-copy="repro">Copy</button></p>
</div>
</header>`
}

/** A host that is less free than this disturbs what is measured. */
const IDLE_MIN = 0.85

const benchSection = (section: BenchSection, fidelity: string): Html => {
  const { broken, idleRatio, missing, musts, name, notes, rounds, series, summary, tables, title, wallSeconds } =
    section
  const charts = timeCharts(name, series)
  const absent = Object.entries(missing)
  return html`
<section class="run part" id="${name}" aria-labelledby="${name}-h">
<h3 id="${name}-h">${title}</h3>
<p class="summary">${summary}</p>
<p class="facts">${hasFigures(section) && html`<span>${counted(rounds, "round")}</span><span>host ${Math.round(idleRatio * 100)} % free before each</span>`}<span>took ${seconds(wallSeconds)}</span></p>
${broken !== undefined && html`<p class="notice">Measuring this broke off: ${broken}</p>`}
${charts.map((chart) => chartFigure(chart, fidelity))}
${tables.map(
  (
    table
  ) => html`<section class="bench-table"><h4>${table.title} <span class="fidelity" title="${fidelity}">measured</span></h4>
${benchCharts(barCharts(table))}
${benchTable(table, musts)}</section>`
)}
${absent.length > 0 && html`<h4>Not measured here</h4><ul class="absent">${absent.map(([what, why]) => html`<li><b>${what}</b>: ${why}</li>`)}</ul>`}
${notes.length > 0 && html`<h4>Notes</h4><ul class="absent">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
${charts.length > 0 && dataElement(`${name}-data`, dataOf(section, charts))}
</section>`
}

const benchCharts = (charts: ReadonlyArray<Html>): Html | false =>
  charts.length > 0 && html`<div class="bar-charts">${charts}</div>`

/** Nothing strikes in a benchmark and nothing is logged: its charts are all that the page's scripts draw. */
const dataOf = ({ series }: BenchSection, charts: ReturnType<typeof timeCharts>): RunData => ({
  seconds: Math.max(0, ...series.map((one) => one.seconds.at(-1) ?? 0)),
  livenessFrom: null,
  bands: [],
  charts: charts.map(({ chart }) => chart),
  percentiles: null,
  log: { nodes: [], kinds: [], lines: [] }
})
