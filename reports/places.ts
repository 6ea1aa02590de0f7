/** Tables about the set-up of a run: who ran where, on what machine, with which drawn options. */

import type { RunDocument } from "@horizon/core/measure/document.ts"
import { counted } from "./figures.ts"
import { type Html, html } from "./html.ts"

/** Names of one group that a table lists. */
const NAMES_MAX = 12

interface Group {
  readonly host: string
  readonly kind: string
  readonly names: Array<string>
}

/** Nodes and actors by host; many of one kind on one host share a line. */
export const placesTable = ({ nodes, actors }: RunDocument): Html => {
  if (nodes.length + actors.length === 0) return html`<p class="quiet">Nothing was placed on this network.</p>`
  const hosts = new Set([...nodes, ...actors].map((place) => place.host))
  return html`
<p>${counted(nodes.length, "node")} and ${counted(actors.length, "actor")} on ${counted(hosts.size, "host")}. Nodes are the programs under test; actors put load on them and observe.</p>
<div class="columns">
${placed("Nodes", nodes)}
${placed("Actors", actors)}
</div>`
}

const placed = (title: string, places: RunDocument["nodes"]): Html | false =>
  places.length > 0 &&
  html`<div class="scroll" role="region" aria-label="${title}" tabindex="0"><table>
<caption>${title}</caption>
<thead><tr><th scope="col">Host</th><th scope="col">Kind</th><th scope="col">Name</th></tr></thead>
<tbody>${grouped(places).map(
    ({ host, kind, names }) =>
      html`<tr><td>${host}</td><td><span class="kind">${kind}</span></td><td>${names.slice(0, NAMES_MAX).join(", ")}${
        names.length > NAMES_MAX && html` <span class="quiet">and ${names.length - NAMES_MAX} more</span>`
      }</td></tr>`
  )}</tbody>
</table></div>`

const grouped = (places: RunDocument["nodes"]): ReadonlyArray<Group> => {
  const groups = new Map<string, Group>()
  for (const { name, kind, host } of places) {
    const key = JSON.stringify([host, kind])
    const group = groups.get(key) ?? { host, kind, names: [] }
    groups.set(key, group)
    group.names.push(name)
  }
  return [...groups.values()]
}

/** Keys and values as a list of terms. */
export const terms = (entries: ReadonlyArray<readonly [string, string | number | boolean | Html]>): Html =>
  html`<dl class="terms">${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${typeof value === "boolean" ? String(value) : value}</dd></div>`)}</dl>`

export const environmentTable = (document: RunDocument): Html => {
  const { run, environment, madeAt } = document
  return terms([
    ["Made", time(madeAt)],
    ["Commit", run.commit],
    ["Node.js", run.nodeVersion],
    ...Object.entries(environment)
      .filter(([name]) => name !== "node")
      .map(([name, value]) => [LABELS[name] ?? name, value] as const),
    ["Digest", run.digest === "" ? "none: this world does not replay" : run.digest],
    ["Fault timeline", run.timelineHash]
  ])
}

const LABELS: Readonly<Record<string, string>> = {
  platform: "Platform",
  kernel: "Kernel",
  cpu: "Processor",
  cores: "Cores",
  memoryGiB: "Memory, GiB"
}

export const drawnTable = ({ run }: RunDocument): Html => {
  const drawn = Object.entries(run.drawn)
  return drawn.length === 0
    ? html`<p class="quiet">Nothing was drawn from the seed but the randomness of the network: the scenario fixes every option.</p>`
    : html`<p class="quiet">Options that seed ${run.seed} drew for this run.</p>${terms(drawn)}`
}

/** An ISO time as people read it, in UTC, so that everyone reads the same. */
export const time = (iso: string): Html => {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return html`${iso}`
  return html`<time datetime="${at.toISOString()}">${at.toISOString().slice(0, 16).replace("T", " ")} UTC</time>`
}
