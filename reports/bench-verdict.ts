/** What a benchmark came to, in a word and a colour. */

import type { BenchDocument, BenchMust } from "@horizon/core/measure/bench.ts"
import { benchExitCode } from "@horizon/core/measure/bench.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { counted } from "./figures.ts"
import type { VerdictWords } from "./verdict.ts"

export interface BenchVerdict {
  readonly tone: VerdictWords["tone"]
  readonly word: string
  /** How many bars are met. */
  readonly words: string
  readonly exitCode: number
}

export const benchVerdict = (document: BenchDocument): BenchVerdict => {
  const musts = document.sections.flatMap((section) => section.musts)
  const met = musts.filter((must) => must.met).length
  const exitCode = benchExitCode(document)
  const words =
    musts.length === 0
      ? "no bars"
      : met === musts.length
        ? `${counted(met, "bar")} met`
        : `${met} of ${counted(musts.length, "bar")} met`
  const [tone, word] = TONES[exitCode] ?? ["doubt", "Unknown"]
  return { tone, word, words, exitCode }
}

const TONES: Readonly<Record<number, readonly [VerdictWords["tone"], string]>> = {
  [EXIT.pass]: ["good", "Bars met"],
  [EXIT.performance]: ["bad", "Bars missed"],
  [EXIT.harness]: ["bad", "Measuring failed"],
  [EXIT.skipped]: ["none", "Nothing measured"],
  [EXIT.interrupted]: ["doubt", "Interrupted"]
}

/** Those that are not met first. */
export const missedFirst = (musts: ReadonlyArray<BenchMust>): ReadonlyArray<BenchMust> => [
  ...musts.filter(({ met }) => !met),
  ...musts.filter(({ met }) => met)
]
