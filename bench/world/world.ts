/**
 * What a world is: a place where a scenario can be run. Worlds differ in what they offer; a scenario runs where its needs are
 * met, and is reported as skipped, never as passed, elsewhere.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import type { InvariantCount, TraceLog } from "@horizon/core/lab/trace.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import type { Need, Scenario } from "@horizon/scenarios/scenario.ts"
import type { LinkDriverName } from "../lab/link-driver.ts"

export interface WorldRunOptions {
  readonly scenario: Scenario
  readonly seed: number
  /** Called now and then with the seconds of the run that have passed. */
  readonly progress?: (seconds: number) => void
  /** Ends the run early, cleanly. */
  readonly signal?: AbortSignal
  /** Record the digest events from one index to another, for the first-divergence search. */
  readonly record?: { readonly from: number; readonly to: number }
  /** An exact fault timeline to run instead of what the scenario and the seed would give (replay, shrinking). */
  readonly timeline?: ReadonlyArray<Fault>
}

/** What a run left behind. */
export interface WorldRunOutcome {
  readonly trace: TraceLog
  readonly watched: ReadonlyArray<InvariantCount>
  /** Failures that the world itself found: leaks, livelock, a goal not met. Checks add theirs. */
  readonly failures: ReadonlyArray<Failure>
  /** Empty where runs do not replay. */
  readonly digest: string
  readonly checkpoints: ReadonlyArray<string>
  readonly recorded: ReadonlyArray<RecordedEvent>
  readonly events: number
  readonly packets: number
  readonly seconds: number
  readonly livenessNs: number | undefined
  /** The faults that really struck. */
  readonly timeline: ReadonlyArray<Fault>
  readonly drawn: Readonly<Record<string, string | number | boolean>>
  /** What beside the nodes may be to blame for failures, in sentences: said with them, and only with them. */
  readonly caveats?: ReadonlyArray<string>
  /** Label of this run's figures, where the world's own does not say all. */
  readonly fidelity?: string
}

/** One event of a recorded window, in words that mean something to a reader. */
export interface RecordedEvent {
  readonly index: number
  readonly atNs: number
  readonly words: string
}

export interface World {
  readonly name: string
  readonly summary: string
  /** Label of every figure measured here: `simulated`, `measured`. */
  readonly fidelity: string
  readonly offers: ReadonlySet<Need>
  /** The same world with links by the means that the user chose; missing where links are the world's own. */
  readonly withDriver?: (driver: LinkDriverName) => World
  /** What the user chose. */
  readonly driver?: LinkDriverName
  readonly run: (options: WorldRunOptions) => Promise<WorldRunOutcome>
}
