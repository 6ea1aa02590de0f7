/** The fault timeline: what struck when, in words, with lanes on the same time axis as every chart below it. */

import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Band } from "./chart-data.ts"
import { counted, seconds } from "./figures.ts"
import { type Html, html } from "./html.ts"

/** Lanes that are shown at once; the rest folds away. */
const LANES_MAX = 14

/** Stretches of time to shade in charts. Faults that share one stretch share a band and its label. */
export const bandsOf = (document: RunDocument): ReadonlyArray<Band> => {
  const bands = new Map<string, { from: number; to: number; numbers: Array<number> }>()
  document.faults.forEach((fault, index) => {
    const from = fault.atMs / 1000
    const to = (fault.untilMs ?? fault.atMs) / 1000
    const key = `${from} ${to}`
    const band = bands.get(key) ?? { from, to, numbers: [] }
    bands.set(key, band)
    band.numbers.push(index + 1)
  })
  return [...bands.values()].map(({ from, to, numbers }) => ({ from, to, label: ranges(numbers) }))
}

/** `1–3, 5`. */
const ranges = (numbers: ReadonlyArray<number>): string => {
  const parts: Array<[number, number]> = []
  for (const value of numbers) {
    const last = parts[parts.length - 1]
    if (last !== undefined && last[1] === value - 1) last[1] = value
    else parts.push([value, value])
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ")
}

export const faultTimeline = (document: RunDocument): Html => {
  const total = document.durationMs / 1000
  if (document.faults.length === 0) {
    return html`<p class="quiet">No faults struck in this run.</p>${phases(document)}`
  }
  const lanes = document.faults.map((_, index) => lane(document, index))
  return html`
<div class="timeline" style="--t0:0;--t1:${total}">
  <ol class="lanes">${lanes.slice(0, LANES_MAX)}</ol>
  ${
    lanes.length > LANES_MAX &&
    html`<details><summary>${counted(lanes.length - LANES_MAX, "more fault")}</summary><ol class="lanes" start="${LANES_MAX + 1}">${lanes.slice(LANES_MAX)}</ol></details>`
  }
  ${axis(document)}
</div>
${phases(document)}`
}

const lane = (document: RunDocument, index: number): Html => {
  const { atMs, untilMs, kind, words } = document.faults[index]
  const until =
    untilMs === null ? "" : untilMs >= document.durationMs ? " to the end" : ` to ${seconds(untilMs / 1000)}`
  const bar =
    untilMs === null
      ? html`<i class="strike" style="--at:${atMs / 1000}"></i>`
      : html`<i class="bar" style="--at:${atMs / 1000};--to:${untilMs / 1000}"></i>`
  return html`
<li class="lane">
  <p><b class="number">${index + 1}</b> <time>${seconds(atMs / 1000)}${until}</time> <span class="kind">${kind}</span> <span>${words}</span></p>
  <div class="track" aria-hidden="true">${bar}</div>
</li>`
}

/** Ticks under the lanes, placed by the same arithmetic as the bars, so that they follow a zoom. */
const axis = ({ durationMs, livenessFromMs }: RunDocument): Html => {
  const total = durationMs / 1000
  const step = niceStep(total / 8)
  const ticks: Array<Html> = []
  for (let at = 0; at <= total + 1e-9; at += step) {
    ticks.push(html`<span style="--at:${Number(at.toFixed(6))}">${Number(at.toFixed(6))}</span>`)
  }
  return html`<div class="ticks" aria-hidden="true"><div>${ticks}${
    livenessFromMs !== null && html`<i class="liveness" style="--at:${livenessFromMs / 1000}"></i>`
  }</div></div>`
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
const niceStep = (least: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)))
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10)
}

const phases = ({ durationMs, livenessFromMs }: RunDocument): Html =>
  livenessFromMs === null
    ? html`<p class="quiet">The run lasted ${seconds(durationMs / 1000)}, all of it in the safety phase.</p>`
    : html`<p class="quiet">Safety phase until ${seconds(livenessFromMs / 1000)}: invariants must hold while faults strike. Then faults stop, and every goal must be met before the run ends at ${seconds(durationMs / 1000)}.</p>`
