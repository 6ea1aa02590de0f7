/** What each verdict is called, means and looks like. Word, colour and shape each say it alone. */

import type { Run, Verdict } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { type Html, html } from "./html.ts"

export interface VerdictWords {
  readonly word: string
  readonly meaning: string
  /** Colour family: pass, a failure, no answer, or nothing done. */
  readonly tone: "good" | "bad" | "doubt" | "none"
}

export const VERDICTS: Readonly<Record<Verdict, VerdictWords>> = {
  pass: { word: "Pass", meaning: "everything that was asked holds", tone: "good" },
  safety: { word: "Safety violated", meaning: "something happened that never may", tone: "bad" },
  liveness: { word: "Goal missed", meaning: "a goal was not met in time after the faults had stopped", tone: "bad" },
  nondeterminism: { word: "Not deterministic", meaning: "the same seed gave two different runs", tone: "bad" },
  performance: { word: "Too slow", meaning: "a performance bound was missed", tone: "bad" },
  harness: { word: "Harness error", meaning: "Horizon itself failed, so the run says nothing", tone: "bad" },
  unknown: { word: "Unknown", meaning: "the run ended without an answer, which is not a pass", tone: "doubt" },
  skipped: { word: "Skipped", meaning: "the world here cannot offer what the scenario needs", tone: "none" }
}

/** Gravest first; the order in which a reader should care. */
export const GRAVEST_FIRST: ReadonlyArray<Verdict> = [
  "harness",
  "nondeterminism",
  "safety",
  "liveness",
  "unknown",
  "performance",
  "pass",
  "skipped"
]

/** The verdict of a batch: its gravest; `skipped` only if nothing ran; `unknown` for no run at all. */
export const verdictOf = (runs: ReadonlyArray<Run>): Verdict =>
  GRAVEST_FIRST.find((verdict) => runs.some((run) => run.verdict === verdict)) ?? "unknown"

export const exitCodeOf = (verdict: Verdict): number => EXIT[verdict]

/** Each tone has its own outline: circle, octagon, diamond, square. */
const SHAPES: Readonly<Record<VerdictWords["tone"], Html>> = {
  good: html`<circle cx="12" cy="12" r="11"/><path class="sign" d="M6.8 12.4l3.6 3.6 6.9-7.6"/>`,
  bad: html`<path d="M7.6 1h8.8L23 7.6v8.8L16.4 23H7.6L1 16.4V7.6z"/><path class="sign" d="M8 8l8 8M16 8l-8 8"/>`,
  doubt: html`<path d="M12 .6L23.4 12 12 23.4.6 12z"/><path class="sign" d="M9.3 9.8a2.8 2.8 0 1 1 4.2 2.3c-1 .6-1.5 1-1.5 2.1M12 17v.2"/>`,
  none: html`<rect x="1.5" y="1.5" width="21" height="21" rx="3"/><path class="sign" d="M7 12h10"/>`
}

export const toneIcon = (tone: VerdictWords["tone"]): Html =>
  html`<svg class="shape tone-${tone}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${SHAPES[tone]}</svg>`

/** Icon and word on one line. */
export const verdictMark = (verdict: Verdict): Html => {
  const { word, tone, meaning } = VERDICTS[verdict]
  return html`<span class="mark tone-${tone}" title="${meaning}">${toneIcon(tone)}<span>${word}</span></span>`
}
