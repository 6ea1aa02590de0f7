/** The Run record: what one run of one scenario in one world with one seed came to. Printed, stored, compared, reported. */

/** Typed exit codes, the same for a run and for the `horizon` command. */
export const EXIT = {
  pass: 0,
  /** A safety check failed. */
  safety: 1,
  /** The run ended without an answer (for example a check that saw nothing to check). */
  unknown: 2,
  /** A goal was not met in bounded time after the faults had stopped. */
  liveness: 3,
  /** The same seed gave two digests. */
  nondeterminism: 4,
  /** A performance bound was missed. */
  performance: 5,
  /** Horizon itself failed: livelock, leak of real time, defect in an actor. */
  harness: 6,
  /** Bad use: unknown scenario, bad seed, bad configuration (sysexits EX_USAGE). */
  usage: 64,
  /** A file that was given is missing or unreadable (EX_NOINPUT). */
  noInput: 66,
  /** A needed service or resource is not available: port in use, unreadable store (EX_UNAVAILABLE). */
  unavailable: 69,
  /** An identity, key or store file is damaged (EX_DATAERR). */
  corrupt: 65,
  /** The world here cannot offer what the scenario needs. */
  skipped: 77,
  interrupted: 130
} as const

/** What a run can come to. `unknown` and `skipped` are never a pass. */
export type Verdict =
  | "pass"
  | "safety"
  | "unknown"
  | "liveness"
  | "nondeterminism"
  | "performance"
  | "harness"
  | "skipped"

/** One reason why a run did not pass. */
export interface Failure {
  /** Check, goal or harness rule. */
  readonly id: string
  readonly verdict: Verdict
  /** What should have held and what was seen. */
  readonly sentence: string
  /** Trace events that show it, ids. */
  readonly events: ReadonlyArray<number>
}

export interface Run {
  readonly scenario: string
  readonly world: string
  /** A 53-bit non-negative integer. */
  readonly seed: number
  readonly verdict: Verdict
  readonly exitCode: number
  /** 16 hex digits; empty in worlds that do not replay. */
  readonly digest: string
  readonly events: number
  readonly packets: number
  readonly simulatedSeconds: number
  readonly wallSeconds: number
  /** Commit, with `+` and a hash of uncommitted changes behind it if there are any. */
  readonly commit: string
  readonly nodeVersion: string
  readonly failures: ReadonlyArray<Failure>
  /** The command that runs exactly this again. */
  readonly repro: string
  /** Options drawn from the seed (knobs, swarm families). */
  readonly drawn: Readonly<Record<string, string | number | boolean>>
  /** Ids of rare paths (scenarios/sometimes.ts) that the scenario hopes to reach, and this run did. */
  readonly reached: ReadonlyArray<string>
  /** SHA-256 of the fault timeline, first 16 hex digits. */
  readonly timelineHash: string
}
