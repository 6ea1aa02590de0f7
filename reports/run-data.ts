/** Picks from a run document what the page's scripts draw, within a size that a browser opens at once. */

import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { LogData, RunData } from "./chart-data.ts"
import { bandsOf } from "./faults.ts"
import { percentileChart } from "./latency.ts"
import type { TitledChart } from "./series.ts"

export const runData = (
  document: RunDocument,
  prefix: string,
  charts: ReadonlyArray<TitledChart>,
  logLinesMax: number
): RunData => ({
  seconds: document.durationMs / 1000,
  livenessFrom: document.livenessFromMs === null ? null : document.livenessFromMs / 1000,
  bands: bandsOf(document),
  charts: charts.map(({ chart }) => chart),
  percentiles: percentileChart(`${prefix}-percentiles`, document.latencies),
  log: logData(document, logLinesMax)
})

/** The log with its repeated names as indices. Lines that a failure points at are kept whatever their number. */
const logData = (document: RunDocument, linesMax: number): LogData => {
  const cited = new Set(document.run.failures.flatMap((failure) => failure.events))
  const nodes = new Map<string, number>()
  const kinds = new Map<string, number>()
  const indexIn = (known: Map<string, number>, name: string): number => {
    const index = known.get(name) ?? known.size
    known.set(name, index)
    return index
  }
  const lines = document.log
    .filter((line, index) => index < linesMax || cited.has(line.id))
    .map(({ id, atNs, node, kind, words }) => {
      const atMs = Math.round(atNs / 1e3) / 1e3
      return [id, atMs, indexIn(nodes, node), indexIn(kinds, kind), words] as const
    })
  return { nodes: [...nodes.keys()], kinds: [...kinds.keys()], lines }
}
