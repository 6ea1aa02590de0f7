/**
 * Runs what the command line asked for: plans the runs, spreads many of them over the cores as worker processes, writes records
 * and documents, and says how it goes by events.
 */

import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { Fault } from "@horizon/core/lab/fault.ts"
import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { writeReport } from "@horizon/reports/report.ts"
import { SCENARIOS } from "@horizon/scenarios/registry.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { SOMETIMES, SUITE_SEEDS } from "@horizon/scenarios/sometimes.ts"
import { WORLDS } from "../world/registry.ts"
import type { PlannedRun, Shard } from "./plan.ts"
import { offered, planRuns } from "./plan.ts"
import type { RunOnceResult } from "./run-once.ts"
import { runOnce } from "./run-once.ts"
import { WorkerPool } from "./worker-pool.ts"

export interface RunRequest {
  readonly names: ReadonlyArray<string>
  readonly all: boolean
  readonly world: string
  readonly seeds: ReadonlyArray<number>
  /** Link driver, for worlds whose links may be of several kinds. */
  readonly driver?: string
  readonly shard?: Shard
  /** Folder for records, documents and the report. */
  readonly out?: string
  readonly onEvent: (event: RunnerEvent) => void
  /** Ends the batch early, cleanly: what has finished is kept. */
  readonly signal?: AbortSignal
}

export type RunnerEvent =
  | {
      readonly kind: "planned"
      readonly runs: number
      readonly workers: number
      /** What the runs take at least, where time is real. */
      readonly realSeconds?: number
    }
  | { readonly kind: "started"; readonly scenario: string; readonly world: string; readonly seed: number }
  | {
      readonly kind: "progress"
      readonly scenario: string
      readonly seed: number
      readonly seconds: number
      readonly ofSeconds: number
    }
  | { readonly kind: "finished"; readonly run: Run; readonly index: number; readonly of: number }
  | { readonly kind: "report"; readonly path: string }

export interface RunnerResult {
  readonly runs: ReadonlyArray<Run>
  /** Rare paths that no seed of a large suite reached, as sentences. */
  readonly neverReached: ReadonlyArray<string>
  readonly exitCode: number
}

export interface ListedScenario {
  readonly name: string
  readonly summary: string
  readonly tags: ReadonlyArray<string>
  readonly worlds: ReadonlyArray<string>
  readonly needs: ReadonlyArray<string>
  readonly durationSeconds: number
}

/** Documents are written for every run of a batch up to this size; in larger ones for those that did not pass. */
const DOCUMENTS_MAX = 40

export const listScenarios = (): ReadonlyArray<ListedScenario> =>
  SCENARIOS.map((scenario) => ({
    name: scenario.name,
    summary: scenario.summary,
    tags: scenario.tags,
    worlds: WORLDS.filter((world) => offered(scenario, world)).map((world) => world.name),
    needs: needsOf(scenario),
    durationSeconds: scenario.durationMs / 1000
  }))

export const runScenarios = async (request: RunRequest): Promise<RunnerResult> => {
  const planned = planRuns(request.names, request.all, request.world, request.seeds, request.shard, request.driver)
  const parallel = request.world === "simulated" && planned.length > 1
  const workers = parallel ? Math.min(planned.length, availableParallelism()) : 1
  request.onEvent({ kind: "planned", runs: planned.length, workers, ...realSeconds(planned) })
  const sink = new ResultSink(request, planned.length)
  if (parallel) await runInPool(planned, workers, request, sink)
  else for (const run of planned) if (!request.signal?.aborted) await runHere(run, request, sink)
  if (request.out !== undefined && sink.runs.length > 0) {
    const { html } = await writeReport(request.out)
    request.onEvent({ kind: "report", path: html })
  }
  const neverReached = unreached(sink.runs)
  return {
    runs: sink.runs,
    neverReached,
    exitCode: request.signal?.aborted ? EXIT.interrupted : exitOf(sink.runs, neverReached)
  }
}

const realSeconds = (planned: ReadonlyArray<PlannedRun>): { readonly realSeconds?: number } =>
  planned.some(({ world }) => world.offers.has("virtual-time"))
    ? {}
    : { realSeconds: planned.reduce((sum, { scenario }) => sum + scenario.durationMs / 1000, 0) }

/** Runs a stored document's scenario again: same world, seed and fault timeline; the digest must be the same. */
export const replay = async (
  file: string,
  onEvent: (event: RunnerEvent) => void,
  signal?: AbortSignal
): Promise<RunnerResult & { readonly digestWanted: string }> => {
  const document = JSON.parse(readFileSync(file, "utf8")) as RunDocument
  if (document.format !== "horizon-run/1") throw new SyntaxError(`${file} is not a run document (horizon-run/1)`)
  const { scenario, world, seed, digest } = document.run
  const [planned] = planRuns([scenario], false, world, [seed])
  onEvent({ kind: "planned", runs: 1, workers: 1 })
  const sink = new ResultSink({ onEvent }, 1)
  const request = { onEvent, ...(signal === undefined ? {} : { signal }) }
  await runHere(planned, request, sink, document.timeline as ReadonlyArray<Fault>)
  return { runs: sink.runs, neverReached: [], exitCode: worstExit(sink.runs), digestWanted: digest }
}

const runHere = async (
  planned: PlannedRun,
  request: Pick<RunRequest, "onEvent" | "signal">,
  sink: ResultSink,
  timeline?: ReadonlyArray<Fault>
): Promise<void> => {
  const { scenario, world, seed } = planned
  const ofSeconds = scenario.durationMs / 1000
  request.onEvent({ kind: "started", scenario: scenario.name, world: world.name, seed })
  const result = await runOnce({
    ...planned,
    progress: (seconds) => request.onEvent({ kind: "progress", scenario: scenario.name, seed, seconds, ofSeconds }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    ...(timeline === undefined ? {} : { timeline })
  })
  // Half a run says nothing about the scenario.
  if (!request.signal?.aborted) sink.take(result)
}

const runInPool = async (
  planned: ReadonlyArray<PlannedRun>,
  workers: number,
  request: RunRequest,
  sink: ResultSink
): Promise<void> => {
  const pool = new WorkerPool(workers, request.onEvent)
  const stop = (): void => pool.close()
  request.signal?.addEventListener("abort", stop)
  try {
    await pool.runAll(planned, (result) => sink.take(result))
  } finally {
    request.signal?.removeEventListener("abort", stop)
    pool.close()
  }
}

/** Takes finished runs: tells them, keeps the records, writes what is to be kept. */
class ResultSink {
  readonly runs: Array<Run> = []
  private readonly request: Pick<RunRequest, "onEvent" | "out">
  private readonly of: number

  constructor(request: Pick<RunRequest, "onEvent" | "out">, of: number) {
    this.request = request
    this.of = of
    if (request.out !== undefined) {
      mkdirSync(request.out, { recursive: true })
      rmSync(join(request.out, "runs.ndjson"), { force: true })
    }
  }

  take({ run, document }: Pick<RunOnceResult, "run" | "document">): void {
    const index = this.runs.push(run)
    const { out } = this.request
    if (out !== undefined) {
      appendFileSync(join(out, "runs.ndjson"), `${JSON.stringify(run)}\n`)
      if (document !== undefined && (this.of <= DOCUMENTS_MAX || run.verdict !== "pass")) {
        const name = `${run.scenario}-${run.world}-${run.seed}.run.json`
        writeFileSync(join(out, name), JSON.stringify(document))
      }
    }
    this.request.onEvent({ kind: "finished", run, index, of: this.of })
  }
}

/** What scenarios hope to reach and no run of a suite did; small suites are not held to it. */
export const unreached = (runs: ReadonlyArray<Run>): ReadonlyArray<string> =>
  SCENARIOS.flatMap(({ name, sometimes = [] }) => {
    const suite = runs.filter((run) => run.scenario === name && run.verdict !== "skipped")
    if (suite.length < SUITE_SEEDS) return []
    const reached = new Set(suite.flatMap((run) => run.reached))
    return sometimes
      .filter((id) => !reached.has(id))
      .map((id) => `in none of ${suite.length} runs of ${name} ${SOMETIMES[id].sentence} (${id})`)
  })

const exitOf = (runs: ReadonlyArray<Run>, neverReached: ReadonlyArray<string>): number => {
  const exitCode = worstExit(runs)
  return exitCode === EXIT.pass && neverReached.length > 0 ? EXIT.unknown : exitCode
}

/** The exit code of a batch: that of its gravest run; skipped only if nothing ran at all. */
const worstExit = (runs: ReadonlyArray<Run>): number => {
  const codes = runs.map((run) => run.exitCode).filter((code) => code !== EXIT.pass && code !== EXIT.skipped)
  if (codes.length > 0) return SEVERITY.find((code) => codes.includes(code)) ?? codes[0]
  return runs.length > 0 && runs.every((run) => run.exitCode === EXIT.skipped) ? EXIT.skipped : EXIT.pass
}

const SEVERITY: ReadonlyArray<number> = [
  EXIT.harness,
  EXIT.nondeterminism,
  EXIT.safety,
  EXIT.liveness,
  EXIT.unknown,
  EXIT.performance
]
