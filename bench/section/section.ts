/** What `horizon bench` is made of: each section measures one subject and gives its tables, in the terms of the bench document. */

import {
  type BenchEffort,
  type BenchFigure,
  type BenchMust,
  type BenchRow,
  type BenchSection,
  isMet
} from "@horizon/core/measure/bench.ts"
import { median } from "../net/median.ts"

/** How much is to be measured. */
export interface SectionRequest {
  readonly effort: BenchEffort
  /** As many as the effort has if left out. */
  readonly rounds?: number
  /** Subjects of the tunnel comparison; all if left out. */
  readonly subjects?: ReadonlyArray<string>
  /** Length of the soak. */
  readonly minutes?: number
  /** UDP datagrams a second in each direction of the soak; as many as pass if left out. */
  readonly packetsPerSecond?: number
  readonly signal?: AbortSignal
  readonly onProgress: (sentence: string) => void
}

export interface Section {
  /** As the command line names it. */
  readonly name: string
  readonly title: string
  readonly summary: string
  /** About how long it takes here. */
  readonly estimateSeconds: (request: SectionRequest) => number
  /** Why nothing of it can be measured here, in one line; undefined if nothing is known to be in the way. */
  readonly missing: () => string | undefined
  /** Rejects with the signal's reason if it is stopped, and leaves nothing behind. */
  readonly measure: (request: SectionRequest) => Promise<Measured>
}

/** What a section measured; the runner adds who and how long. */
export type Measured = Pick<BenchSection, "rounds" | "idleRatio" | "tables" | "musts"> &
  Partial<Pick<BenchSection, "series" | "missing" | "notes">>

/** Rounds that an effort has by itself. */
const ROUNDS: Readonly<Record<BenchEffort, number>> = { record: 3, quick: 1, glance: 1 }

export const roundsOf = ({ effort, rounds }: SectionRequest): number => rounds ?? ROUNDS[effort]

export const figureOf = (rounds: ReadonlyArray<number>): BenchFigure => ({ median: median(rounds), rounds })

/** A figure beside another one that it is compared with, if that was measured. */
export const comparedWith = (figure: BenchFigure, to: string, other: BenchFigure | undefined): BenchFigure =>
  other === undefined || other.median <= 0 ? figure : { ...figure, ratio: { to, value: figure.median / other.median } }

/** The figures of a row, of those that were measured. */
export const figuresOf = (
  columns: Readonly<Record<string, ReadonlyArray<number> | BenchFigure | undefined>>
): BenchRow["figures"] => {
  const figures: Record<string, BenchFigure> = {}
  for (const [name, value] of Object.entries(columns)) {
    if (value === undefined) continue
    const figure = "median" in value ? value : figureOf(value)
    if (Number.isFinite(figure.median)) figures[name] = figure
  }
  return figures
}

export type MustOf = Omit<BenchMust, "value" | "met">

/** A bar on a value; `undefined` if it should have been measured and was not. */
export const must = (of: MustOf, value: number | undefined): BenchMust => {
  const known = value === undefined || !Number.isFinite(value) ? null : value
  return { ...of, value: known, met: isMet(known, of.relation, of.bound) }
}

/** A bar that another figure sets; none if that one is not there. */
export const mustReach = (
  of: Omit<MustOf, "bound">,
  value: number | undefined,
  bound: number | undefined
): ReadonlyArray<BenchMust> => (bound === undefined ? [] : [must({ ...of, bound }, value)])
