/** `horizon scenario list`, `horizon scenario run` and `horizon scenario export`. */

import type { ListedScenario, RunnerEvent, RunnerResult, RunRequest } from "@horizon/bench/runner/runner.ts"
import { EXIT, type Run } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { didYouMean } from "../config/nearest.ts"
import { type CommandFailure, type CommandSpec, EXIT_CODES, failure, type Input } from "./command.ts"
import { Progress } from "./progress.ts"
import { paint, type Screen, table, wrap } from "./screen.ts"
import { parseSeed, parseSeeds, parseShard } from "./seeds.ts"
import { printFailures, printSkipped, printVerdicts, summary } from "./verdicts.ts"

/** What the commands need of the runner (bench/runner/runner.ts). */
export interface Runner {
  readonly listScenarios: () => ReadonlyArray<ListedScenario>
  readonly runScenarios: (request: RunRequest) => Promise<RunnerResult>
  readonly replay: (
    file: string,
    onEvent: (event: RunnerEvent) => void,
    signal?: AbortSignal
  ) => Promise<RunnerResult & { readonly digestWanted: string }>
}

/** Seed of a run when none is given: the same each time, so that a first run can be compared with anyone's. */
const DEFAULT_SEED = 1

/** How long the runner may take to stop, ms: a lab of real processes and interfaces is taken away in that time. */
const STOP_MS = 12_000

/** What `export` needs of bench/lab/mininet/export.ts. */
export interface Exporter {
  readonly scenarioNames: () => ReadonlyArray<string>
  readonly exportScenario: (name: string) => unknown
}

/** The commands, with the runner that `load` gives when one of them runs. */
export const scenarioCommand = (
  load: () => Promise<Runner>,
  loadExporter: () => Promise<Exporter> = () => import("@horizon/bench/lab/mininet/export.ts")
): CommandSpec => ({
  name: "scenario",
  summary: "List scenarios, run them in a world with a seed, or export the network of one",
  commands: [listCommand(load), runCommand(load), exportCommand(loadExporter)]
})

const listCommand = (load: () => Promise<Runner>): CommandSpec => ({
  name: "list",
  summary: "List the scenarios: what each asks, and in which worlds it runs",
  flags: [
    { name: "json", form: "boolean", description: "Print one JSON array" },
    { name: "world", form: "text", metavar: "WORLD", description: "Only those that run in this world" },
    { name: "tag", form: "text", metavar: "TAG", description: "Only those with this tag" }
  ],
  examples: [
    { command: "horizon scenario list", description: "Everything there is" },
    { command: "horizon scenario list --world loopback --json", description: "What runs on real sockets, for a script" }
  ],
  run: (input, screen) => Effect.flatMap(loading(load), (runner) => list(runner, input, screen))
})

const list = (runner: Runner, input: Input, screen: Screen): Effect.Effect<number, CommandFailure> => {
  const all = runner.listScenarios()
  const { tag, world } = input.text
  for (const [what, wanted, of] of [
    ["world", world, (scenario: ListedScenario) => scenario.worlds],
    ["tag", tag, (scenario: ListedScenario) => scenario.tags]
  ] as const) {
    const known = [...new Set(all.flatMap(of))].sort()
    if (wanted !== undefined && !known.includes(wanted)) {
      const hint = didYouMean(wanted, known)
      const line = `horizon: no scenario has the ${what} ${JSON.stringify(wanted)}${hint === "" ? `; known are ${known.join(", ")}` : hint}`
      return Effect.fail(failure(EXIT.usage, line))
    }
  }
  const chosen = all.filter(
    (scenario) =>
      (world === undefined || scenario.worlds.includes(world)) && (tag === undefined || scenario.tags.includes(tag))
  )
  if (input.on["json"] === true) screen.out(JSON.stringify(chosen, undefined, 2))
  else printScenarios(chosen, screen)
  return Effect.succeed(EXIT.pass)
}

/** A line of facts and what the scenario asks under it, for terminals of any width. */
const printScenarios = (scenarios: ReadonlyArray<ListedScenario>, screen: Screen): void => {
  const facts = table(
    scenarios.map((scenario) => [
      scenario.name,
      `${scenario.durationSeconds} s`,
      scenario.worlds.join(", "),
      scenario.tags.join(", ")
    ]),
    {
      right: [1],
      style: (cell, _, column) => paint(screen.colorOut, column === 0 ? "bold" : "cyan", cell)
    }
  )
  for (const [index, scenario] of scenarios.entries()) {
    screen.out(facts[index])
    for (const line of wrap(scenario.summary, Math.min(screen.columns, 110) - 4)) screen.out(`    ${line}`)
  }
}

const runCommand = (load: () => Promise<Runner>): CommandSpec => ({
  name: "run",
  summary: "Run scenarios and say what each came to",
  description: [
    "Runs scenarios in a world. Results go to standard output, progress to standard error. The same scenario, world, seed and",
    `commit give the same run and digest. Ctrl-C ends the batch and keeps what has finished.\n\n${EXIT_CODES}`
  ].join(" "),
  argument: { name: "NAME", description: "Scenarios to run, see 'horizon scenario list'", required: false, many: true },
  flags: [
    { name: "all", form: "boolean", description: "Run every scenario that the world can run" },
    {
      name: "world",
      form: "text",
      metavar: "WORLD",
      description:
        "Where: simulated (virtual time, exact replay), loopback (one process, real sockets and time), netns (a process for each node, in network namespaces; needs root) or mininet (the same on hosts of Mininet) [default: simulated]"
    },
    {
      name: "driver",
      form: "text",
      metavar: "DRIVER",
      description:
        "What impairs links in the netns and mininet worlds: tc (the kernel's qdiscs, or a guest kernel's where it has no netem), box (a guest kernel's), link (a process on the frames) or plain (nothing) [default: the best for the scenario here]"
    },
    {
      name: "seed",
      form: "text",
      metavar: "N",
      description: `Seed of all that is random, 0 to 2^53-1 [default: ${DEFAULT_SEED}]`
    },
    { name: "seeds", form: "text", metavar: "A..B", description: "One run for each seed from A to B, both included" },
    {
      name: "shard",
      form: "text",
      metavar: "I/N",
      description: "Only the I-th of N equal parts, for several machines"
    },
    {
      name: "out",
      form: "text",
      metavar: "DIR",
      description: "Write records, run documents and the HTML report there"
    },
    { name: "json", form: "boolean", description: "Print one Run record a line instead of the table" }
  ],
  examples: [
    { command: "horizon scenario run lossy-wifi", description: "One scenario, seed 1, in the simulated world" },
    {
      command: "horizon scenario run swarm --seeds 1..1000 --out reports/out",
      description: "A night of chaos, with a report"
    },
    { command: "horizon scenario run steady-state --world loopback", description: "The same nodes on real sockets" },
    { command: "horizon scenario run --all --shard 2/4 --json", description: "A quarter of everything, for a pipeline" }
  ],
  run: (input, screen) =>
    Effect.flatMap(Effect.fromResult(parseRequest(input)), (request) =>
      Effect.flatMap(loading(load), (runner) =>
        runBatch(screen, input.on["json"] === true, (onEvent, signal) =>
          runner.runScenarios({ ...request, onEvent, signal })
        )
      )
    )
})

const parseRequest = (input: Input): Result.Result<Omit<RunRequest, "onEvent" | "signal">, CommandFailure> => {
  const usage = (line: string) => Result.fail(failure(EXIT.usage, `horizon: ${line}`))
  const { driver, out, seed, seeds, shard, world } = input.text
  const all = input.on["all"] === true
  if (all && input.arguments.length > 0) return usage("give scenario names or --all, not both")
  if (!all && input.arguments.length === 0)
    return usage("name at least one scenario, or give --all; 'horizon scenario list' shows them")
  if (seed !== undefined && seeds !== undefined) return usage("give --seed or --seeds, not both")
  const wanted =
    seeds !== undefined
      ? parseSeeds(seeds)
      : seed !== undefined
        ? Result.map(parseSeed(seed), (one) => [one])
        : Result.succeed([DEFAULT_SEED])
  if (Result.isFailure(wanted)) return usage(wanted.failure)
  const part = shard === undefined ? undefined : parseShard(shard)
  if (part !== undefined && Result.isFailure(part)) return usage(part.failure)
  return Result.succeed({
    names: [...new Set(input.arguments)],
    all,
    world: world ?? "simulated",
    seeds: wanted.success,
    ...(driver === undefined ? {} : { driver }),
    ...(part === undefined ? {} : { shard: part.success }),
    ...(out === undefined ? {} : { out })
  })
}

const exportCommand = (load: () => Promise<Exporter>): CommandSpec => ({
  name: "export",
  summary: "Print the network of a scenario as JSON, for other builders such as Mininet",
  description: [
    "Prints one JSON object: subnets, hosts and routers with their addresses and routes, each access link with its spec and its qdiscs",
    "as arguments of tc, NATs as nftables rules. bench/lab/mininet/topology.py builds it in Mininet."
  ].join(" "),
  argument: { name: "NAME", description: "The scenario, see 'horizon scenario list'", required: true, many: false },
  examples: [
    { command: "horizon scenario export lan-party > lan.json", description: "For Mininet, in a guest or here" }
  ],
  run: (input, screen) =>
    Effect.flatMap(loading(load), ({ exportScenario, scenarioNames }) => {
      const [name] = input.arguments
      const exported = exportScenario(name)
      if (exported === undefined) {
        const names = scenarioNames()
        const hint = didYouMean(name, names) || `; known are ${names.join(", ")}`
        return Effect.fail(failure(EXIT.usage, `horizon: there is no scenario ${JSON.stringify(name)}${hint}`))
      }
      screen.out(JSON.stringify(exported, undefined, 2))
      return Effect.succeed(EXIT.pass)
    })
})

/** Drives a batch, shows how it goes and what it came to. Interrupted, it says what has finished. */
export const runBatch = <R extends RunnerResult>(
  screen: Screen,
  json: boolean,
  start: (onEvent: (event: RunnerEvent) => void, signal: AbortSignal) => Promise<R>,
  after: (result: R) => number = (result) => result.exitCode
): Effect.Effect<number, CommandFailure> =>
  Effect.suspend(() => {
    const progress = new Progress(screen, () => performance.now())
    const finished: Array<Run> = []
    const abort = new AbortController()
    let planned = 0
    let report: string | undefined
    const onEvent = (event: RunnerEvent): void => {
      // What ends because it was told to end has not finished.
      if (abort.signal.aborted) return
      progress.handle(event)
      if (event.kind === "planned") planned = event.runs
      else if (event.kind === "report") report = event.path
      else if (event.kind === "finished") {
        finished.push(event.run)
        if (json) screen.out(JSON.stringify(event.run))
      }
    }
    const conclude = (result: R): number => {
      progress.clear()
      if (!json) printVerdicts(result.runs, screen)
      if (report !== undefined) screen.err(`report: ${report}`)
      const exitCode = after(result)
      for (const sentence of result.neverReached) screen.err(`never reached: ${sentence}`)
      printSkipped(result.runs, screen)
      printFailures(result.runs, screen)
      return exitCode
    }
    const settled = start(onEvent, abort.signal)
    return Effect.tryPromise({ try: () => settled, catch: runnerFailure }).pipe(
      Effect.map(conclude),
      Effect.onInterrupt(() =>
        Effect.suspend(() => {
          abort.abort()
          progress.clear()
          if (!json && finished.length > 0) printVerdicts(finished, screen)
          return Effect.ensuring(
            // The runner writes what has finished; it gets a moment for that.
            Effect.timeoutOption(Effect.exit(Effect.tryPromise(() => settled)), STOP_MS),
            Effect.sync(() =>
              screen.err(`interrupted: ${finished.length} of ${planned} runs had finished (${summary(finished)})`)
            )
          )
        })
      ),
      Effect.onError(() => Effect.sync(() => progress.clear()))
    )
  })

/** A name that the runner does not know is bad use; a folder that cannot be written is said; the rest is a bug of Horizon. */
export const runnerFailure = (cause: unknown): CommandFailure => {
  const { code, message, name, stack } = cause as NodeJS.ErrnoException
  if (name === "UnknownName") return failure(EXIT.usage, `horizon: ${message}`)
  if (code === "ENOENT") return failure(EXIT.noInput, `horizon: ${message}`)
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return failure(EXIT.unavailable, `horizon: ${message}`)
  return failure(EXIT.harness, `horizon: the runner failed: ${stack ?? String(cause)}`)
}

/** Imports the runner: the scenarios, the simulator and the nodes come with it, so only when they are needed. */
export const loading = <A>(load: () => Promise<A>): Effect.Effect<A, CommandFailure> =>
  Effect.tryPromise({
    try: load,
    catch: (cause) => failure(EXIT.harness, `horizon: ${(cause as Error).stack ?? String(cause)}`)
  })
