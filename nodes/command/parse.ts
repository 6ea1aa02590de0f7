/** The command line itself: the one file that knows `effect/cli`. Turns command specifications into a program for given arguments. */

import { EXIT } from "@horizon/core/measure/run.ts"
import * as Argument from "effect/cli/Argument"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import {
  type ArgumentSpec,
  type CommandFailure,
  type CommandSpec,
  type FlagSpec,
  failure,
  type Input
} from "./command.ts"
import { formatHelp } from "./help.ts"
import type { Screen } from "./screen.ts"

/** How a command line ended; `stopped` is the exit code if it is interrupted from now on. */
export interface Outcome {
  exitCode: number
  stopped: number
}

/** Runs the command that `args` name. The exit code is in `outcome` when the program succeeds. */
export const runCommandLine = (
  root: CommandSpec,
  version: string,
  args: ReadonlyArray<string>,
  screen: Screen,
  outcome: Outcome
): Effect.Effect<void, CommandFailure> =>
  Command.runWith(toCommand(root, screen, outcome), { version })(args).pipe(
    Effect.catch((error) =>
      error._tag === "CommandFailure"
        ? Effect.fail(error)
        : // The presenter has said what is wrong; help that was not asked for is bad use too.
          Effect.fail(failure(EXIT.usage))
    ),
    Effect.provide(Layer.mergeAll(UNUSED, presenter(screen), CliConfig.layer({ builtIns: BUILT_INS })))
  )

const BUILT_INS = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] as const

/** `effect/cli` asks for these for flags that are files and for prompts; we have neither, and the real ones take long to load. */
const UNUSED = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      size: Effect.die("no prompts"),
      readInput: Effect.die("no prompts"),
      readLine: Effect.die("no prompts"),
      display: () => Effect.die("no prompts")
    })
  ),
  Layer.succeed(
    ChildProcessSpawner.ChildProcessSpawner,
    ChildProcessSpawner.make(() => Effect.die("no prompts"))
  )
)

type AnyCommand = Command.Command<string, any, any, CommandFailure, never>

const toCommand = (spec: CommandSpec, screen: Screen, outcome: Outcome): AnyCommand => {
  const { run } = spec
  const bare =
    run === undefined
      ? Command.make(spec.name)
      : Command.make(spec.name, toConfig(spec), (values) => {
          outcome.stopped = spec.stoppedExitCode ?? EXIT.interrupted
          return Effect.map(run(toInput(spec, values), screen), (exitCode) => {
            outcome.exitCode = exitCode
          })
        })
  const described = bare.pipe(
    Command.withDescription(spec.description ?? spec.summary),
    Command.withShortDescription(spec.summary),
    Command.withExamples(spec.examples ?? [])
  ) as unknown as AnyCommand
  const [first, ...rest] = (spec.commands ?? []).map((command) => toCommand(command, screen, outcome))
  return first === undefined
    ? described
    : (Command.withSubcommands(described, [first, ...rest]) as unknown as AnyCommand)
}

const ARGUMENT_KEY = "argument "

const toConfig = (spec: CommandSpec): Record<string, any> => {
  const config: Record<string, any> = {}
  if (spec.argument !== undefined) config[ARGUMENT_KEY] = toArgument(spec.argument)
  for (const flag of spec.flags ?? []) config[flag.name] = toFlag(flag)
  return config
}

const toArgument = (spec: ArgumentSpec): Argument.Argument<any> => {
  const argument = Argument.String(spec.name).pipe(
    Argument.withMetavar(spec.name),
    Argument.withDescription(spec.description)
  )
  if (spec.many) return argument.pipe(Argument.variadic({ min: spec.required ? 1 : 0 }))
  return spec.required ? argument : Argument.optional(argument)
}

const toFlag = (spec: FlagSpec): Flag.Flag<any> =>
  spec.form === "boolean"
    ? Flag.optional(Flag.withDescription(Flag.Boolean(spec.name), spec.description))
    : Flag.String(spec.name).pipe(
        Flag.withMetavar(spec.metavar ?? "TEXT"),
        Flag.withDescription(spec.description),
        Flag.optional
      )

const toInput = (spec: CommandSpec, values: Readonly<Record<string, any>>): Input => {
  const text: Record<string, string> = {}
  const on: Record<string, boolean> = {}
  for (const flag of spec.flags ?? []) {
    const value = Option.getOrUndefined(values[flag.name] as Option.Option<string | boolean>)
    if (typeof value === "string") text[flag.name] = value
    else if (typeof value === "boolean") on[flag.name] = value
  }
  const given = values[ARGUMENT_KEY]
  const list = Option.isOption(given) ? Option.toArray(given as Option.Option<string>) : (given ?? [])
  return { arguments: typeof list === "string" ? [list] : list, text, on }
}

/** Help that was asked for is a result; everything else goes to people, one line for each mistake. */
const presenter = (screen: Screen): Layer.Layer<never> =>
  CliOutput.layerPresenter({
    present: (event) =>
      Effect.sync(() => {
        switch (event._tag) {
          case "Help":
            if (event.reason === "Requested") screen.out(formatHelp(event.helpDoc, screen.columns, screen.colorOut))
            else screen.err(formatHelp(event.helpDoc, screen.columns, screen.colorErr))
            return
          case "Version":
            screen.out(`${event.name} ${event.version}`)
            return
          case "InvalidInvocation":
            for (const error of event.errors) {
              const line = describe(error).replace(/[.?]?$/, (end) => end || ".")
              screen.err(`horizon: ${line} See '${event.commandPath.join(" ")} --help'.`)
            }
        }
      })
  })

const describe = (error: CliError.NonShowHelpErrors): string => {
  const suggestions =
    "suggestions" in error && error.suggestions.length > 0 ? `; did you mean ${error.suggestions.join(" or ")}?` : ""
  switch (error._tag) {
    case "UnrecognizedOption":
      return `unknown flag ${error.option}${suggestions}`
    case "UnknownSubcommand":
      return `unknown command ${JSON.stringify(error.subcommand)}${suggestions}`
    case "MissingArgument":
      return `${error.argument} must be given`
    case "MissingOption":
      return `--${error.option} must be given`
    default:
      return lowerFirst(error.message.replace(/\s*\n\s*/g, " "))
  }
}

const lowerFirst = (sentence: string): string => sentence.charAt(0).toLowerCase() + sentence.slice(1)
