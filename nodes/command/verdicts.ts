/** What a batch of runs came to, as a table for people, and what to do about the failures. */

import type { Run } from "@horizon/core/measure/run.ts"
import { paint, type Screen, table } from "./screen.ts"

/** Batches above this size list only the runs that did not pass. */
const ROWS_MAX = 60
const FAILURES_SHOWN = 3

/** The table, on standard output. */
export const printVerdicts = (finished: ReadonlyArray<Run>, screen: Screen): void => {
  const runs = inOrder(finished)
  const shown = runs.length > ROWS_MAX ? runs.filter((run) => run.exitCode !== 0).slice(0, ROWS_MAX) : runs
  if (shown.length > 0) {
    const head = ["scenario", "world", "seed", "verdict", "sim s", "wall s", "digest", "failures"]
    const rows = shown.map((run) => [
      run.scenario,
      run.world,
      String(run.seed),
      run.verdict,
      run.simulatedSeconds.toFixed(1),
      run.wallSeconds.toFixed(1),
      run.digest === "" ? "–" : run.digest,
      failuresOf(run)
    ])
    const style = (cell: string, row: number, column: number): string => {
      if (row === 0) return paint(screen.colorOut, "bold", cell)
      if (column === 3) return paint(screen.colorOut, colorOf(shown[row - 1]), cell)
      return cell
    }
    for (const line of table([head, ...rows], { right: [2, 4, 5], style })) screen.out(line)
  }
  screen.out(summary(runs))
}

/** By scenario, then by seed: several workers finish in any order. */
const inOrder = (runs: ReadonlyArray<Run>): ReadonlyArray<Run> => {
  const place = new Map<string, number>()
  for (const run of runs) if (!place.has(run.scenario)) place.set(run.scenario, place.size)
  const placeOf = (run: Run): number => place.get(run.scenario) ?? 0
  return [...runs].sort((a, b) => placeOf(a) - placeOf(b) || a.seed - b.seed)
}

/** Why runs were skipped, each reason once: it says what this machine lacks. */
export const printSkipped = (runs: ReadonlyArray<Run>, screen: Screen): void => {
  const reasons = new Map<string, Array<string>>()
  for (const run of inOrder(runs).filter(({ verdict }) => verdict === "skipped")) {
    for (const { sentence } of run.failures) reasons.set(sentence, [...(reasons.get(sentence) ?? []), run.scenario])
  }
  for (const [sentence, names] of reasons) screen.err(`skipped ${[...new Set(names)].join(", ")}: ${sentence}`)
}

/** For each run that did not pass: what should have held. The command that runs the first of them again comes last of all. */
export const printFailures = (runs: ReadonlyArray<Run>, screen: Screen): void => {
  const failed = inOrder(runs).filter((run) => run.verdict !== "pass" && run.verdict !== "skipped")
  for (const run of failed.slice(0, FAILURES_SHOWN)) {
    for (const failure of run.failures.slice(0, FAILURES_SHOWN)) {
      screen.err(`${run.scenario} seed ${run.seed}: ${paint(screen.colorErr, "red", failure.id)}: ${failure.sentence}`)
    }
  }
  if (failed.length > 0) screen.err(`run it again: ${failed[0].repro}  # ${provenance(failed[0])}`)
}

/** What else a bug report needs: the seed alone is enough only at the same commit on the same runtime. */
const provenance = ({ commit, timelineHash, digest, nodeVersion }: Run): string =>
  [`commit ${commit}`, `timeline ${timelineHash || "none"}`, `digest ${digest || "none"}`, `Node ${nodeVersion}`].join(
    ", "
  )

/** `18 passed, 2 safety` */
export const summary = (runs: ReadonlyArray<Run>): string => {
  const counts = new Map<string, number>()
  for (const run of runs) counts.set(run.verdict, (counts.get(run.verdict) ?? 0) + 1)
  if (counts.size === 0) return "no runs"
  return [...counts].map(([verdict, count]) => `${count} ${verdict === "pass" ? "passed" : verdict}`).join(", ")
}

const failuresOf = (run: Run): string => {
  const ids = run.failures.slice(0, FAILURES_SHOWN).map((failure) => failure.id)
  return ids.join(", ") + (run.failures.length > FAILURES_SHOWN ? `, ${run.failures.length - FAILURES_SHOWN} more` : "")
}

const colorOf = (run: Run): "green" | "yellow" | "red" =>
  run.verdict === "pass" ? "green" : run.verdict === "skipped" || run.verdict === "unknown" ? "yellow" : "red"
