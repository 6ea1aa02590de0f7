/**
 * A moment as a sequence diagram in SVG: participants are columns, time runs downwards, an arrow is a message, a dashed one with a
 * cross did not arrive, a note is a local event. Each step has a row of its own and columns are as far apart as their labels
 * need, so that nothing overlaps.
 */

import type { Moment, SequenceStep } from "@horizon/core/measure/document.ts"
import { counted, duration } from "./figures.ts"
import { type Html, html } from "./html.ts"

/** Widths are estimates, as there is no font to ask here: an average of system fonts at 12 px, on the safe side. */
const CHAR_PX = 6.9
const LINE_PX = 15
const GUTTER_PX = 92
const COLUMN_PX = 128
const HEAD_PX = 44
/** Characters of one line of a note or a label. */
const WRAP = 30
const LINES_MAX = 4
const PARTICIPANTS_MAX = 14
const STEPS_MAX = 60
/** A pause of this length or more between two steps is drawn as a gap. */
const PAUSE_NS = 300e6

export const sequenceDiagram = (moment: Moment, id: string): Html => {
  const participants = moment.participants.slice(0, PARTICIPANTS_MAX)
  const known = new Set(participants)
  const steps = moment.steps.filter((step) => known.has(step.from) && known.has(step.to)).slice(0, STEPS_MAX)
  if (steps.length === 0) return html`<p class="quiet">Nothing was exchanged around this moment.</p>`
  const layout = place(participants, steps)
  const left = moment.steps.length - steps.length
  return html`
<div class="scroll" role="region" aria-label="Sequence diagram, scrolls sideways" tabindex="0">
<svg class="sequence" width="${layout.width}" height="${layout.height}" viewBox="0 0 ${layout.width} ${layout.height}" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">Sequence diagram: ${moment.title}</title>
<desc id="${id}-desc">${counted(participants.length, "participant")}, ${counted(steps.length, "step")}, ${counted(steps.filter((step) => step.lost !== "").length, "lost message")}. The list below has every step in words.</desc>
<defs>
<marker id="${id}-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0 .5L8 4 0 7.5z"/></marker>
</defs>
${participants.map((name) => lifeline(name, layout))}
${steps.map((step, index) => drawStep(step, index, steps, layout, id, moment.atNs))}
</svg>
</div>
<details class="steps"><summary>The same in words: ${counted(steps.length, "step")}${left > 0 && `, ${left} more are not drawn`}</summary>
<ol>${steps.map((step) => html`<li>${inWords(step)}</li>`)}</ol></details>`
}

const inWords = ({ atNs, from, to, label, lost }: SequenceStep): string => {
  const at = `${(atNs / 1e9).toFixed(4)} s: `
  if (from === to) return `${at}${from}: ${label}`
  return `${at}${from} to ${to}: ${label}${lost === "" ? "" : ` (lost: ${lost})`}`
}

interface Layout {
  readonly x: ReadonlyMap<string, number>
  readonly rows: ReadonlyArray<{ readonly top: number; readonly lines: ReadonlyArray<string>; readonly height: number }>
  readonly width: number
  readonly height: number
}

const place = (participants: ReadonlyArray<string>, steps: ReadonlyArray<SequenceStep>): Layout => {
  const texts = steps.map(labelOf)
  const gaps = participants.map((name, index) =>
    index === 0
      ? 0
      : Math.max(COLUMN_PX, ((shortName(participants[index - 1]).length + shortName(name).length) / 2) * CHAR_PX + 34)
  )
  const at = (name: string): number => participants.indexOf(name)
  // Labels of arrows must fit between the columns that they join: widen the last gap of the span until they do.
  steps.forEach((step, index) => {
    const [low, high] = [at(step.from), at(step.to)].sort((a, b) => a - b)
    if (low === high) return
    const needed = widest(texts[index]) + 36
    const span = gaps.slice(low + 1, high + 1).reduce((sum, gap) => sum + gap, 0)
    if (span < needed) gaps[high] += needed - span
  })
  let right = GUTTER_PX + Math.max(COLUMN_PX / 2, shortName(participants[0]).length * CHAR_PX * 0.5 + 12)
  // Notes stand around their lifeline: the first and last columns need room for half a note.
  const note = (name: string): number =>
    Math.max(
      0,
      ...steps.map((step, index) => (step.from === step.to && step.from === name ? widest(texts[index]) / 2 + 12 : 0))
    )
  right = Math.max(right, GUTTER_PX + note(participants[0]))
  const x = new Map<string, number>()
  participants.forEach((name, index) => {
    right += gaps[index]
    x.set(name, Math.round(right))
  })
  participants.forEach((name) => {
    right = Math.max(right, x.get(name)! + Math.max(note(name), (shortName(name).length * CHAR_PX) / 2 + 14))
  })
  let top = HEAD_PX + 14
  const rows = texts.map((lines, index) => {
    const local = steps[index].from === steps[index].to
    const height = lines.length * LINE_PX + (local ? 22 : 24)
    const paused = index > 0 && steps[index].atNs - steps[index - 1].atNs >= PAUSE_NS
    if (paused) top += 22
    const row = { top, lines, height }
    top += height
    return row
  })
  return { x, rows, width: Math.ceil(right + 16), height: Math.ceil(top + 12) }
}

const widest = (lines: ReadonlyArray<string>): number => Math.max(...lines.map((line) => line.length)) * CHAR_PX

const labelOf = ({ label, lost, from, to }: SequenceStep): ReadonlyArray<string> =>
  wrap(lost === "" || from === to ? label : `${label} (${lost})`)

/** Lines of at most `WRAP` characters, broken at spaces where there are any. */
export const wrap = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(/\s+/).flatMap((long) => long.match(new RegExp(`.{1,${WRAP}}`, "gu")) ?? [])) {
    if (line !== "" && line.length + word.length + 1 > WRAP) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  lines.push(line)
  if (lines.length <= LINES_MAX) return lines
  return [...lines.slice(0, LINES_MAX - 1), `${lines[LINES_MAX - 1].slice(0, WRAP - 1)}…`]
}

const shortName = (name: string): string => (name.length > 22 ? `${name.slice(0, 21)}…` : name)

const lifeline = (name: string, { x, height }: Layout): Html => {
  const at = x.get(name)!
  const width = shortName(name).length * CHAR_PX + 20
  return html`<line class="life" x1="${at}" x2="${at}" y1="${HEAD_PX}" y2="${height - 6}"/>
<rect class="participant" x="${at - width / 2}" y="12" width="${width}" height="26" rx="5"/><text class="name" x="${at}" y="29"><title>${name}</title>${shortName(name)}</text>`
}

const drawStep = (
  step: SequenceStep,
  index: number,
  steps: ReadonlyArray<SequenceStep>,
  layout: Layout,
  id: string,
  originNs: number
): Html => {
  const { top, lines, height } = layout.rows[index]
  const from = layout.x.get(step.from)!
  const to = layout.x.get(step.to)!
  const pausedNs = index === 0 ? 0 : step.atNs - steps[index - 1].atNs
  const pause =
    pausedNs >= PAUSE_NS &&
    html`<line class="pause" x1="${GUTTER_PX - 8}" x2="${layout.width - 12}" y1="${top - 15}" y2="${top - 15}"/><text class="paused" x="${GUTTER_PX - 8}" y="${top - 18}">${duration(pausedNs)} later</text>`
  const arrow = step.from !== step.to
  const timeY = arrow ? top + lines.length * LINE_PX + 8 : top + height / 2 + 1
  const first = index === 0 || step.atNs !== steps[index - 1].atNs
  const time =
    first && html`<text class="at" x="${GUTTER_PX - 16}" y="${timeY}">${relative(step.atNs - originNs)}</text>`
  return html`<g>${pause}${time}${arrow ? drawArrow(step, lines, top, from, to, id) : drawNote(lines, top, from)}</g>`
}

const drawArrow = (
  step: SequenceStep,
  lines: ReadonlyArray<string>,
  top: number,
  from: number,
  to: number,
  id: string
): Html => {
  const y = top + lines.length * LINE_PX + 4
  const lost = step.lost !== ""
  const side = Math.sign(to - from)
  const end = lost ? to - side * Math.max(26, Math.abs(to - from) * 0.22) : to - side
  const middle = (from + to) / 2
  return html`${lines.map((line, at) => html`<text class="label" x="${middle}" y="${top + 11 + at * LINE_PX}">${line}</text>`)}
<line class="arrow${lost && " lost"}" x1="${from}" x2="${end}" y1="${y}" y2="${y}"${lost ? "" : html` marker-end="url(#${id}-arrow)"`}/>
${lost && html`<path class="cross" d="M${end - 5} ${y - 5}l10 10m0-10l-10 10"/>`}`
}

const drawNote = (lines: ReadonlyArray<string>, top: number, at: number): Html => {
  const width = widest(lines) + 18
  return html`<rect class="note" x="${at - width / 2}" y="${top}" width="${width}" height="${lines.length * LINE_PX + 10}" rx="4"/>
${lines.map((line, index) => html`<text class="said" x="${at}" y="${top + 16 + index * LINE_PX}">${line}</text>`)}`
}

/** Time from the moment itself, with its sign. */
const relative = (ns: number): string => (ns === 0 ? "0" : `${ns < 0 ? "−" : "+"}${duration(Math.abs(ns))}`)
