/** The page of a batch of runs. */

import type { CalibrationDocument } from "@horizon/core/measure/calibration.ts"
import type { Run, Verdict } from "@horizon/core/measure/run.ts"
import type { Batch, BatchEntry } from "./batch.ts"
import type { FoundBench } from "./bench-input.ts"
import { benchLinks } from "./bench-links.ts"
import { calibrationSection } from "./calibration-section.ts"
import { count, counted, seconds } from "./figures.ts"
import { NO_SCRIPTS, renderFrame } from "./frame.ts"
import { type Html, html } from "./html.ts"
import { runSection } from "./run-section.ts"
import { exitCodeOf, GRAVEST_FIRST, toneIcon, VERDICTS, verdictMark, verdictOf } from "./verdict.ts"

/** Runs with a section of their own. In a larger batch those that did not pass come first. */
const SECTIONS_MAX = 60
/** Rows of the overview. */
const ROWS_MAX = 5_000
/** Log lines in the page, over all sections, and of one section. */
const LOG_LINES_ALL = 12_000
const LOG_LINES_MIN = 150
const LOG_LINES_MAX = 2_500

/** `benches` are linked to; `calibration` says how far simulated figures are to be trusted. */
export const renderPage = (
  batch: Batch,
  benches: ReadonlyArray<FoundBench> = [],
  calibration?: CalibrationDocument
): string => {
  const runs = batch.entries.map(({ run }) => run)
  const alone = batch.entries.length === 1
  const sections = chooseSections(batch.entries)
  const logLinesMax = Math.max(
    LOG_LINES_MIN,
    Math.min(LOG_LINES_MAX, Math.floor(LOG_LINES_ALL / Math.max(1, sections.size)))
  )
  const verdict = verdictOf(runs)
  return renderFrame({
    title: title(runs, verdict),
    verdict,
    tone: VERDICTS[verdict].tone,
    what: alone ? "run report" : `report of ${counted(runs.length, "run")}`,
    links: [
      ...(benches.length > 0 ? [["#benches", "Benchmarks"] as const] : []),
      ...(calibration !== undefined ? [["#calibration", "Calibration"] as const] : []),
      ["junit.xml", "JUnit XML"],
      ["report.json", "JSON"]
    ],
    main: html`
${batch.setAside.length > 0 && setAside(batch.setAside)}
${runs.length === 0 && html`<h1>No runs</h1><p class="quiet">The batch ended before any run had finished.</p>`}
${runs.length > 1 && overview(batch, verdict, sections)}
${NO_SCRIPTS}
${batch.entries.flatMap((entry, index) =>
  sections.has(index) ? [runSection(entry, { prefix: prefixOf(index), logLinesMax, alone })] : []
)}
${benches.length > 0 && benchLinks(benches)}
${calibration !== undefined && calibrationSection(calibration)}
`
  })
}

const prefixOf = (index: number): string => `run-${index + 1}`

const title = (runs: ReadonlyArray<Run>, verdict: Verdict): string => {
  const what = runs.length === 1 ? `${runs[0].scenario}, seed ${runs[0].seed}` : counted(runs.length, "run")
  return `${VERDICTS[verdict].word}: ${what} · Horizon`
}

/** Indices of the runs that get a section: those worth reading first, in any batch the same. */
const chooseSections = (entries: ReadonlyArray<BatchEntry>): ReadonlySet<number> => {
  const worth = ({ run, document }: BatchEntry): number =>
    run.verdict !== "pass" && run.verdict !== "skipped"
      ? 0
      : document !== undefined
        ? 1
        : run.verdict === "skipped"
          ? 2
          : 3
  return new Set(
    entries
      .map((entry, index) => ({ index, worth: worth(entry) }))
      .filter((entry) => entry.worth < 3 || entries.length === 1)
      .sort((a, b) => a.worth - b.worth || a.index - b.index)
      .slice(0, SECTIONS_MAX)
      .map(({ index }) => index)
  )
}

const setAside = (files: ReadonlyArray<string>): Html => html`
<details class="notice"><summary>${counted(files.length, "run document")} of earlier batches in this folder ${files.length === 1 ? "is" : "are"} not part of this report</summary>
<p>runs.ndjson names the runs of the last batch, and these are not among them. Remove runs.ndjson to report on every document in the folder.</p>
<ul>${files.slice(0, 50).map((file) => html`<li><code>${file}</code></li>`)}${files.length > 50 && html`<li>and ${files.length - 50} more</li>`}</ul></details>`

const overview = (batch: Batch, verdict: Verdict, sections: ReadonlySet<number>): Html => {
  const runs = batch.entries.map(({ run }) => run)
  const { tone, word, meaning } = VERDICTS[verdict]
  const wall = runs.reduce((sum, run) => sum + run.wallSeconds, 0)
  const commits = [...new Set(runs.map((run) => run.commit))]
  const counts = GRAVEST_FIRST.flatMap((each) => {
    const times = runs.filter((run) => run.verdict === each).length
    return times === 0 ? [] : [{ verdict: each, times }]
  })
  const rows = batch.entries
    .map((entry, index) => ({ entry, index }))
    .sort((a, b) => (runs.length > ROWS_MAX ? gravity(a.entry.run) - gravity(b.entry.run) : 0) || a.index - b.index)
    .slice(0, ROWS_MAX)
  return html`
<header class="hero tone-${tone}">
<div class="verdict">${toneIcon(tone)}<p><strong>${word}</strong><span>${verdict === "pass" ? `${counted(runs.length, "run")}: ${meaning}` : `gravest of ${counted(runs.length, "run")}: ${meaning}`} (exit code ${exitCodeOf(verdict)})</span></p></div>
<div class="about">
<h1>${heading(runs)}</h1>
<p class="facts">${counts.map(({ verdict: each, times }) => html`<span>${count(times)} × ${verdictMark(each)}</span>`)}<span>${seconds(wall)} of work, measured</span><span>commit ${commits.map((commit) => html`<code>${commit}</code> `)}</span></p>
</div>
</header>
<section class="part" id="overview" aria-labelledby="overview-h">
<h2 id="overview-h">All runs</h2>
<form class="filters" role="search" aria-label="Filter the runs">
<fieldset><legend>Verdict</legend>${counts.map(({ verdict: each, times }) => html`<label class="chip"><input type="checkbox" name="verdict" value="${each}" checked>${verdictMark(each)} <b>${count(times)}</b></label>`)}</fieldset>
<label>Text <input type="search" name="text" autocomplete="off" spellcheck="false"></label>
<output aria-live="polite"></output>
</form>
<div class="scroll overview" role="region" aria-label="All runs" tabindex="0">
<table>
<thead><tr>${COLUMNS.map(([name, kind]) => html`<th scope="col" class="${kind}" aria-sort="none"><button type="button">${name}</button></th>`)}</tr></thead>
<tbody>${rows.map(({ entry, index }) => overviewRow(entry, index, sections.has(index)))}</tbody>
</table>
</div>
${rows.length < runs.length && html`<p class="quiet">The table has the ${count(rows.length)} gravest runs; all ${count(runs.length)} are in report.json.</p>`}
${sections.size < runs.length && html`<p class="quiet">${counted(sections.size, "run")} ${sections.size === 1 ? "has" : "have"} a section below, those that did not pass first. Large batches keep no document of runs that pass; the command in the last column makes it.</p>`}
</section>
<nav class="pick" aria-label="Runs" hidden><button type="button" data-step="-1">Previous run</button><output></output><button type="button" data-step="1">Next run</button></nav>`
}

const COLUMNS: ReadonlyArray<readonly [string, "" | "figure"]> = [
  ["Verdict", ""],
  ["Scenario", ""],
  ["World", ""],
  ["Seed", "figure"],
  ["Events", "figure"],
  ["Packets", "figure"],
  ["Run time, s", "figure"],
  ["Wall time, s", "figure"],
  ["Digest", ""],
  ["Why", ""]
]

const heading = (runs: ReadonlyArray<Run>): string => {
  const names = [...new Set(runs.map((run) => run.scenario))]
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more scenarios`
}

const gravity = (run: Run): number => GRAVEST_FIRST.indexOf(run.verdict)

/** `data-sort` holds what a column is sorted by where its text would not do. */
const overviewRow = ({ run }: BatchEntry, index: number, hasSection: boolean): Html => html`
<tr data-verdict="${run.verdict}">
<td data-sort="${gravity(run)}">${verdictMark(run.verdict)}</td>
<th scope="row">${hasSection ? html`<a href="#${prefixOf(index)}">${run.scenario}</a>` : run.scenario}</th>
<td>${run.world}</td>
<td class="figure" data-sort="${run.seed}">${run.seed}</td>
<td class="figure" data-sort="${run.events}">${count(run.events)}</td>
<td class="figure" data-sort="${run.packets}">${count(run.packets)}</td>
<td class="figure" data-sort="${run.simulatedSeconds}">${run.simulatedSeconds.toFixed(1)}</td>
<td class="figure" data-sort="${run.wallSeconds}">${run.wallSeconds.toFixed(2)}</td>
<td><code>${run.digest}</code></td>
<td class="why">${run.failures.length > 0 ? firstLine(run.failures[0].sentence) : run.verdict !== "pass" ? VERDICTS[run.verdict].meaning : hasSection ? "" : html`<code>${run.repro}</code>`}</td>
</tr>`

const firstLine = (sentence: string): string => {
  const [line] = sentence.split("\n")
  return line.length > 160 ? `${line.slice(0, 159)}…` : line
}
