/** Figures of one stream in two worlds, side by side, and whether they agree. */

import type { FigureDifference, StreamFigures } from "@horizon/core/measure/calibration.ts"
import type { LinkFigure } from "@horizon/scenarios/calibration/links.ts"

/** Largest relative differences. */
const TOLERANCES = { goodput: 0.05, delayP50: 0.05, delayP99: 0.15, drops: 0.05 } as const
/** Two samples of one chance differ by more than this many standard errors once in some 400 comparisons. */
const STANDARD_ERRORS = 3

export const compare = (
  figures: ReadonlyArray<LinkFigure>,
  simulated: StreamFigures,
  measured: StreamFigures
): ReadonlyArray<FigureDifference> => figures.map((figure) => compareOne(figure, simulated, measured))

const compareOne = (figure: LinkFigure, simulated: StreamFigures, measured: StreamFigures): FigureDifference => {
  const [a, b] = [valueOf(figure, simulated), valueOf(figure, measured)]
  const relative = figure in TOLERANCES
  const difference = relative ? (a === b ? 0 : (b - a) / a) : b - a
  const bound = relative
    ? TOLERANCES[figure as keyof typeof TOLERANCES]
    : STANDARD_ERRORS * standardError(figure, simulated, measured)
  return { figure, simulated: a, measured: b, difference, bound, within: Math.abs(difference) <= bound }
}

const valueOf = (figure: LinkFigure, of: StreamFigures): number => {
  const share = (count: number, among: number): number => (among === 0 ? 0 : count / among)
  switch (figure) {
    case "goodput":
      return of.goodputBps
    case "delayP50":
      return of.delayP50Ns
    case "delayP99":
      return of.delayP99Ns
    case "drops":
    case "loss":
      return share(of.sent - of.received, of.sent)
    case "lossRuns":
      return share(of.lossRuns, of.sent)
    case "duplicates":
      return share(of.duplicates, of.sent)
    case "reordered":
      return share(of.reordered, of.received)
  }
}

/**
 * Of the difference of two shares. Losses that come in runs are worth fewer independent ones: 2 L - 1 times fewer at a mean run of L. Where
 * there are long runs, runs come in spells too, so the same is taken for their number.
 */
const standardError = (figure: LinkFigure, simulated: StreamFigures, measured: StreamFigures): number => {
  const [n, m] = figure === "reordered" ? [simulated.received, measured.received] : [simulated.sent, measured.sent]
  if (n === 0 || m === 0) return 0
  const pooled = (valueOf(figure, simulated) * n + valueOf(figure, measured) * m) / (n + m)
  const lost = simulated.sent - simulated.received + measured.sent - measured.received
  const runs = simulated.lossRuns + measured.lossRuns
  const clustering = (figure === "loss" || figure === "lossRuns") && runs > 0 ? 2 * (lost / runs) - 1 : 1
  return Math.sqrt(clustering * pooled * (1 - pooled) * (1 / n + 1 / m))
}
