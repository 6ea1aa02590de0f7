/** `horizon replay RUN.json`: runs a stored run again and compares. */

import { readFileSync } from "node:fs"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import { type CommandFailure, type CommandSpec, EXIT_CODES, failure } from "./command.ts"
import { loading, type Runner, runBatch } from "./scenario.ts"
import type { Screen } from "./screen.ts"

export const replayCommand = (load: () => Promise<Runner>): CommandSpec => ({
  name: "replay",
  summary: "Run a stored run again: same scenario, world, seed and faults, and compare the digests",
  description: `Runs a stored run document again and compares its digest with the stored one.\n\n${EXIT_CODES}`,
  argument: {
    name: "RUN.json",
    description: "A run document, as 'scenario run --out DIR' writes it",
    required: true,
    many: false
  },
  flags: [{ name: "json", form: "boolean", description: "Print the Run record instead of the table" }],
  examples: [
    {
      command: "horizon replay reports/out/swarm-simulated-17.run.json",
      description: "See a failure again, exactly"
    }
  ],
  run: (input, screen) =>
    Effect.andThen(
      checkDocument(input.arguments[0]),
      Effect.flatMap(loading(load), (runner) =>
        runBatch(
          screen,
          input.on["json"] === true,
          (onEvent, signal) => runner.replay(input.arguments[0], onEvent, signal),
          (result) => compare(result.runs[0]?.digest ?? "", result.digestWanted, result.exitCode, screen)
        )
      )
    )
})

const compare = (got: string, wanted: string, exitCode: number, screen: Screen): number => {
  if (wanted === "" || got === "") {
    screen.err("this world does not replay exactly: digests are not compared")
    return exitCode
  }
  if (got === wanted) {
    screen.err(`digest ${got} equals the stored one`)
    return exitCode
  }
  screen.err(
    `digest ${got} differs from the stored ${wanted}: the code has changed since, or the run is not deterministic`
  )
  return exitCode === EXIT.pass ? EXIT.nondeterminism : exitCode
}

/** Tells a missing file from one that is no run document, before anything heavy is loaded. */
const checkDocument = (path: string): Effect.Effect<void, CommandFailure> =>
  Effect.try({ try: () => readFileSync(path, "utf8"), catch: (cause) => unreadable(path, cause) }).pipe(
    Effect.flatMap((text) => {
      const problem = problemOf(text)
      return problem === undefined
        ? Effect.void
        : Effect.fail(failure(EXIT.corrupt, `horizon: ${path} is no run document: ${problem}`))
    })
  )

const unreadable = (path: string, cause: unknown): CommandFailure => {
  const { code } = cause as NodeJS.ErrnoException
  const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a directory" : String(code)
  return failure(EXIT.noInput, `horizon: cannot read ${path}: ${why}`)
}

const problemOf = (text: string): string | undefined => {
  try {
    const { format, run } = JSON.parse(text) as { format?: unknown; run?: { scenario?: unknown; seed?: unknown } }
    if (format !== "horizon-run/1") return `its format is ${JSON.stringify(format)}, not "horizon-run/1"`
    return typeof run?.scenario === "string" && Number.isSafeInteger(run.seed)
      ? undefined
      : "it names no scenario and seed"
  } catch (cause) {
    return cause instanceof SyntaxError ? `it is not valid JSON (${cause.message})` : "it holds no object"
  }
}
