/** The command line in this process, in front of a screen that keeps what it is told. */

import { EXIT } from "@horizon/core/measure/run.ts"
import { Effect, Fiber } from "effect"
import type { CommandFailure, CommandSpec } from "./command.ts"
import { exitCodeOf } from "./entry.ts"
import { type Outcome, runCommandLine } from "./parse.ts"
import type { Screen } from "./screen.ts"

/** What a command said, and the exit code of its process. */
export interface Said {
  readonly code: number
  readonly out: ReadonlyArray<string>
  readonly err: ReadonlyArray<string>
  /** Everything that was drawn, one after the other. */
  readonly drawn: string
}

export interface Started {
  /** Interrupting it is Ctrl-C. */
  readonly fiber: Fiber.Fiber<void, CommandFailure>
  /** Waits for its end. */
  readonly said: () => Promise<Said>
}

export class KeptScreen implements Screen {
  readonly interactive: boolean
  readonly columns: number
  readonly colorOut = false
  readonly colorErr = false
  readonly environment = {}
  readonly outLines: Array<string> = []
  readonly errLines: Array<string> = []
  readonly draws: Array<string> = []

  /** A screen that is no terminal, if nothing else is said. */
  constructor({ interactive = false, columns = 100 }: Partial<Pick<Screen, "interactive" | "columns">> = {}) {
    this.interactive = interactive
    this.columns = columns
  }

  readonly out = (line: string): void => void this.outLines.push(line)
  readonly err = (line: string): void => void this.errLines.push(line)
  readonly draw = (text: string): void => void this.draws.push(text)
}

/** Starts `horizon` with these commands, version 1.2.3. */
export const startHorizon = (
  commands: ReadonlyArray<CommandSpec>,
  args: ReadonlyArray<string>,
  screen: KeptScreen = new KeptScreen()
): Started => {
  const tree: CommandSpec = { name: "horizon", summary: "Test", commands }
  const outcome: Outcome = { exitCode: EXIT.pass, stopped: EXIT.interrupted }
  const fiber = Effect.runFork(runCommandLine(tree, "1.2.3", args, screen, outcome))
  const said = async (): Promise<Said> => {
    const code = exitCodeOf(await Effect.runPromise(Fiber.await(fiber)), outcome, screen)
    return { code, out: screen.outLines, err: screen.errLines, drawn: screen.draws.join("") }
  }
  return { fiber, said }
}

/** Runs `horizon` with these commands to its end. */
export const runHorizon = (commands: ReadonlyArray<CommandSpec>, args: ReadonlyArray<string>): Promise<Said> =>
  startHorizon(commands, args).said()
