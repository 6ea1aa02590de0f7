/**
 * What a check is: a pure function over the trace of a run. It does not know the world, and it counts what it looked at, because
 * a check that saw nothing proves nothing: then the run's verdict is `unknown`, never a pass.
 */

import type { InvariantCount, TraceEvent, TraceKind } from "@horizon/core/lab/trace.ts"
import type { Verdict } from "@horizon/core/measure/run.ts"
import type { Scenario } from "../scenario.ts"

/** All that a check may look at. */
export interface CheckInput {
  readonly scenario: Scenario
  readonly events: ReadonlyArray<TraceEvent>
  /** Invariants that were counted while the run went on (nonces, replays, …). */
  readonly watched: ReadonlyArray<InvariantCount>
  /** Whether the machine's own speed plays no part: performance bounds are judged only then, and reported otherwise. */
  readonly virtualTime: boolean
  /** World time now. */
  readonly nowNs: number
  /** World time at which the liveness phase began; `undefined` during the safety phase. */
  readonly livenessNs: number | undefined
}

/** What a check found. */
export interface CheckResult {
  /** What must hold, as a sentence. */
  readonly sentence: string
  /** How many things were looked at. 0 = unknown. */
  readonly checked: number
  readonly violations: ReadonlyArray<{ readonly sentence: string; readonly events: ReadonlyArray<number> }>
}

/** A check with its verdict class: what a violation means. */
export interface Check {
  readonly verdict: Extract<Verdict, "safety" | "liveness" | "performance">
  readonly run: (input: CheckInput, params: Readonly<Record<string, any>>) => CheckResult
}

/** The events of one kind, typed. */
export const eventsOf = <K extends TraceKind>(
  input: CheckInput,
  kind: K
): ReadonlyArray<Extract<TraceEvent, { readonly kind: K }>> =>
  input.events.filter((event): event is Extract<TraceEvent, { readonly kind: K }> => event.kind === kind)
