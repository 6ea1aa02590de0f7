/** Benchmarks as a reader of another page finds them. */

import type { BenchDocument } from "@horizon/core/measure/bench.ts"
import type { FoundBench } from "./bench-input.ts"
import { benchVerdict } from "./bench-verdict.ts"
import { type Html, html } from "./html.ts"
import { time } from "./places.ts"
import { toneIcon } from "./verdict.ts"

export const benchLinks = (benches: ReadonlyArray<FoundBench>): Html => html`
<section class="part" id="benches" aria-labelledby="benches-h">
<h3 id="benches-h">Benchmarks</h3>
<div class="scroll" role="region" aria-label="Benchmarks" tabindex="0"><table>
<thead><tr><th scope="col">Bars</th><th scope="col">Made</th><th scope="col">Sections</th><th scope="col">Commit</th></tr></thead>
<tbody>${benches.map(benchRow)}</tbody>
</table></div>
</section>`

const benchRow = ({ document, folder }: FoundBench): Html => {
  const { tone, words } = benchVerdict(document)
  return html`<tr><td><span class="mark tone-${tone}">${toneIcon(tone)}<span>${words}</span></span></td><th scope="row"><a href="${encodeURIComponent(folder)}/index.html">${time(document.madeAt)}</a></th><td>${sectionNames(document)}</td><td><code>${document.commit}</code></td></tr>`
}

const sectionNames = ({ effort, sections }: BenchDocument): string =>
  `${sections.map(({ title }) => title).join(", ")}${effort === "record" ? "" : " (a quick look)"}`
