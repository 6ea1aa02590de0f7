/** One run on the page: what it came to, then what happened, how fast it was, what was checked, and everything to look it up. */

import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import type { BatchEntry } from "./batch.ts"
import { checkTable, eventLinks, statusOf } from "./checks.ts"
import { faultTimeline } from "./faults.ts"
import { count, counted, duration, seconds, share, significant } from "./figures.ts"
import { dataElement, type Html, html } from "./html.ts"
import { type LatencyRow, latencyRow } from "./latency.ts"
import { drawnTable, environmentTable, placesTable, time } from "./places.ts"
import { runData } from "./run-data.ts"
import { sequenceDiagram } from "./sequence.ts"
import { timeCharts } from "./series.ts"
import { chartFigure } from "./series-figure.ts"
import { toneIcon, VERDICTS } from "./verdict.ts"

/** Failures in the head of a run; all are in the table of checks. */
const FAILURES_MAX = 6

export interface SectionOptions {
  /** Start of every id in the section. */
  readonly prefix: string
  readonly logLinesMax: number
  /** Whether it is the only run, so that its name is the page's name. */
  readonly alone: boolean
}

export const runSection = ({ run, document, file }: BatchEntry, options: SectionOptions): Html => {
  const { prefix } = options
  const heading = `${prefix}-title`
  const body = document === undefined ? noDocument(run) : details(document, file, options)
  return html`
<section class="run" id="${prefix}" aria-labelledby="${heading}" data-run="${prefix}">
${head(run, document, options, heading)}
${body}
</section>`
}

const head = (
  run: Run,
  document: RunDocument | undefined,
  { prefix, alone }: SectionOptions,
  heading: string
): Html => {
  const { tone, word } = VERDICTS[run.verdict]
  const title = alone
    ? html`<h1 id="${heading}">${run.scenario}</h1>`
    : html`<h2 id="${heading}">${run.scenario} <span class="seed">seed ${run.seed}</span></h2>`
  return html`
<header class="hero tone-${tone}">
<div class="verdict">${toneIcon(tone)}<p><strong>${word}</strong><span>${because(run, document)}</span></p></div>
<div class="about">
${title}
${document !== undefined && html`<p class="summary">${document.summary}</p>`}
<p class="facts"><span>seed <b>${run.seed}</b></span><span>world <b>${run.world}</b></span>${document !== undefined && html`${fidelityMark(document)}<span>${time(document.madeAt)}</span>`}<span>commit <code>${run.commit}</code></span><span>Node.js ${run.nodeVersion}</span></p>
${failureList(run, document, prefix)}
<p class="repro"><span>Run it again</span><code id="${prefix}-repro">${run.repro}</code><button type="button" data-copy="${prefix}-repro">Copy</button></p>
</div>
</header>`
}

/** The label that every figure of a run carries. */
const fidelityMark = (document: RunDocument): Html =>
  html`<span class="fidelity" title="How the figures of this run came about">${document.fidelity}</span>`

const because = (run: Run, document: RunDocument | undefined): string => {
  if (run.verdict !== "pass") return `${VERDICTS[run.verdict].meaning} (exit code ${run.exitCode})`
  if (document === undefined) return VERDICTS.pass.meaning
  const failed = document.checks.filter((check) => statusOf(check) !== "holds").length
  if (failed > 0) return "what this scenario plants on purpose was found"
  const looked = [...document.checks, ...document.watched].reduce((sum, check) => sum + check.checked, 0)
  return `${counted(document.checks.length + document.watched.length, "check")} held, ${counted(looked, "observation")} looked at`
}

const failureList = (run: Run, document: RunDocument | undefined, prefix: string): Html | false => {
  const logged = new Set(document?.log.map((line) => line.id))
  return (
    run.failures.length > 0 &&
    html`<ul class="failures">${run.failures
      .slice(0, FAILURES_MAX)
      .map(
        (failure) =>
          html`<li><code>${failure.id}</code> <span>${failure.sentence}</span> ${eventLinks(failure.events, prefix, logged)}</li>`
      )}${
      run.failures.length > FAILURES_MAX && html`<li>and ${count(run.failures.length - FAILURES_MAX)} more</li>`
    }</ul>`
  )
}

const noDocument = (run: Run): Html =>
  html`<p class="quiet">${
    run.verdict === "skipped"
      ? "This run did not take place, so there is nothing to show."
      : "No run document was kept, so there are no charts. The command above makes one."
  }</p>`

const details = (document: RunDocument, file: string | undefined, options: SectionOptions): Html => {
  const { prefix, logLinesMax } = options
  const charts = timeCharts(prefix, document.series)
  const main = charts.filter(({ group }) => group !== "control")
  const reported = charts.filter(({ group }) => group === "control")
  const rows = document.latencies.map(latencyRow)
  const part = (id: string, title: string, content: Html): Html =>
    html`<section class="part" id="${prefix}-${id}" aria-labelledby="${prefix}-${id}-h"><h3 id="${prefix}-${id}-h">${title}</h3>${content}</section>`
  const cut = Math.max(0, document.log.length - logLinesMax)
  return html`
${tiles(document, rows)}
<nav class="parts" aria-label="Parts of this run">${PARTS.map(([id, title]) => html`<a href="#${prefix}-${id}">${title}</a>`)}</nav>
${part("faults", "What happened", faultTimeline(document))}
${part(
  "time",
  "Over time",
  main.length === 0
    ? html`<p class="quiet">Nothing was sampled over time in this run.</p>`
    : html`<p class="quiet hint">Shaded: faults, numbered as above. Drag to zoom all charts, double-click to go back; with the keyboard, arrow keys move the cursor and Escape goes back.</p>${main.map((chart) => chartFigure(chart, document.fidelity))}`
)}
${
  reported.length > 0 &&
  html`<details class="more-charts"><summary>Figures that nodes report: ${counted(
    reported.reduce((sum, { chart }) => sum + chart.series.length, 0),
    "series",
    "series"
  )}</summary>${reported.map((chart) => chartFigure(chart, document.fidelity))}</details>`
}
${part("latency", "Latency", latencyPart(document, rows, prefix))}
${part("moment", "The moment to look at", momentPart(document, prefix))}
${part("checks", "Checks and invariants", checkTable(document, prefix))}
${part("log", "Log", logPart(document, prefix, cut))}
${part("places", "Nodes and actors", placesTable(document))}
${part("environment", "Environment", html`<div class="columns"><div>${environmentTable(document)}</div><div>${drawnTable(document)}</div></div>${file !== undefined && html`<p class="quiet">Everything on this page comes from <a href="${encodeURIComponent(file)}">${file}</a>; <code>npx horizon replay ${file}</code> runs its exact fault timeline again.</p>`}`)}
${dataElement(`${prefix}-data`, runData(document, prefix, charts, logLinesMax))}`
}

const PARTS: ReadonlyArray<readonly [string, string]> = [
  ["faults", "What happened"],
  ["time", "Over time"],
  ["latency", "Latency"],
  ["moment", "Moment"],
  ["checks", "Checks"],
  ["log", "Log"],
  ["places", "Nodes"],
  ["environment", "Environment"]
]

/** The tolerance belongs to the short label of a simulated figure; when and against what it was found does not. */
const CALIBRATED = /^simulated, calibrated ±[\d.]+ %/

const tiles = ({ run, faults, fidelity }: RunDocument, rows: ReadonlyArray<LatencyRow>): Html => {
  const tried = rows.reduce((sum, row) => sum + row.tried, 0)
  const ok = rows.reduce((sum, row) => sum + (row.outcomes["ok"] ?? 0), 0)
  const rate = (value: number, unit: string): string =>
    run.wallSeconds > 0 ? `${significant(value / run.wallSeconds)} ${unit}/s, measured` : ""
  const label = CALIBRATED.exec(fidelity)?.[0] ?? fidelity.split(",")[0]
  const all: ReadonlyArray<readonly [string, string, string]> = [
    ["Run time", seconds(run.simulatedSeconds), label],
    [
      "Wall time",
      seconds(run.wallSeconds),
      run.wallSeconds > 0 ? `${significant(run.simulatedSeconds / run.wallSeconds)} × real time, measured` : "measured"
    ],
    ["Events", count(run.events), rate(run.events, "events")],
    ["Packets", count(run.packets), rate(run.packets, "packets")],
    ["Operations", count(tried), tried === 0 ? "none" : `${share(ok, tried)} ok, ${label}`],
    [
      "Faults",
      count(faults.length),
      faults.length === 0 ? "a quiet run" : [...new Set(faults.map(({ kind }) => kind))].join(", ")
    ]
  ]
  return html`<dl class="tiles">${all.map(([name, value, note]) => html`<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`)}</dl>`
}

const latencyPart = (document: RunDocument, rows: ReadonlyArray<LatencyRow>, prefix: string): Html => {
  if (rows.length === 0) return html`<p class="quiet">No operations took place in this run.</p>`
  const said = rows
    .filter((row) => row.count > 0)
    .map((row) => `${row.op}: median ${duration(row.p50Ns)}, p99 ${duration(row.p99Ns)}`)
    .join("; ")
  return html`
<p class="quiet">From the moment an operation was due to its end, so waiting counts (no coordinated omission). Only operations that succeeded have a latency; the others are counted under outcomes. Values are exact to 0.8 %.</p>
<figure class="chart" data-percentiles="${prefix}-percentiles">
<figcaption><h4>Latency by percentile <span class="unit"></span></h4><p>Logarithmic; each step to the right is one more nine.</p><span class="fidelity">${document.fidelity}</span></figcaption>
<div class="plot" tabindex="0" role="img" aria-label="Latency by percentile. ${said}"></div>
<div class="legend"></div>
</figure>
<div class="scroll" role="region" aria-label="Latency table" tabindex="0">
<table class="latency">
<thead><tr><th scope="col">Operation</th><th scope="col" class="figure">p50</th><th scope="col" class="figure">p90</th><th scope="col" class="figure">p99</th><th scope="col" class="figure">p99.9</th><th scope="col" class="figure">max</th><th scope="col" class="figure">Succeeded</th><th scope="col" class="figure">Actors</th><th scope="col">Outcomes</th></tr></thead>
<tbody>${rows.map(latencyTableRow)}</tbody>
</table>
</div>`
}

const latencyTableRow = (row: LatencyRow): Html => {
  const cell = (valueNs: number, needed: number): Html =>
    row.count < needed
      ? html`<td class="figure quiet" title="Too few operations to tell">–</td>`
      : html`<td class="figure">${duration(valueNs)}</td>`
  return html`<tr><th scope="row">${row.op}</th>${cell(row.p50Ns, 1)}${cell(row.p90Ns, 10)}${cell(row.p99Ns, 100)}${cell(row.p999Ns, 1000)}${cell(row.maxNs, 1)}<td class="figure">${share(row.outcomes["ok"] ?? 0, row.tried)}</td><td class="figure">${count(row.actors)}</td><td class="outcomes">${Object.entries(row.outcomes).map(([outcome, times]) => html`<span>${outcome} <b>${count(times)}</b></span>`)}</td></tr>`
}

const momentPart = ({ moments }: RunDocument, prefix: string): Html =>
  moments.length === 0
    ? html`<p class="quiet">No fault cost an operation and nothing failed, so no moment stands out.</p>`
    : html`${moments.map(
        (moment, index) => html`
<h4>${moment.title}</h4>
<p class="quiet">Times count from ${seconds(moment.atNs / 1e9)} into the run. <svg class="key" viewBox="0 0 34 10" aria-hidden="true"><line class="arrow" x1="1" x2="33" y1="5" y2="5"/></svg> message, <svg class="key" viewBox="0 0 34 10" aria-hidden="true"><line class="arrow lost" x1="1" x2="26" y1="5" y2="5"/><path class="cross" d="M22 1l8 8m0-8l-8 8"/></svg> lost, boxes are local events.</p>
${sequenceDiagram(moment, `${prefix}-moment-${index + 1}`)}
${moment.leftOut !== undefined && moment.leftOut.length > 0 && html`<p class="quiet">Not drawn, to keep this readable: ${moment.leftOut.join(", ")}.</p>`}`
      )}`

const logPart = (document: RunDocument, prefix: string, cut: number): Html =>
  document.log.length === 0
    ? html`<p class="quiet">Nothing rare enough for the log happened.</p>`
    : html`
<div class="log" data-log="${prefix}">
<form class="filters" role="search" aria-label="Filter the log">
<label>Text <input type="search" name="text" autocomplete="off" spellcheck="false"></label>
<label>Node <select name="node"><option value="">all</option></select></label>
<label>Kind <select name="kind"><option value="">all</option></select></label>
<output aria-live="polite"></output>
</form>
<div class="scroll" role="region" aria-label="Log lines" tabindex="0">
<table><thead><tr><th scope="col" class="figure">Time</th><th scope="col">Node</th><th scope="col">Kind</th><th scope="col">What</th></tr></thead><tbody></tbody></table>
</div>
<div class="pager"><button type="button" data-page="first">First</button><button type="button" data-page="back">Previous</button><span></span><button type="button" data-page="next">Next</button><button type="button" data-page="last">Last</button></div>
${cut > 0 && html`<p class="quiet">To keep this page small it has the first ${count(document.log.length - cut)} lines and those that a failure points at; ${counted(cut, "line")} more ${cut === 1 ? "is" : "are"} in the run document.</p>`}
</div>`
