import { describe, expect, test } from "vitest"
import {
  type BenchDocument,
  type BenchSection,
  type BenchTable,
  benchExitCode,
  hasFigures,
  isMet,
  spreadOf
} from "./bench.ts"
import { compareBenches } from "./bench-comparison.ts"
import { EXIT } from "./run.ts"

const tableOf = (
  rounds: Readonly<Record<string, ReadonlyArray<number>>>,
  better: "more" | "less" = "more"
): BenchTable => ({
  name: "table",
  title: "Table",
  rowTitle: "row",
  columns: [{ name: "rate", title: "rate", unit: "packets/s", better, chart: true }],
  rows: Object.entries(rounds).map(([name, values]) => ({
    name,
    title: name,
    kind: "ours",
    figures: { rate: { median: [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)], rounds: values } }
  }))
})

const sectionOf = (change: Partial<BenchSection> = {}): BenchSection => ({
  name: "section",
  title: "Section",
  summary: "",
  rounds: 3,
  wallSeconds: 1,
  idleRatio: 1,
  tables: [],
  musts: [],
  series: [],
  missing: {},
  notes: [],
  ...change
})

const documentOf = (...sections: ReadonlyArray<BenchSection>): BenchDocument => ({
  format: "horizon-bench/1",
  madeAt: "2026-01-02T03:04:05.678Z",
  commit: "abc",
  command: "npx horizon bench",
  fidelity: "measured",
  environment: { cpu: "one", cores: 2, kernel: "6", node: "v24" },
  effort: "record",
  interrupted: false,
  wallSeconds: 1,
  sections
})

const mustOf = (value: number | null) => ({
  name: "must",
  sentence: "must",
  value,
  bound: 0.8,
  relation: "at least" as const,
  unit: "×" as const,
  met: isMet(value, "at least", 0.8)
})

describe("what a bench comes to", () => {
  const measured = { tables: [tableOf({ a: [1] })] }

  test("a bar is met on its bound, and never by what was not measured", () => {
    expect([isMet(0.8, "at least", 0.8), isMet(0.79, "at least", 0.8)]).toEqual([true, false])
    expect([isMet(0.5, "at most", 0.5), isMet(0.51, "at most", 0.5)]).toEqual([true, false])
    expect([isMet(null, "at least", 0), isMet(null, "at most", 0)]).toEqual([false, false])
  })

  test("the exit code says the gravest: interrupted, broken, a bar missed, nothing measured", () => {
    const code = (...sections: ReadonlyArray<BenchSection>) => benchExitCode({ interrupted: false, sections })
    const met = sectionOf({ ...measured, musts: [mustOf(0.9)] })
    expect(code(met)).toBe(EXIT.pass)
    expect(code(met, sectionOf({ missing: { section: "no root" } }))).toBe(EXIT.pass)
    expect(code(met, sectionOf({ ...measured, musts: [mustOf(0.7)] }))).toBe(EXIT.performance)
    expect(code(met, sectionOf({ ...measured, musts: [mustOf(null)] }))).toBe(EXIT.performance)
    expect(code(met, sectionOf({ broken: "it fell over" }))).toBe(EXIT.harness)
    expect(code(sectionOf({ missing: { section: "no root" } }))).toBe(EXIT.skipped)
    expect(code()).toBe(EXIT.skipped)
    expect(benchExitCode({ interrupted: true, sections: [met] })).toBe(EXIT.interrupted)
  })

  test("a section whose rows are all missing has no figures", () => {
    expect(hasFigures(sectionOf(measured))).toBe(true)
    const rows = [{ name: "a", title: "a", kind: "ours" as const, figures: {}, missing: "not here" }]
    expect(hasFigures(sectionOf({ tables: [{ ...measured.tables[0], rows }] }))).toBe(false)
  })

  test("the spread of rounds is how far they lie apart by their middle, and unknown for one", () => {
    expect(spreadOf([95, 105, 100])).toBeCloseTo(0.1)
    expect(spreadOf([7, 7])).toBe(0)
    expect(spreadOf([1])).toBeNaN()
  })
})

describe("comparing two", () => {
  const verdicts = (before: BenchTable, after: BenchTable) =>
    compareBenches(documentOf(sectionOf({ tables: [before] })), documentOf(sectionOf({ tables: [after] }))).changes.map(
      ({ verdict }) => verdict
    )

  test("a change beyond the spread of the rounds is called better or worse, by what is better of the figure", () => {
    const [slow, fast] = [{ a: [100, 102, 98] }, { a: [120, 118, 122] }]
    expect(verdicts(tableOf(slow), tableOf(fast))).toEqual(["better"])
    expect(verdicts(tableOf(fast), tableOf(slow))).toEqual(["worse"])
    expect(verdicts(tableOf(slow, "less"), tableOf(fast, "less"))).toEqual(["worse"])
  })

  test("rounds that reach into each other, or changes smaller than their spread, are no change", () => {
    expect(verdicts(tableOf({ a: [100, 102, 119] }), tableOf({ a: [120, 118, 122] }))).toEqual(["same"])
    expect(verdicts(tableOf({ a: [90, 100, 110] }), tableOf({ a: [111, 112, 113] }))).toEqual(["same"])
    expect(verdicts(tableOf({ a: [100, 100, 100] }), tableOf({ a: [102, 102, 102] }))).toEqual(["same"])
  })

  test("a figure of one round is judged by the usual spread around it, and by nothing if there is none", () => {
    expect(verdicts(tableOf({ a: [100] }), tableOf({ a: [200] }))).toEqual(["unknown"])
    const with30 = (a: number) => tableOf({ a: [a], b: [85, 115, 100] })
    expect(verdicts(with30(100), with30(120))).toEqual(["same", "same"])
    expect(verdicts(with30(100), with30(150))).toEqual(["better", "same"])
  })

  test("of a thousand figures that have not changed, with a noise of 10 %, fewer than 20 are called changed", () => {
    let state = 1
    const uniform = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
    const noisy = () =>
      tableOf(
        Object.fromEntries(
          Array.from({ length: 1_000 }, (_, i) => [`r${i}`, [0, 1, 2].map(() => 1000 * Math.exp(0.1 * normal()))])
        )
      )
    const called = verdicts(noisy(), noisy()).filter((verdict) => verdict !== "same")
    expect(called.length).toBeLessThan(20)
  })

  test("what only one has is named, and so is what makes the two hard to compare", () => {
    const before = documentOf(sectionOf({ tables: [tableOf({ a: [1, 1, 1], gone: [1] })], idleRatio: 0.4 }))
    const after = {
      ...documentOf(sectionOf({ tables: [tableOf({ a: [1, 1, 1], new: [1] })] })),
      environment: { ...before.environment, cpu: "another" }
    }
    const { caveats, onlyAfter, onlyBefore } = compareBenches(before, after)
    expect([onlyBefore, onlyAfter]).toEqual([["Table, gone, rate"], ["Table, new, rate"]])
    expect(caveats).toEqual([
      "cpu differs: one before, another after",
      "Section, before: only 40 % of the host was free"
    ])
  })
})
