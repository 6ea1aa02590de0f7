/** `horizon report DIR`: makes the report of stored runs again. */

import { existsSync, readdirSync } from "node:fs"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import { type CommandFailure, type CommandSpec, failure } from "./command.ts"
import { loading } from "./scenario.ts"

/** What the command needs of reports/. */
export interface Reporter {
  /** Writes `index.html` and what goes with it from the run documents in a directory. */
  readonly writeReport: (directory: string) => Promise<{ readonly html: string }>
  /** The same from the bench document in a directory; resolves with the page's path. */
  readonly writeBenchReport: (directory: string) => Promise<string>
}

/** Name of a bench document in its directory. */
const BENCH_FILE = "bench.json"

export const reportCommand = (load: () => Promise<Reporter>): CommandSpec => ({
  name: "report",
  summary: "Make the HTML report of the runs, or the benchmark, stored in a directory",
  description:
    "Makes the report (HTML, JUnit XML, JSON) of the run documents in a directory, or that of the benchmark in it, and prints its path. It works offline.",
  argument: {
    name: "DIR",
    description: "The directory given to 'scenario run --out' or 'bench --out'",
    required: true,
    many: false
  },
  examples: [{ command: "horizon report reports/out", description: "After runs were added or copied there" }],
  run: (input, screen) =>
    Effect.gen(function* () {
      const directory = input.arguments[0]
      const names = yield* checkDirectory(directory)
      const reporter = yield* loading(load)
      const html = yield* Effect.tryPromise({
        try: async () =>
          names.includes(BENCH_FILE)
            ? reporter.writeBenchReport(directory)
            : (await reporter.writeReport(directory)).html,
        catch: (cause) =>
          failure(EXIT.corrupt, `horizon: the report of ${directory} was not made: ${(cause as Error).message}`)
      })
      screen.out(html)
      return EXIT.pass
    })
})

/** The names of what is in it, if that can be reported on. */
const checkDirectory = (directory: string): Effect.Effect<ReadonlyArray<string>, CommandFailure> =>
  Effect.suspend(() => {
    if (!existsSync(directory)) return Effect.fail(failure(EXIT.noInput, `horizon: there is no directory ${directory}`))
    const names = Effect.try({
      try: () => readdirSync(directory),
      catch: (cause) =>
        failure(EXIT.noInput, `horizon: cannot read ${directory}: ${(cause as NodeJS.ErrnoException).code}`)
    })
    return Effect.flatMap(names, (found) =>
      found.some((name) => name.endsWith(".run.json") || name === "runs.ndjson" || name === BENCH_FILE)
        ? Effect.succeed(found)
        : Effect.fail(
            failure(
              EXIT.noInput,
              `horizon: ${directory} holds no runs (runs.ndjson, *.run.json); 'horizon scenario run NAME --out ${directory}' makes some`
            )
          )
    )
  })
