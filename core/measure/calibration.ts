/**
 * The calibration document: what a table of links measured in the simulated world and on kernels, side by side, and in what the two differ.
 * `horizon calibrate` writes it; the fidelity label of simulated runs and the report read it.
 */

/** What one stream over one link measured. Shares are of the datagrams sent, but for reordering, which is of those received (RFC 4737). */
export interface StreamFigures {
  readonly sent: number
  readonly received: number
  readonly goodputBps: number
  readonly delayMinNs: number
  readonly delayP50Ns: number
  readonly delayP99Ns: number
  readonly delayMaxNs: number
  /** Datagrams that the delays are of. */
  readonly samples: number
  readonly duplicates: number
  readonly reordered: number
  /** Gaps in the numbering: runs of losses. */
  readonly lossRuns: number
  /** How late the sender was to send, against its plan. */
  readonly lateP99Ns: number
  readonly lateMaxNs: number
}

/** One figure of a stream in both worlds. */
export interface FigureDifference {
  /** `goodput`, `delayP50`, `delayP99`, `drops`: relative. `loss`, `lossRuns`, `duplicates`, `reordered`: difference of two shares. */
  readonly figure: string
  readonly simulated: number
  readonly measured: number
  /** (measured - simulated) / simulated, or measured - simulated of a share. */
  readonly difference: number
  /** Largest absolute difference that counts as agreement: a tolerance, or three times the standard error of the two samples. */
  readonly bound: number
  readonly within: boolean
}

/** How one stream of one link came off on a kernel. */
export interface CalibrationResult {
  readonly row: string
  readonly way: "up" | "down"
  readonly simulated: StreamFigures
  readonly measured: StreamFigures
  /** Empty for a stream that is only looked at. */
  readonly differences: ReadonlyArray<FigureDifference>
  readonly within: boolean
  /** Why figures lie outside; empty if none does. */
  readonly causes: ReadonlyArray<string>
  /** How often it was measured, because the machine was busy with something else; the last try that was not, or the quietest, counts. */
  readonly tries: number
  /** Share of the time that what makes the links waited for a processor meanwhile. */
  readonly waited: number
}

/** One way of making links on a kernel. */
export interface CalibrationDriver {
  /** `tc`, `box` or `link`. */
  readonly name: string
  /** What does the work, in words. */
  readonly means: string
  readonly seconds: number
  /** What it does only nearly, by link. */
  readonly notes: ReadonlyArray<string>
  readonly results: ReadonlyArray<CalibrationResult>
}

export interface CalibrationDocument {
  readonly format: "horizon-calibration/1"
  /** ISO 8601. */
  readonly madeAt: string
  readonly commit: string
  readonly environment: Readonly<Record<string, string | number>>
  readonly seed: number
  /** Whether every stream ran for its full time. */
  readonly quick: boolean
  /** How late this machine wakes a process that sleeps for a millisecond, and how much of its processors was idle before the start. */
  readonly machine: {
    readonly wakeP50Ns: number
    readonly wakeP99Ns: number
    readonly wakeMaxNs: number
    readonly idleRatio: number
  }
  readonly drivers: ReadonlyArray<CalibrationDriver>
  /** Drivers that this machine does not have, and what it lacks. */
  readonly missing: ReadonlyArray<{ readonly name: string; readonly sentence: string }>
}

/** How far simulated figures are to be trusted by a driver's results. */
export interface CalibrationSummary {
  /** Streams that were compared, and those of them all of whose figures agree. */
  readonly compared: number
  readonly within: number
  /** Largest relative difference of goodput and median delay among those that agree. */
  readonly worst: number
}

export const summarise = ({ results }: Pick<CalibrationDriver, "results">): CalibrationSummary => {
  const compared = results.filter(({ differences }) => differences.length > 0)
  const within = compared.filter((result) => result.within)
  const relative = within.flatMap(({ differences }) =>
    differences.filter(({ figure }) => figure === "goodput" || figure === "delayP50")
  )
  return {
    compared: compared.length,
    within: within.length,
    worst: relative.reduce((worst, { difference }) => Math.max(worst, Math.abs(difference)), 0)
  }
}
