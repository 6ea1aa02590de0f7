/**
 * Two bench documents side by side: what became faster, what slower, and what only looks so. A change is called one only if it is larger
 * than the noise that the rounds of both show, and no round of one reaches into those of the other.
 */

import { type BenchColumn, type BenchDocument, type BenchFigure, type BenchSection, spreadOf } from "./bench.ts"

/** Smaller changes are never called one: clocks and code placement alone make them. */
const CHANGE_MIN = 0.03

export interface FigureChange {
  readonly section: string
  readonly table: string
  readonly row: string
  readonly column: BenchColumn
  readonly before: BenchFigure
  readonly after: BenchFigure
  /** After by before. */
  readonly ratio: number
  /** A ratio above 1 by which figures may differ for nothing; `null` if there is nothing to tell it from. */
  readonly noise: number | null
  readonly verdict: "better" | "worse" | "same" | "unknown"
}

export interface BenchComparison {
  readonly changes: ReadonlyArray<FigureChange>
  /** Figures that only one of the documents has, as words. */
  readonly onlyBefore: ReadonlyArray<string>
  readonly onlyAfter: ReadonlyArray<string>
  /** Why the two cannot well be compared, as sentences. */
  readonly caveats: ReadonlyArray<string>
}

export const compareBenches = (before: BenchDocument, after: BenchDocument): BenchComparison => {
  const [first, second] = [figuresOf(before), figuresOf(after)]
  const changes: Array<FigureChange> = []
  for (const [key, one] of first) {
    const other = second.get(key)
    if (other !== undefined) changes.push(changeOf(one, other))
  }
  const only = (own: ReadonlyMap<string, Placed>, other: ReadonlyMap<string, Placed>): ReadonlyArray<string> =>
    [...own].filter(([key]) => !other.has(key)).map(([, { column, row, table }]) => `${table}, ${row}, ${column.title}`)
  return {
    changes,
    onlyBefore: only(first, second),
    onlyAfter: only(second, first),
    caveats: caveatsOf(before, after)
  }
}

interface Placed {
  readonly section: BenchSection
  readonly table: string
  readonly row: string
  readonly column: BenchColumn
  readonly figure: BenchFigure
}

const figuresOf = (document: BenchDocument): ReadonlyMap<string, Placed> => {
  const figures = new Map<string, Placed>()
  for (const section of document.sections) {
    for (const { columns, name, rows, title } of section.tables) {
      for (const row of rows) {
        for (const column of columns) {
          const figure = row.figures[column.name]
          if (figure === undefined) continue
          const key = JSON.stringify([section.name, name, row.name, column.name])
          figures.set(key, { section, table: title, row: row.title, column, figure })
        }
      }
    }
  }
  return figures
}

const changeOf = (before: Placed, after: Placed): FigureChange => {
  const { column, row, section, table } = after
  const [a, b] = [before.figure, after.figure]
  const noise = noiseOf(before, after)
  const ratio = a.median === b.median ? 1 : b.median / a.median
  return {
    section: section.title,
    table,
    row,
    column,
    before: a,
    after: b,
    ratio,
    noise,
    verdict: verdictOf(column, a, b, ratio, noise)
  }
}

/** What the spreads of both add up to, as errors do. */
const noiseOf = (before: Placed, after: Placed): number | null => {
  const noise = Math.hypot(...[before, after].map(spreadAround))
  return Number.isNaN(noise) ? null : 1 + noise
}

/**
 * The spread of a figure, at least that which is usual in its column: of three rounds some lie together by luck. Where it has one round only,
 * what is usual in its column or section; NaN if all have one only.
 */
const spreadAround = ({ column, figure, section, table }: Placed): number => {
  const own = spreadOf(figure.rounds)
  const columnwise = section.tables
    .filter(({ title }) => title === table)
    .flatMap(({ rows }) => rows.flatMap(({ figures }) => figures[column.name] ?? []))
  const all = section.tables.flatMap(({ rows }) => rows.flatMap(({ figures }) => Object.values(figures)))
  const usual = usualSpread(columnwise)
  if (!Number.isNaN(own)) return Math.max(own, usual)
  return Number.isNaN(usual) ? usualSpread(all) : usual
}

/** The median of the spreads; NaN if there is none. */
const usualSpread = (figures: ReadonlyArray<BenchFigure>): number => {
  const spreads = figures
    .map(({ rounds }) => spreadOf(rounds))
    .filter((spread) => !Number.isNaN(spread))
    .sort((a, b) => a - b)
  return spreads.length === 0 ? Number.NaN : spreads[Math.floor(spreads.length / 2)]
}

const verdictOf = (
  { better }: BenchColumn,
  before: BenchFigure,
  after: BenchFigure,
  ratio: number,
  noise: number | null
): FigureChange["verdict"] => {
  if (noise === null || !Number.isFinite(ratio)) return "unknown"
  const apart =
    Math.min(...after.rounds) > Math.max(...before.rounds) || Math.max(...after.rounds) < Math.min(...before.rounds)
  const size = ratio > 1 ? ratio : 1 / ratio
  if (!apart || size < Math.max(noise, 1 + CHANGE_MIN)) return "same"
  return ratio > 1 === (better === "more") ? "better" : "worse"
}

/** A host that was less free than this has disturbed what was measured. */
const IDLE_MIN = 0.85

const caveatsOf = (before: BenchDocument, after: BenchDocument): ReadonlyArray<string> => {
  const differing = ["cpu", "cores", "kernel", "node"].filter(
    (name) => before.environment[name] !== after.environment[name]
  )
  return [
    ...differing.map(
      (name) =>
        `${name} differs: ${before.environment[name] ?? "unknown"} before, ${after.environment[name] ?? "unknown"} after`
    ),
    ...[before, after].flatMap((document, index) =>
      document.sections
        .filter(({ idleRatio }) => idleRatio < IDLE_MIN)
        .map(
          ({ idleRatio, title }) =>
            `${title}, ${index === 0 ? "before" : "after"}: only ${Math.round(idleRatio * 100)} % of the host was free`
        )
    )
  ]
}
