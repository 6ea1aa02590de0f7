/** What was asked and what came of it: checks, goals and watched invariants, each with the number of things looked at. */

import type { CheckOutcome, RunDocument } from "@horizon/core/measure/document.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import { count, counted } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { toneIcon, type VerdictWords } from "./verdict.ts"

/** Violations of one check, and events of one violation, that the page lists; the rest are in the run document. */
const VIOLATIONS_MAX = 20
const EVENTS_MAX = 8

export type Status = "holds" | "violated" | "unknown"

export const statusOf = (check: CheckOutcome): Status => {
  if (check.failures.some((failure) => failure.verdict !== "unknown")) return "violated"
  return check.failures.length > 0 || check.checked === 0 ? "unknown" : "holds"
}

export const invariantStatus = ({ checked, broken }: RunDocument["watched"][number]): Status =>
  broken > 0 ? "violated" : checked === 0 ? "unknown" : "holds"

const TONES: Readonly<Record<Status, VerdictWords["tone"]>> = { holds: "good", violated: "bad", unknown: "doubt" }

interface Row {
  readonly id: string
  readonly phase: string
  readonly sentence: string
  readonly checked: number
  readonly status: Status
  /** Words for the status. */
  readonly word: string
  readonly failures: ReadonlyArray<Failure>
}

/** Everything that was asked, what did not hold first. */
export const checkTable = (document: RunDocument, prefix: string): Html => {
  const rows: Array<Row> = document.checks.map((check) => {
    const status = statusOf(check)
    const word = check.phase === "liveness" ? { holds: "met", violated: "missed", unknown: "unknown" }[status] : status
    const { id, sentence, checked, failures } = check
    return { id, phase: check.phase === "liveness" ? "goal" : "safety", sentence, checked, status, word, failures }
  })
  for (const watched of document.watched) {
    const { id, sentence, checked, broken } = watched
    const status = invariantStatus(watched)
    const word = broken > 0 ? `${count(broken)} × violated` : status
    rows.push({ id, phase: "watched", sentence, checked, status, word, failures: [] })
  }
  if (rows.length === 0) return html`<p class="quiet">This scenario asks nothing, so it cannot pass.</p>`
  const order: ReadonlyArray<Status> = ["violated", "unknown", "holds"]
  const sorted = order.flatMap((status) => rows.filter((row) => row.status === status))
  const logged = new Set(document.log.map((line) => line.id))
  return html`
<p>${summary(rows)}</p>
<div class="scroll" role="region" aria-label="Checks" tabindex="0">
<table class="checks">
<thead><tr><th scope="col">Result</th><th scope="col">What must hold</th><th scope="col">Phase</th><th scope="col" class="figure">Looked at</th></tr></thead>
<tbody>${sorted.map((row) => tableRow(row, prefix, logged))}</tbody>
</table>
</div>
<p class="quiet"><b>safety</b>: judged over the whole run. <b>goal</b>: must be met after the faults have stopped. <b>watched</b>: looked at on every packet while the run goes on. A check that had nothing to look at is unknown, never a pass.</p>`
}

const summary = (rows: ReadonlyArray<Row>): string => {
  const held = rows.filter((row) => row.status === "holds").length
  const looked = rows.reduce((sum, row) => sum + row.checked, 0)
  return `${held} of ${counted(rows.length, "statement")} ${rows.length === 1 ? "holds" : "hold"}; ${counted(looked, "observation")} went into this.`
}

const tableRow = (row: Row, prefix: string, logged: ReadonlySet<number>): Html => html`
<tr class="${row.status}">
<td><span class="mark tone-${TONES[row.status]}">${toneIcon(TONES[row.status])}<span>${row.word}</span></span></td>
<td><div>${row.sentence}</div><code class="id">${row.id}</code>${violations(row.failures, prefix, logged)}</td>
<td>${row.phase}</td>
<td class="figure">${count(row.checked)}</td>
</tr>`

const violations = (failures: ReadonlyArray<Failure>, prefix: string, logged: ReadonlySet<number>): Html | false =>
  failures.length > 0 &&
  html`<ul class="violations">${failures
    .slice(0, VIOLATIONS_MAX)
    .map((failure) => html`<li>${failure.sentence} ${eventLinks(failure.events, prefix, logged)}</li>`)}${
    failures.length > VIOLATIONS_MAX &&
    html`<li>and ${count(failures.length - VIOLATIONS_MAX)} more, in the run document</li>`
  }</ul>`

/** Links to the lines of the log that show it; events too frequent for the log are named by their number. */
export const eventLinks = (events: ReadonlyArray<number>, prefix: string, logged: ReadonlySet<number>): Html | false =>
  events.length > 0 &&
  html`<span class="events">${events
    .slice(0, EVENTS_MAX)
    .map((id) =>
      logged.has(id)
        ? html`<a href="#${prefix}-log" data-event="${id}">event ${id}</a> `
        : html`<span title="This event is in the run's trace, not in its log">event ${id}</span> `
    )}${events.length > EVENTS_MAX && `and ${count(events.length - EVENTS_MAX)} more`}</span>`
