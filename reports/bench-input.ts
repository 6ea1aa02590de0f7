/** Reads bench documents (core/measure/bench.ts): one that is to be shown, or those in the folders of a batch of runs. */

import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { BenchDocument } from "@horizon/core/measure/bench.ts"
import { parsed, readText } from "./input.ts"
import { list, nullable, number, object, oneOf, optional, record, scalar, text, truth } from "./shape.ts"

/** Name of the document in its folder. */
export const BENCH_FILE = "bench.json"

const REMEDY = "measure again or remove the file"

/** Rejects with a `ReportInputError` that names the file. */
export const readBench = async (file: string): Promise<BenchDocument> =>
  parsed<BenchDocument>(file, await readText(file), DOCUMENT_SHAPE, REMEDY)

export interface FoundBench {
  /** Its folder in the folder that was looked into. */
  readonly folder: string
  readonly document: BenchDocument
}

/** The bench documents in the folders of a folder, the newest first. One that cannot be read is none of this report's. */
export const findBenches = async (directory: string): Promise<ReadonlyArray<FoundBench>> => {
  const entries = await readdir(directory, { withFileTypes: true })
  const found: Array<FoundBench> = []
  for (const entry of entries.filter((candidate) => candidate.isDirectory())) {
    const document = await readBench(join(directory, entry.name, BENCH_FILE)).catch(() => undefined)
    if (document !== undefined) found.push({ folder: entry.name, document })
  }
  return found.sort((a, b) => (a.document.madeAt < b.document.madeAt ? 1 : -1))
}

const FIGURE = object({
  median: number,
  rounds: list(number),
  ratio: optional(object({ to: text, value: number }))
})

const ROW = object({
  name: text,
  title: text,
  kind: oneOf("ours", "floor", "path", "other"),
  figures: record(FIGURE),
  about: optional(text),
  missing: optional(text)
})

const COLUMN = object({ name: text, title: text, unit: text, better: oneOf("more", "less"), chart: truth })

const MUST = object({
  name: text,
  sentence: text,
  value: nullable(number),
  bound: number,
  relation: oneOf("at least", "at most"),
  unit: text,
  met: truth,
  at: optional(object({ table: text, row: text, column: text }))
})

const SERIES = object({
  name: text,
  unit: text,
  group: text,
  seconds: list(number),
  values: list(nullable(number))
})

const SECTION = object({
  name: text,
  title: text,
  summary: text,
  rounds: number,
  wallSeconds: number,
  idleRatio: number,
  tables: list(object({ name: text, title: text, rowTitle: text, columns: list(COLUMN), rows: list(ROW) })),
  musts: list(MUST),
  series: list(SERIES),
  missing: record(text),
  notes: list(text),
  broken: optional(text)
})

const DOCUMENT_SHAPE = object({
  format: oneOf("horizon-bench/1"),
  madeAt: text,
  commit: text,
  command: text,
  fidelity: text,
  environment: record(scalar),
  effort: oneOf("record", "quick", "glance"),
  interrupted: truth,
  wallSeconds: number,
  sections: list(SECTION)
})
