/** What every page of a report is put into: one file that needs nothing else, with style, scripts, head and foot. */

import { assets } from "./assets.ts"
import { Html, html } from "./html.ts"
import { toneIcon, type VerdictWords } from "./verdict.ts"

/** Nothing may be fetched, and nothing runs that is not in the file. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

export interface Frame {
  readonly title: string
  readonly verdict: string
  readonly tone: VerdictWords["tone"]
  /** What kind of report it is, beside the name. */
  readonly what: string
  /** Files beside the page, by their names. */
  readonly links: ReadonlyArray<readonly [href: string, name: string]>
  readonly main: Html
}

export const renderFrame = ({ links, main, title, tone, verdict, what }: Frame): string => {
  const { style, early, script } = assets()
  return html`<!doctype html>
<html lang="en" data-verdict="${verdict}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Horizon">
<title>${title}</title>
<link rel="icon" href="${icon(tone)}">
<style>${new Html(style)}</style>
<script>${new Html(early)}</script>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<div class="masthead"><span class="brand"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 15h20M5 15a7 7 0 0 1 14 0M6 19h12"/></svg>Horizon</span><span class="what">${what}</span><nav aria-label="Files">${links.map(([href, name]) => html`<a href="${href}">${name}</a>`)}</nav><button type="button" id="theme" aria-pressed="false">Dark theme</button></div>
<main id="main">${main}</main>
<footer>Made by Horizon. This file works offline; figures are labelled with how they came about.</footer>
<script>${new Html(script)}</script>
</body>
</html>
`.text
}

/** The verdict in the browser's tab, in its colour and shape. */
const icon = (tone: VerdictWords["tone"]): string => {
  const fill = { good: "#1a7f4b", bad: "#c0322b", doubt: "#b07400", none: "#6b7280" }[tone]
  const svg = toneIcon(tone)
    .text.replace("<svg ", `<svg xmlns="http://www.w3.org/2000/svg" fill="${fill}" `)
    .replace('class="sign"', 'fill="none" stroke="#fff" stroke-width="2.4"')
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}

export const NO_SCRIPTS = html`<noscript><p class="notice">Charts, log and filters need JavaScript, which is switched off; the tables do not. All data is in the JSON files beside this one.</p></noscript>`
