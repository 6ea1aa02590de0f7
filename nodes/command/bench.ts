/** `horizon bench`: measures, prints and reports; `horizon bench compare A B` says what changed between two. */

import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import type { BenchEvent, BenchRequest, ListedSection } from "@horizon/bench/bench.ts"
import { type BenchDocument, benchExitCode } from "@horizon/core/measure/bench.ts"
import { compareBenches } from "@horizon/core/measure/bench-comparison.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { BenchProgress } from "./bench-progress.ts"
import { printComparison, printSection } from "./bench-table.ts"
import { type CommandFailure, type CommandSpec, failure, type Input } from "./command.ts"
import { loading, runnerFailure } from "./scenario.ts"
import { type Screen, wrap } from "./screen.ts"

/** What the command needs of the benchmarks. */
export interface Bench {
  readonly runBench: (request: BenchRequest) => Promise<BenchDocument>
  readonly listSections: () => ReadonlyArray<ListedSection>
  readonly readBench: (file: string) => Promise<BenchDocument>
}

const COMPARE = "compare"
const LIST = "list"
/** Name of the document in its folder. */
const FILE = "bench.json"
/** How long a bench that was told to stop may take: tunnels and namespaces are taken away in that time. */
const STOP_MS = 12_000

/** The command, with the benchmarks that `load` gives when it runs. */
export const benchCommand = (load: () => Promise<Bench>): CommandSpec => ({
  name: "bench",
  summary: "Measure speed: simulator, UDP, secure pipeline, handshakes, tunnels; compare two measurements",
  description: [
    "Measures sections of the benchmarks (all but the soak if none is named; 'bench list' shows them) and prints tables with the bars that must be reached.",
    "Everything is measured in turn, in several rounds: medians count, and ratios within one run. The result goes to a folder as bench.json and an HTML report.",
    "The default takes about 15 minutes, --quick about 3. What this machine lacks is named and left out; tunnels need root.\n\n'bench compare A B' compares two such folders or documents: a change is only called one if it is beyond the spread of the rounds.\n\n" +
      `Exit codes: ${EXIT.pass} all bars met, ${EXIT.performance} a bar missed or a figure worse, ${EXIT.skipped} nothing could be measured, ${EXIT.harness} measuring failed, ${EXIT.interrupted} interrupted.`
  ].join(" "),
  argument: {
    name: "SECTION",
    description: "Sections to measure; or 'list'; or 'compare' and two folders or documents",
    required: false,
    many: true
  },
  flags: [
    { name: "quick", form: "boolean", description: "One short round: for a look, not for a record" },
    { name: "rounds", form: "text", metavar: "N", description: "Rounds of everything [default: 3]" },
    {
      name: "subjects",
      form: "text",
      metavar: "A,B",
      description: "Of the section tunnel: only these, such as horizon,wireguard-go"
    },
    { name: "minutes", form: "text", metavar: "N", description: "Of the section soak: how long [default: 10]" },
    {
      name: "rate",
      form: "text",
      metavar: "N",
      description: "Of the section soak: UDP datagrams a second each way, beside TCP [default: 20000]"
    },
    {
      name: "out",
      form: "text",
      metavar: "DIR",
      description: "Folder of the document and the report [default: reports/out/bench-TIME]"
    },
    { name: "json", form: "boolean", description: "Print the document instead of tables" }
  ],
  examples: [
    { command: "horizon bench", description: "Everything but the soak" },
    { command: "horizon bench udp pipeline --quick", description: "A look at the packet path" },
    { command: "horizon bench tunnel --subjects horizon,wireguard-go,c-offload", description: "Some tunnels" },
    { command: "horizon bench soak --minutes 10", description: "Is there a leak?" },
    { command: "horizon bench compare before/bench.json after/bench.json", description: "What changed?" }
  ],
  run: (input, screen) => {
    const [first] = input.arguments
    if (first === LIST) return Effect.flatMap(loading(load), (bench) => list(bench, input, screen))
    if (first === COMPARE) return Effect.flatMap(loading(load), (bench) => compare(bench, input, screen))
    return Effect.flatMap(Effect.fromResult(parseRequest(input)), (request) =>
      Effect.flatMap(loading(load), (bench) => measure(bench, request, input.on["json"] === true, screen))
    )
  }
})

const list = (bench: Bench, input: Input, screen: Screen): Effect.Effect<number> =>
  Effect.sync(() => {
    const sections = bench.listSections()
    if (input.on["json"] === true) screen.out(JSON.stringify(sections, undefined, 2))
    else {
      for (const { name, onRequest, summary } of sections) {
        screen.out(`${name}${onRequest ? " (only on request)" : ""}`)
        for (const line of wrap(summary, Math.min(screen.columns, 110) - 4)) screen.out(`    ${line}`)
      }
    }
    return EXIT.pass
  })

type Wanted = Omit<BenchRequest, "signal" | "onEvent">

const parseRequest = (input: Input): Result.Result<Wanted, CommandFailure> => {
  const usage = (line: string) => Result.fail(failure(EXIT.usage, `horizon: ${line}`))
  const { minutes, out, rate, rounds, subjects } = input.text
  for (const [flag, text, pattern, wanted] of [
    ["rounds", rounds, /^[1-9][0-9]{0,2}$/, "a whole number from 1 to 999"],
    ["minutes", minutes, /^(0\.[0-9]{1,2}|[1-9][0-9]{0,3}(\.[0-9]{1,2})?)$/, "a number of minutes, such as 10 or 0.5"],
    ["rate", rate, /^[1-9][0-9]{0,6}$/, "a whole number from 1 to 9999999"],
    ["subjects", subjects, /^[a-z0-9-]+(,[a-z0-9-]+)*$/, "names separated by commas"]
  ] as const) {
    if (text !== undefined && !pattern.test(text))
      return usage(`--${flag} must be ${wanted}, not ${JSON.stringify(text)}`)
  }
  const sections = [...new Set(input.arguments)]
  const given = (name: string, value: string | undefined): ReadonlyArray<string> =>
    value === undefined ? [] : [`--${name}`, value]
  const quick = input.on["quick"] === true
  const words = [
    ...sections,
    ...(quick ? ["--quick"] : []),
    ...given("rounds", rounds),
    ...given("subjects", subjects),
    ...given("minutes", minutes),
    ...given("rate", rate)
  ]
  return Result.succeed({
    sections,
    effort: quick ? "quick" : "record",
    ...(rounds === undefined ? {} : { rounds: Number(rounds) }),
    ...(subjects === undefined ? {} : { subjects: subjects.split(",") }),
    ...(minutes === undefined ? {} : { minutes: Number(minutes) }),
    ...(rate === undefined ? {} : { packetsPerSecond: Number(rate) }),
    out: out ?? join("reports", "out", `bench-${stamp()}`),
    command: ["npx horizon bench", ...words].join(" ")
  })
}

/** A name that sorts by time and is fit for any file system: `2026-11-20T16-40-12Z`. */
const stamp = (): string =>
  new Date()
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-")

const measure = (bench: Bench, wanted: Wanted, json: boolean, screen: Screen): Effect.Effect<number, CommandFailure> =>
  Effect.suspend(() => {
    const progress = new BenchProgress(screen, () => performance.now())
    const abort = new AbortController()
    const onEvent = (event: BenchEvent): void => {
      progress.handle(event)
      if (event.kind === "finished" && !json) printSection(event.section, screen)
      if (event.kind === "written") screen.err(`report: ${event.html}`)
    }
    const settled = bench.runBench({ ...wanted, signal: abort.signal, onEvent })
    return Effect.tryPromise({ try: () => settled, catch: runnerFailure }).pipe(
      Effect.map((document) => {
        progress.clear()
        if (json) screen.out(JSON.stringify(document))
        else conclude(document, screen)
        return benchExitCode(document)
      }),
      Effect.onInterrupt(() =>
        Effect.suspend(() => {
          abort.abort()
          progress.clear()
          // Tunnels and namespaces are taken away, and what had finished is written.
          return Effect.timeoutOption(Effect.exit(Effect.tryPromise(() => settled)), STOP_MS)
        })
      ),
      Effect.onError(() => Effect.sync(() => progress.clear()))
    )
  })

const conclude = ({ sections, wallSeconds }: BenchDocument, screen: Screen): void => {
  const musts = sections.flatMap((section) => section.musts)
  const missed = musts.filter(({ met }) => !met).length
  screen.out("")
  screen.out(
    `${musts.length - missed} bars met, ${missed} missed; ${sections.length} sections in ${Math.round(wallSeconds)} s`
  )
}

const compare = (bench: Bench, input: Input, screen: Screen): Effect.Effect<number, CommandFailure> => {
  const [, ...paths] = input.arguments
  if (paths.length !== 2) {
    const line = "horizon: 'bench compare' takes two folders or documents: bench compare BEFORE AFTER"
    return Effect.fail(failure(EXIT.usage, line))
  }
  return Effect.map(Effect.all(paths.map((path) => read(bench, path))), ([before, after]) => {
    const comparison = compareBenches(before, after)
    if (input.on["json"] === true) screen.out(JSON.stringify(comparison))
    else printComparison(comparison, screen)
    return comparison.changes.some(({ verdict }) => verdict === "worse") ? EXIT.performance : EXIT.pass
  })
}

const read = (bench: Bench, path: string): Effect.Effect<BenchDocument, CommandFailure> =>
  Effect.suspend(() => {
    const file = existsSync(path) && statSync(path).isDirectory() ? join(path, FILE) : path
    if (!existsSync(file)) return Effect.fail(failure(EXIT.noInput, `horizon: there is no ${file}`))
    return Effect.tryPromise({
      try: () => bench.readBench(file),
      catch: (cause) => failure(EXIT.corrupt, `horizon: ${(cause as Error).message}`)
    })
  })
