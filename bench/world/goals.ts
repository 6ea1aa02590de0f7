/** Whether a run's goals are met by now: what ends its liveness phase early, in every world. */

import type { InvariantCount, TraceLog } from "@horizon/core/lab/trace.ts"
import { goalsMet } from "@horizon/scenarios/judge.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"

/** What a lab tells of a run in progress. */
export interface RunningLab {
  readonly trace: TraceLog
  readonly watched: () => ReadonlyArray<InvariantCount>
  /** World time. */
  readonly nowNs: () => number
}

/** `livenessNs`: when the liveness phase began. */
export const metNow = (
  lab: RunningLab,
  scenario: Scenario,
  livenessNs: number | undefined,
  virtualTime: boolean
): boolean =>
  goalsMet({
    scenario,
    events: lab.trace.events,
    watched: lab.watched(),
    virtualTime,
    nowNs: lab.nowNs(),
    livenessNs
  })
