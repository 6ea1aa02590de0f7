/**
 * A command as data, from which the command line derives parsing, help and completion. A command's file holds this and little else at
 * the top: what the command needs to run is imported when it runs, so `horizon --help` stays quick.
 */

import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Screen } from "./screen.ts"

/** What the user gave. */
export interface Input {
  readonly arguments: ReadonlyArray<string>
  /** Values of the flags that were given, by flag name without dashes. */
  readonly text: Readonly<Record<string, string>>
  /** Boolean flags that were given. */
  readonly on: Readonly<Record<string, boolean>>
}

export interface FlagSpec {
  /** Without dashes. */
  readonly name: string
  readonly form: "text" | "boolean"
  /** What stands for the value in help: `DIR`. */
  readonly metavar?: string
  readonly description: string
}

export interface ArgumentSpec {
  readonly name: string
  readonly description: string
  readonly required: boolean
  /** Whether it may be given several times. */
  readonly many: boolean
}

export interface CommandSpec {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** More, for the command's own help; paragraphs are separated by line ends. */
  readonly description?: string
  readonly argument?: ArgumentSpec
  readonly flags?: ReadonlyArray<FlagSpec>
  readonly examples?: ReadonlyArray<{ readonly command: string; readonly description: string }>
  readonly commands?: ReadonlyArray<CommandSpec>
  /** Does the work and says the exit code. */
  readonly run?: (input: Input, screen: Screen) => Effect.Effect<number, CommandFailure>
  /** Exit code when Ctrl-C or SIGTERM ended it and everything was shut down; 130 if left out. */
  readonly stoppedExitCode?: number
}

/** Why a command did not do what it was asked: lines for standard error, and the exit code (EXIT of core/measure/run.ts). */
export class CommandFailure extends Schema.TaggedError<CommandFailure>()("CommandFailure", {
  lines: Schema.Array(Schema.String),
  exitCode: Schema.Int
}) {}

export const failure = (exitCode: number, ...lines: ReadonlyArray<string>): CommandFailure =>
  new CommandFailure({ exitCode, lines })

/** The exit codes, for help. */
export const EXIT_CODES = `Exit codes:
  0 pass              1 safety check failed   2 unknown
  3 goal not met      4 nondeterminism        5 performance bound missed
  6 Horizon failed    64 bad use              65 damaged file
  66 missing file     69 not available        77 skipped: this machine cannot run it
  130 interrupted`
