/**
 * `horizon bench`: measures the sections that were asked for, one after the other, and writes what they came to as one document and a
 * report. A section that fails is said and does not take the others with it.
 */

import { mkdirSync } from "node:fs"
import { cpus, release } from "node:os"
import { join } from "node:path"
import type { BenchDocument, BenchSection } from "@horizon/core/measure/bench.ts"
import { writeWhole } from "@horizon/reports/atomic-file.ts"
import { BENCH_FILE, writeBenchReport } from "@horizon/reports/bench-report.ts"
import { UnknownName } from "./runner/plan.ts"
import { commit, environment } from "./runner/provenance.ts"
import { ON_REQUEST, SECTIONS } from "./section/registry.ts"
import type { Section, SectionRequest } from "./section/section.ts"

export interface BenchRequest extends Omit<SectionRequest, "onProgress"> {
  /** Names; those that are not only measured on request if empty. */
  readonly sections: ReadonlyArray<string>
  /** Folder of the document and the report. */
  readonly out: string
  /** The command line that asks for this. */
  readonly command: string
  readonly onEvent: (event: BenchEvent) => void
}

export type BenchEvent =
  | {
      readonly kind: "planned"
      readonly sections: ReadonlyArray<{ readonly name: string; readonly estimateSeconds: number }>
    }
  | { readonly kind: "started"; readonly name: string; readonly title: string }
  | { readonly kind: "progress"; readonly name: string; readonly sentence: string }
  | { readonly kind: "finished"; readonly section: BenchSection }
  | { readonly kind: "written"; readonly document: string; readonly html: string }

export interface ListedSection {
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly onRequest: boolean
}

export const listSections = (): ReadonlyArray<ListedSection> =>
  SECTIONS.map(({ name, summary, title }) => ({ name, title, summary, onRequest: ON_REQUEST.includes(name) }))

/** Resolves with the document, also of a bench that was stopped: with what had finished. */
export const runBench = async (request: BenchRequest): Promise<BenchDocument> => {
  const { onEvent, out, signal } = request
  const sections = choose(request.sections)
  const startMs = performance.now()
  const requestOf = (section: Section): SectionRequest => ({
    ...request,
    onProgress: (sentence) => onEvent({ kind: "progress", name: section.name, sentence })
  })
  // A folder that cannot be made is said before a quarter of an hour has been spent.
  mkdirSync(out, { recursive: true })
  onEvent({
    kind: "planned",
    sections: sections.map((section) => ({
      name: section.name,
      estimateSeconds: section.missing() === undefined ? section.estimateSeconds(requestOf(section)) : 0
    }))
  })
  const measured: Array<BenchSection> = []
  for (const section of sections) {
    if (signal?.aborted === true) break
    onEvent({ kind: "started", name: section.name, title: section.title })
    const result = await measure(section, requestOf(section))
    if (result === undefined) break
    measured.push(result)
    onEvent({ kind: "finished", section: result })
  }
  const document: BenchDocument = {
    format: "horizon-bench/1",
    madeAt: new Date().toISOString(),
    commit: commit(),
    command: request.command,
    fidelity: `measured on ${cpus().length} × ${cpus()[0]?.model.trim() ?? "an unknown CPU"}, ${process.platform} ${release()}`,
    environment: environment(),
    effort: request.effort,
    interrupted: signal?.aborted === true,
    wallSeconds: (performance.now() - startMs) / 1000,
    sections: measured
  }
  if (measured.length > 0) {
    const file = join(out, BENCH_FILE)
    await writeWhole(file, `${JSON.stringify(document, undefined, 2)}\n`)
    onEvent({ kind: "written", document: file, html: await writeBenchReport(out) })
  }
  return document
}

const choose = (names: ReadonlyArray<string>): ReadonlyArray<Section> => {
  for (const name of names) {
    if (!SECTIONS.some((section) => section.name === name)) {
      throw new UnknownName(`there is no section "${name}"; choose from ${SECTIONS.map((one) => one.name).join(", ")}`)
    }
  }
  return SECTIONS.filter(({ name }) => (names.length === 0 ? !ON_REQUEST.includes(name) : names.includes(name)))
}

/** `undefined` if it was stopped meanwhile: half a section says nothing. */
const measure = async (section: Section, request: SectionRequest): Promise<BenchSection | undefined> => {
  const { name, summary, title } = section
  const startMs = performance.now()
  const nothing = { rounds: 0, idleRatio: 1, tables: [], musts: [], series: [], missing: {}, notes: [] }
  const whole = (measured: Partial<BenchSection>): BenchSection => ({
    name,
    title,
    summary,
    ...nothing,
    ...measured,
    wallSeconds: (performance.now() - startMs) / 1000
  })
  const missing = section.missing()
  if (missing !== undefined) return whole({ missing: { [name]: missing } })
  try {
    return whole(await section.measure(request))
  } catch (error) {
    if (request.signal?.aborted === true) return undefined
    // What makes no sense is the caller's to mend.
    if (error instanceof UnknownName) throw error
    return whole({ broken: (error as Error).message })
  }
}
