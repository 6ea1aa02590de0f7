/**
 * Runs the `horizon` command: parses the command line, runs the command, and turns signals and outcomes into an orderly end.
 *
 * Here and in the other files of this folder single modules of Effect are imported (`effect/Effect`), not the whole package:
 * that alone would take a quarter of the time in which `--help` answers.
 */

import { readFileSync } from "node:fs"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { CommandFailure } from "./command.ts"
import { horizonCommand } from "./main.ts"
import { type Outcome, runCommandLine } from "./parse.ts"
import type { Screen } from "./screen.ts"

/** How long a stopping command may take before it is ended anyway. */
const SHUTDOWN_MS = 15_000

/** Runs the command line of this process and ends the process. */
export const main = async (): Promise<void> => {
  const args = process.argv.slice(2)
  const screen = makeScreen()
  endOnBug(screen)
  const outcome: Outcome = { exitCode: EXIT.pass, stopped: EXIT.interrupted }
  const command = await horizonCommand(args)
  const fiber = Effect.runFork(runCommandLine(command, version(), args, screen, outcome))
  onStopSignal(() => fiber.interruptUnsafe(), screen)
  fiber.addObserver((exit) => end(exitCodeOf(exit, outcome, screen)))
}

/** The exit code of how a command line ended; what ended it is said on the screen. */
export const exitCodeOf = (exit: Exit.Exit<void, CommandFailure>, outcome: Outcome, screen: Screen): number => {
  if (Exit.isSuccess(exit)) return outcome.exitCode
  if (Cause.hasInterruptsOnly(exit.cause)) return outcome.stopped
  const error = Cause.squash(exit.cause)
  if (error instanceof CommandFailure) {
    for (const line of error.lines) screen.err(line)
    return error.exitCode
  }
  screen.err(`horizon: this is a bug in Horizon: ${Cause.pretty(exit.cause)}`)
  return EXIT.harness
}

/** The first SIGINT, SIGTERM or SIGHUP asks for an orderly end, the second does not ask. */
const onStopSignal = (stop: () => void, screen: Screen): void => {
  let asked = false
  const onSignal = (): void => {
    if (asked) process.exit(EXIT.interrupted)
    asked = true
    if (screen.interactive) screen.err("\nstopping; Ctrl-C again ends it at once")
    setTimeout(() => {
      screen.err(`horizon: did not stop within ${SHUTDOWN_MS / 1000} s, ended`)
      process.exit(EXIT.harness)
    }, SHUTDOWN_MS).unref()
    stop()
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal)
}

/** Node would end with 1 for what nobody caught, and that means that a safety check failed. */
const endOnBug = (screen: Screen): void => {
  const onBug = (cause: unknown): void => {
    screen.err(`horizon: this is a bug in Horizon: ${cause instanceof Error ? cause.stack : String(cause)}`)
    process.exit(EXIT.harness)
  }
  process.on("uncaughtException", onBug)
  process.on("unhandledRejection", onBug)
}

/** Ends the process when what was written has left it: pipes take it in their own time. */
const end = (exitCode: number): void => {
  process.exitCode = exitCode
  process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)))
}

const makeScreen = (): Screen => {
  const { env, stderr, stdout } = process
  // A reader that has gone (`| head`) ends the command quietly.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.pass)
    throw error
  })
  stderr.on("error", () => {})
  const color = (stream: { isTTY?: boolean }): boolean =>
    (env["NO_COLOR"] ?? "") === "" &&
    ((stream.isTTY === true && env["TERM"] !== "dumb") || !["", "0", undefined].includes(env["FORCE_COLOR"]))
  return {
    out: (line) => void stdout.write(`${line}\n`),
    err: (line) => void stderr.write(`${line}\n`),
    draw: (text) => void stderr.write(text),
    interactive: stderr.isTTY === true && env["TERM"] !== "dumb",
    colorOut: color(stdout),
    colorErr: color(stderr),
    // A terminal that does not know its size says 0.
    columns: stdout.columns || stderr.columns || 80,
    environment: env
  }
}

const version = (): string => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string
  }
  return version
}
