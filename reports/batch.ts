/**
 * Reads what a batch of runs left in a folder. `runs.ndjson` says which runs belong together; a run document that none of its
 * lines made is left over from an earlier batch and is set aside, by name, so that two batches are never mixed in silence.
 */

import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { parsed, ReportInputError, readText } from "./input.ts"
import { anyObject, list, nullable, number, object, oneOf, record, scalar, text } from "./shape.ts"

export interface BatchEntry {
  readonly run: Run
  /** Missing for runs that were skipped, could not start, or passed in a large batch. */
  readonly document?: RunDocument
  /** Name of the document's file in the folder. */
  readonly file?: string
}

export interface Batch {
  readonly entries: ReadonlyArray<BatchEntry>
  /** Run documents in the folder that belong to other batches. */
  readonly setAside: ReadonlyArray<string>
}

const RECORDS = "runs.ndjson"
const DOCUMENT = /\.run\.json$/

export const readBatch = async (directory: string): Promise<Batch> => {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new ReportInputError(directory, `cannot be read (${error.code}); give the folder of 'scenario run --out'`)
  })
  const documents = new Map<string, RunDocument>()
  // Sorted by code unit, so that the same folder gives the same report on every file system.
  for (const name of names.filter((candidate) => DOCUMENT.test(candidate)).sort()) {
    documents.set(name, await readDocument(join(directory, name)))
  }
  if (names.includes(RECORDS)) return matched(await readRecords(join(directory, RECORDS)), documents)
  if (documents.size === 0) {
    throw new ReportInputError(
      directory,
      `holds neither ${RECORDS} nor run documents (*.run.json); 'horizon scenario run NAME --out ${directory}' makes some`
    )
  }
  return { entries: [...documents].map(([file, document]) => ({ run: document.run, document, file })), setAside: [] }
}

/** Gives each record its document: the one that holds exactly the same record. */
const matched = (runs: ReadonlyArray<Run>, documents: ReadonlyMap<string, RunDocument>): Batch => {
  const made = new Map([...documents].map(([file, document]) => [JSON.stringify(document.run), file]))
  const used = new Set<string>()
  const entries = runs.map((run) => {
    const file = made.get(JSON.stringify(run))
    if (file === undefined) return { run }
    used.add(file)
    return { run, document: documents.get(file)!, file }
  })
  return { entries, setAside: [...documents.keys()].filter((file) => !used.has(file)) }
}

const readRecords = async (path: string): Promise<ReadonlyArray<Run>> => {
  const lines = (await readText(path)).split("\n")
  const runs = lines.flatMap((line, index) => {
    if (line.trim() === "") return []
    return [parsed<Run>(`${path}, line ${index + 1}`, line, RUN, REMEDY)]
  })
  // Workers finish in any order; a reader wants scenarios as they were asked for, and seeds ascending.
  const order = [...new Set(runs.map((run) => `${run.scenario} ${run.world}`))]
  const rank = (run: Run): number => order.indexOf(`${run.scenario} ${run.world}`)
  return runs.sort((a, b) => rank(a) - rank(b) || a.seed - b.seed)
}

const readDocument = async (path: string): Promise<RunDocument> => {
  const document = parsed<RunDocument>(path, await readText(path), DOCUMENT_SHAPE, REMEDY)
  for (const series of document.latencies) {
    if (series.indices.length !== series.counts.length) {
      throw new ReportInputError(path, `latencies of ${series.op}: indices and counts differ in length; ${REMEDY}`)
    }
  }
  for (const series of document.series) {
    if (series.seconds.length !== series.values.length) {
      throw new ReportInputError(path, `series ${series.name}: seconds and values differ in length; ${REMEDY}`)
    }
  }
  return document
}

const REMEDY = "run the scenario again or remove the file"

const VERDICT = oneOf(
  ...Object.keys(EXIT).filter((name) => !["usage", "noInput", "unavailable", "corrupt", "interrupted"].includes(name))
)

const FAILURE = object({ id: text, verdict: VERDICT, sentence: text, events: list(number) })

const RUN = object({
  scenario: text,
  world: text,
  seed: number,
  verdict: VERDICT,
  exitCode: number,
  digest: text,
  events: number,
  packets: number,
  simulatedSeconds: number,
  wallSeconds: number,
  commit: text,
  nodeVersion: text,
  failures: list(FAILURE),
  repro: text,
  drawn: record(scalar),
  timelineHash: text
})

const PLACED = object({ name: text, kind: text, host: text })

const DOCUMENT_SHAPE = object({
  format: oneOf("horizon-run/1"),
  run: RUN,
  summary: text,
  fidelity: text,
  madeAt: text,
  environment: record(scalar),
  nodes: list(PLACED),
  actors: list(PLACED),
  durationMs: number,
  livenessFromMs: nullable(number),
  faults: list(object({ atMs: number, untilMs: nullable(number), kind: text, words: text })),
  timeline: list(anyObject),
  checks: list(
    object({
      id: text,
      phase: oneOf("safety", "liveness"),
      sentence: text,
      checked: number,
      failures: list(FAILURE)
    })
  ),
  watched: list(object({ id: text, sentence: text, checked: number, broken: number })),
  latencies: list(
    object({ op: text, actors: number, indices: list(number), counts: list(number), outcomes: record(number) })
  ),
  series: list(
    object({
      name: text,
      unit: text,
      group: oneOf("throughput", "queue", "latency", "tick", "memory", "control"),
      seconds: list(number),
      values: list(nullable(number))
    })
  ),
  moments: list(
    object({
      title: text,
      atNs: number,
      participants: list(text),
      steps: list(object({ atNs: number, from: text, to: text, label: text, lost: text }))
    })
  ),
  log: list(object({ id: number, atNs: number, node: text, kind: text, words: text }))
})
