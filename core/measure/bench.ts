/**
 * The bench document: everything that one run of the benchmarks measured, ready to print, draw and compare with another one. Every
 * figure keeps the value of each round, so that a reader can tell a change from noise.
 */

import type { TimeSeries } from "./document.ts"
import { EXIT } from "./run.ts"

export interface BenchDocument {
  readonly format: "horizon-bench/1"
  /** ISO 8601; when it was finished. */
  readonly madeAt: string
  /** Commit, with `+` and a hash of uncommitted changes behind it if there are any. */
  readonly commit: string
  /** The command that measures the same again. */
  readonly command: string
  /** The label of every figure here: `measured on …`. */
  readonly fidelity: string
  readonly environment: Readonly<Record<string, string | number>>
  readonly effort: BenchEffort
  /** Whether it was stopped before all sections had been measured. */
  readonly interrupted: boolean
  readonly wallSeconds: number
  readonly sections: ReadonlyArray<BenchSection>
}

/**
 * `record`: figures to be kept. `quick`: one short round, for a look. `glance`: the least by which everything shows that it works; its figures
 * are worth nothing.
 */
export type BenchEffort = "record" | "quick" | "glance"

/** One subject: the simulator, UDP, the tunnel, … */
export interface BenchSection {
  /** As the command line names it; unique. */
  readonly name: string
  readonly title: string
  /** What is measured and how, in sentences. */
  readonly summary: string
  readonly rounds: number
  readonly wallSeconds: number
  /** Median over the rounds of how much of the host was free before each, 0 to 1: well below 1 is a noisy machine. */
  readonly idleRatio: number
  readonly tables: ReadonlyArray<BenchTable>
  readonly musts: ReadonlyArray<BenchMust>
  /** Figures over time, where the section has them. */
  readonly series: ReadonlyArray<TimeSeries>
  /** What could not be measured here, and why, by name. */
  readonly missing: Readonly<Record<string, string>>
  /** What else a reader must know, in sentences: figures that failed, versions that are not the newest. */
  readonly notes: ReadonlyArray<string>
  /** Why measuring it broke off, which is Horizon's own failure. */
  readonly broken?: string
}

/** Subjects side by side. */
export interface BenchTable {
  /** Unique in its section. */
  readonly name: string
  readonly title: string
  /** What a row is: "receiver". */
  readonly rowTitle: string
  readonly columns: ReadonlyArray<BenchColumn>
  readonly rows: ReadonlyArray<BenchRow>
}

export interface BenchColumn {
  /** Unique in its table. */
  readonly name: string
  readonly title: string
  readonly unit: BenchUnit
  readonly better: "more" | "less"
  /** Whether the rows are worth drawing side by side. */
  readonly chart: boolean
}

export type BenchUnit =
  | "packets/s"
  | "events/s"
  | "handshakes/s"
  | "seeds/s"
  | "× real time"
  | "bit/s"
  | "µs"
  | "ns"
  | "CPU s/GB"
  | "packets"
  | "bytes"
  | "bytes/s"
  | "%"
  | "count"

/** `ours`: Horizon; `floor`: a C program that does the same work; `path`: nothing but what everything runs over; `other`: the rest. */
export type BenchKind = "ours" | "floor" | "path" | "other"

export interface BenchRow {
  /** Unique in its table. */
  readonly name: string
  readonly title: string
  readonly kind: BenchKind
  /** By column; none where it was not measured. */
  readonly figures: Readonly<Record<string, BenchFigure>>
  /** Version, MTU and the like, in few words. */
  readonly about?: string
  /** Why there are no figures. */
  readonly missing?: string
}

export interface BenchFigure {
  readonly median: number
  /** Of each round that has it, in order. */
  readonly rounds: ReadonlyArray<number>
  /** By what it is compared with, where there is one. */
  readonly ratio?: { readonly to: string; readonly value: number }
}

/** A bar: what a figure, or a ratio of two, must reach. */
export interface BenchMust {
  /** Unique in its section. */
  readonly name: string
  readonly sentence: string
  /** `null` if it should have been measured and was not: then it is not met. */
  readonly value: number | null
  readonly bound: number
  readonly relation: "at least" | "at most"
  /** Of value and bound; `×` for ratios. */
  readonly unit: BenchUnit | "×"
  readonly met: boolean
  /** The figure that it is about, to be marked where that is drawn. */
  readonly at?: { readonly table: string; readonly row: string; readonly column: string }
}

export const isMet = (value: number | null, relation: BenchMust["relation"], bound: number): boolean =>
  value !== null && (relation === "at least" ? value >= bound : value <= bound)

/** How far the rounds lie apart, by their middle: 0.1 = from 5 % below to 5 % above it. NaN for fewer than two rounds. */
export const spreadOf = (rounds: ReadonlyArray<number>): number => {
  if (rounds.length < 2) return Number.NaN
  const [least, most] = [Math.min(...rounds), Math.max(...rounds)]
  return most === least ? 0 : (2 * (most - least)) / Math.abs(most + least)
}

export const hasFigures = (section: BenchSection): boolean =>
  section.tables.some(({ rows }) => rows.some(({ figures }) => Object.keys(figures).length > 0))

/** 130 if it was stopped, 6 if measuring itself failed, 5 if a bar was missed, 77 if nothing could be measured, else 0. */
export const benchExitCode = ({ interrupted, sections }: Pick<BenchDocument, "interrupted" | "sections">): number => {
  if (interrupted) return EXIT.interrupted
  if (sections.some(({ broken }) => broken !== undefined)) return EXIT.harness
  if (!sections.some(hasFigures)) return EXIT.skipped
  return sections.some(({ musts }) => musts.some(({ met }) => !met)) ? EXIT.performance : EXIT.pass
}
