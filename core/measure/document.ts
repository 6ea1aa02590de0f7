/**
 * The run document: everything a report shows of one run, ready to draw. The runner makes it from the trace and stores it beside
 * the Run record; `reports/` renders it and never needs to know the world, the scenario's code or the trace format.
 */

import type { Failure, Run } from "./run.ts"

/** What one check or goal came to. */
export interface CheckOutcome {
  readonly id: string
  readonly phase: "safety" | "liveness"
  /** What must hold. */
  readonly sentence: string
  /** How many things were looked at: the proof that a pass means something. */
  readonly checked: number
  readonly failures: ReadonlyArray<Failure>
}

/** One fault as it struck. */
export interface FaultEntry {
  readonly atMs: number
  /** `null` for faults that strike once. */
  readonly untilMs: number | null
  readonly kind: string
  readonly words: string
}

/** Latencies of one kind of operation as a sparse histogram (core/measure/histogram.ts), in nanoseconds. */
export interface LatencySeries {
  readonly op: string
  readonly actors: number
  readonly indices: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  /** Operations by outcome. */
  readonly outcomes: Readonly<Record<string, number>>
}

/** A figure over time. */
export interface TimeSeries {
  readonly name: string
  readonly unit: string
  /** Which chart it belongs on: series of one group share axes. */
  readonly group: "throughput" | "queue" | "latency" | "tick" | "memory" | "control"
  readonly seconds: ReadonlyArray<number>
  /** `null` where there was nothing to measure, such as a percentile of no values. */
  readonly values: ReadonlyArray<number | null>
}

/** One message or local event of a sequence diagram. */
export interface SequenceStep {
  readonly atNs: number
  readonly from: string
  /** The same as `from` for a local event. */
  readonly to: string
  readonly label: string
  /** Why it did not arrive; empty if it did. */
  readonly lost: string
}

/** The most interesting moment of a run, as a sequence diagram. */
export interface Moment {
  readonly title: string
  readonly atNs: number
  readonly participants: ReadonlyArray<string>
  readonly steps: ReadonlyArray<SequenceStep>
  /** Participants of which the diagram, to stay readable, does not tell. */
  readonly leftOut?: ReadonlyArray<string>
}

/** One line of the log that a report shows: rare events in words. */
export interface LogLine {
  readonly id: number
  readonly atNs: number
  readonly node: string
  readonly kind: string
  readonly words: string
}

export interface RunDocument {
  readonly format: "horizon-run/1"
  readonly run: Run
  readonly summary: string
  /** `simulated`, `calibrated ±x %`, `measured`: the label of every figure here. */
  readonly fidelity: string
  /** ISO 8601; when the run was made. */
  readonly madeAt: string
  readonly environment: Readonly<Record<string, string | number>>
  readonly nodes: ReadonlyArray<{ readonly name: string; readonly kind: string; readonly host: string }>
  readonly actors: ReadonlyArray<{ readonly name: string; readonly kind: string; readonly host: string }>
  readonly durationMs: number
  /** End of the safety phase in ms; the rest is the liveness phase. */
  readonly livenessFromMs: number | null
  readonly faults: ReadonlyArray<FaultEntry>
  /** The exact fault timeline (core/lab/fault.ts), from which `horizon replay` strikes again. */
  readonly timeline: ReadonlyArray<object>
  readonly checks: ReadonlyArray<CheckOutcome>
  readonly watched: ReadonlyArray<{
    readonly id: string
    readonly sentence: string
    readonly checked: number
    readonly broken: number
  }>
  readonly latencies: ReadonlyArray<LatencySeries>
  readonly series: ReadonlyArray<TimeSeries>
  readonly moments: ReadonlyArray<Moment>
  readonly log: ReadonlyArray<LogLine>
}
