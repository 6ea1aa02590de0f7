/** A section of the benchmarks, and a comparison of two, as text. */

import {
  type BenchFigure,
  type BenchMust,
  type BenchSection,
  type BenchTable,
  hasFigures
} from "@horizon/core/measure/bench.ts"
import type { BenchComparison, FigureChange } from "@horizon/core/measure/bench-comparison.ts"
import { amount } from "@horizon/reports/bench-tables.ts"
import { scaleFor, significant, withUnit } from "@horizon/reports/figures.ts"
import { paint, type Screen, table } from "./screen.ts"

export const printSection = (section: BenchSection, screen: Screen): void => {
  const { broken, idleRatio, missing, musts, notes, rounds, tables, title } = section
  const how = hasFigures(section)
    ? ` · ${rounds} ${rounds === 1 ? "round" : "rounds"} · host ${Math.round(idleRatio * 100)} % free before each`
    : ""
  screen.out("")
  screen.out(paint(screen.colorOut, "bold", title) + how)
  for (const one of tables.filter(({ rows }) => rows.length > 0)) printTable(one, screen)
  if (musts.length > 0) screen.out("")
  for (const must of musts) printMust(must, screen)
  for (const [name, why] of Object.entries(missing)) screen.out(`missing: ${name}: ${why}`)
  for (const note of notes) screen.out(`note: ${note}`)
  if (broken !== undefined) screen.out(paint(screen.colorOut, "red", `broke off: ${broken}`))
}

const printTable = ({ columns, rows, rowTitle, title }: BenchTable, screen: Screen): void => {
  const measured = rows.filter(({ missing }) => missing === undefined)
  const scales = columns.map(({ name, unit }) =>
    scaleFor(unit, Math.max(0, ...rows.map(({ figures }) => Math.abs(figures[name]?.median ?? 0))))
  )
  const heads = [
    [rowTitle, ...columns.flatMap(({ title: of }) => [of, "ratio"])],
    ["", ...scales.flatMap(({ unit }) => [unit === "count" ? "" : unit, ""])]
  ]
  const cells = measured.map((row) => [
    `${row.title}${row.about === undefined ? "" : ` (${row.about})`}`,
    ...columns.flatMap(({ name }, index) => cell(row.figures[name], scales[index].factor))
  ])
  // A column of ratios that nobody fills is left out.
  const used = heads[0].map((_, column) => column === 0 || cells.some((line) => line[column] !== ""))
  const lines = [...heads, ...cells].map((line) => line.filter((_, column) => used[column]))
  screen.out("")
  screen.out(`  ${title}`)
  const right = lines[0].map((_, column) => column).slice(1)
  const style = (text: string, row: number): string => (row < heads.length ? paint(screen.colorOut, "dim", text) : text)
  for (const line of table(lines, { right, style })) screen.out(`  ${line}`)
}

const cell = (figure: BenchFigure | undefined, factor: number): readonly [string, string] => {
  if (figure === undefined) return ["-", ""]
  const { median, ratio } = figure
  return [significant(median * factor), ratio === undefined ? "" : amount(ratio.value, "×")]
}

const printMust = ({ bound, met, relation, sentence, unit, value }: BenchMust, screen: Screen): void => {
  const word = paint(screen.colorOut, met ? "green" : "red", met ? "met   " : "MISSED")
  const measured = value === null ? "not measured" : amount(value, unit)
  screen.out(`  ${word}  ${sentence}: ${measured} (${relation} ${amount(bound, unit)})`)
}

/** Changes first, the worst on top; then how many figures did not change. */
export const printComparison = (comparison: BenchComparison, screen: Screen): void => {
  const { caveats, changes, onlyAfter, onlyBefore } = comparison
  for (const caveat of caveats) screen.err(`take care: ${caveat}`)
  const of = (verdict: FigureChange["verdict"]): ReadonlyArray<FigureChange> =>
    changes.filter((change) => change.verdict === verdict)
  const changed = [...of("worse"), ...of("better")]
  if (changed.length > 0) {
    const head = ["", "section", "figure", "before", "after", "ratio", "noise"]
    const lines = changed.map((change) => [
      change.verdict,
      change.section,
      `${change.table}, ${change.row}, ${change.column.title}`,
      withUnit(change.before.median, change.column.unit),
      withUnit(change.after.median, change.column.unit),
      `${change.ratio.toFixed(2)} ×`,
      change.noise === null ? "?" : `${change.noise.toFixed(2)} ×`
    ])
    const style = (text: string, row: number, column: number): string =>
      column !== 0 || row === 0 ? text : paint(screen.colorOut, text === "better" ? "green" : "red", text)
    for (const line of table([head, ...lines], { right: [3, 4, 5, 6], style })) screen.out(line)
  }
  const unknown = of("unknown").length
  const counts = [
    `${of("better").length} better`,
    `${of("worse").length} worse`,
    `${of("same").length} within the noise of their rounds`,
    ...(unknown > 0 ? [`${unknown} measured in one round only, so nobody can tell`] : []),
    ...(onlyBefore.length > 0 ? [`${onlyBefore.length} only before`] : []),
    ...(onlyAfter.length > 0 ? [`${onlyAfter.length} only after`] : [])
  ]
  screen.out(`${changes.length} figures in both: ${counts.join(", ")}`)
}
