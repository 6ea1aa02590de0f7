/** `report.json`: all runs of the batch for programs, with every figure that the page shows and the label it carries. */

import type { Run, Verdict } from "@horizon/core/measure/run.ts"
import type { Batch, BatchEntry } from "./batch.ts"
import { invariantStatus, statusOf } from "./checks.ts"
import { latencyRow } from "./latency.ts"
import { exitCodeOf, verdictOf } from "./verdict.ts"

export const SUMMARY_FORMAT = "horizon-report/1"

/** A figure that must not be read without knowing how it came about. */
interface Figure {
  readonly value: number
  readonly unit: string
  readonly fidelity: string
}

export interface Summary {
  readonly format: typeof SUMMARY_FORMAT
  readonly verdict: Verdict
  readonly exitCode: number
  readonly counts: Readonly<Record<string, number>>
  readonly runs: ReadonlyArray<SummaryRun>
  /** Run documents in the folder that belong to other batches. */
  readonly setAside: ReadonlyArray<string>
}

export interface SummaryRun extends Run {
  /** File of the run document beside this one, if it was kept. */
  readonly document: string | null
  readonly fidelity: string | null
  readonly madeAt: string | null
  readonly speed: Readonly<Record<string, Figure>>
  readonly checks: ReadonlyArray<{
    readonly id: string
    readonly phase: string
    readonly sentence: string
    readonly status: string
    readonly checked: number
    readonly violations: number
  }>
  readonly operations: ReadonlyArray<{
    readonly op: string
    readonly actors: number
    readonly outcomes: Readonly<Record<string, number>>
    readonly latency: Readonly<Record<string, Figure>>
  }>
  readonly environment: Readonly<Record<string, string | number>>
}

export const summarise = (batch: Batch): Summary => {
  const runs = batch.entries.map(({ run }) => run)
  const counts: Record<string, number> = {}
  for (const { verdict } of runs) counts[verdict] = (counts[verdict] ?? 0) + 1
  const verdict = verdictOf(runs)
  return {
    format: SUMMARY_FORMAT,
    verdict,
    exitCode: exitCodeOf(verdict),
    counts,
    runs: batch.entries.map(summaryRun),
    setAside: batch.setAside
  }
}

const summaryRun = ({ run, document, file }: BatchEntry): SummaryRun => ({
  ...run,
  document: file ?? null,
  fidelity: document?.fidelity ?? null,
  madeAt: document?.madeAt ?? null,
  speed: speedOf(run),
  checks: [
    ...(document?.checks ?? []).map((check) => ({
      id: check.id,
      phase: check.phase,
      sentence: check.sentence,
      status: statusOf(check),
      checked: check.checked,
      violations: check.failures.length
    })),
    ...(document?.watched ?? []).map((watched) => ({
      id: watched.id,
      phase: "watched",
      sentence: watched.sentence,
      status: invariantStatus(watched),
      checked: watched.checked,
      violations: watched.broken
    }))
  ],
  operations: (document?.latencies ?? []).map((series) => {
    const row = latencyRow(series)
    const figure = (value: number): Figure => ({ value, unit: "ns", fidelity: document!.fidelity })
    const latency: Readonly<Record<string, Figure>> =
      row.count === 0
        ? {}
        : {
            p50: figure(row.p50Ns),
            p90: figure(row.p90Ns),
            p99: figure(row.p99Ns),
            "p99.9": figure(row.p999Ns),
            max: figure(row.maxNs)
          }
    return { op: row.op, actors: row.actors, outcomes: row.outcomes, latency }
  }),
  environment: document?.environment ?? {}
})

/** How fast the run itself went: always measured on this machine, whatever the world. */
const speedOf = ({ events, packets, simulatedSeconds, wallSeconds }: Run): Readonly<Record<string, Figure>> => {
  if (wallSeconds <= 0) return {}
  const measured = (value: number, unit: string): Figure => ({
    value: Number((value / wallSeconds).toPrecision(6)),
    unit,
    fidelity: "measured"
  })
  return {
    events: measured(events, "events/s"),
    packets: measured(packets, "packets/s"),
    ratioToRealTime: measured(simulatedSeconds, "×")
  }
}
