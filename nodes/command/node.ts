/** `horizon broker`, `gateway`, `client` and `game`: one production node on this host, until it is stopped. */

import { readFileSync } from "node:fs"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Loaded } from "../config/config.ts"
import { type CommandFailure, type CommandSpec, type FlagSpec, failure, type Input } from "./command.ts"
import type { Screen } from "./screen.ts"

export const NODE_NAMES = ["broker", "gateway", "client", "game"] as const
export type NodeName = (typeof NODE_NAMES)[number]

const SUMMARY: Readonly<Record<NodeName, string>> = {
  broker: "Run a broker: registers servers, issues tickets, keeps records",
  gateway: "Run a gateway: members of a private network meet there",
  client: "Run a client: puts this host into a private network",
  game: "Run a game server"
}

const OWN_FLAGS: ReadonlyArray<FlagSpec> = [
  {
    name: "config",
    form: "text",
    metavar: "FILE",
    description: "Configuration file: one JSON object with settings as keys"
  },
  {
    name: "print-config",
    form: "boolean",
    description: "Print the effective configuration, and where each value came from, instead of starting"
  }
]

/** The command of a node; `complete` = with a flag for each setting, which loads the node's settings. */
export const nodeCommand = async (name: NodeName, complete: boolean): Promise<CommandSpec> => ({
  name,
  summary: SUMMARY[name],
  description: [
    `${SUMMARY[name]}.\n\nA setting is taken from its flag, else from its environment variable, else from the configuration file,`,
    "else it has its default. Runs until Ctrl-C or SIGTERM, then shuts down and exits with 0; a second Ctrl-C ends it at once.\n\n" +
      `Exit codes: ${EXIT.usage} bad configuration, ${EXIT.corrupt} damaged identity or store, ${EXIT.noInput} configuration file missing,`,
    `${EXIT.unavailable} port in use or store not usable.\n\nWith HORIZON_TRACE_FD=N in the environment, each trace event and the`,
    "word that it serves go as one line of JSON to descriptor N as well, with times of the monotonic clock: the log says less."
  ].join(" "),
  flags: [...OWN_FLAGS, ...(complete ? await settingFlags(name) : [])],
  examples: [
    { command: `horizon ${name} --config /etc/horizon/${name}.json`, description: "As a service" },
    { command: `horizon ${name} --config ${name}.json --print-config`, description: "What would it do, and why?" },
    {
      command: `HORIZON_TRACE_FD=3 horizon ${name} --config ${name}.json 3> trace.ndjson`,
      description: "Record its trace"
    }
  ],
  stoppedExitCode: EXIT.pass,
  run: (input, screen) => runNode(name, input, screen)
})

const settingFlags = async (name: NodeName): Promise<ReadonlyArray<FlagSpec>> => {
  const { settingsOf } = await import("./node-settings.ts")
  const { describeSetting } = await import("../config/describe.ts")
  return describeSetting(name, await settingsOf(name))
}

const runNode = (name: NodeName, input: Input, screen: Screen): Effect.Effect<number, CommandFailure> =>
  Effect.gen(function* () {
    const { settingsOf } = yield* Effect.promise(() => import("./node-settings.ts"))
    const { kebab, loadConfig, printConfig } = yield* Effect.promise(() => import("../config/config.ts"))
    const settings = yield* Effect.promise(() => settingsOf(name))
    const flags: Record<string, string> = {}
    for (const key of Object.keys(settings)) {
      const given = input.text[kebab(key)] ?? input.on[kebab(key)]
      if (given !== undefined) flags[key] = String(given)
    }
    const file = yield* readConfig(input.text["config"])
    const result = loadConfig(settings, { node: name, file, environment: screen.environment, flags })
    if (Result.isFailure(result)) return yield* Effect.fail(badConfig(name, result.failure))
    const loaded: Loaded<typeof settings> = result.success
    for (const warning of loaded.warnings) screen.err(`horizon ${name}: ${warning}`)
    if (input.on["print-config"] === true) {
      for (const line of printConfig(settings, loaded)) screen.out(line)
      return EXIT.pass
    }
    const { nodeProgram } = yield* Effect.promise(() => import("./node-program.ts"))
    return yield* nodeProgram(name, loaded.config, screen)
  })

const badConfig = (name: string, problems: ReadonlyArray<string>): CommandFailure =>
  failure(EXIT.usage, ...problems.map((problem) => `horizon ${name}: ${problem}`))

const readConfig = (
  path: string | undefined
): Effect.Effect<{ readonly path: string; readonly text: string } | undefined, CommandFailure> =>
  path === undefined
    ? Effect.succeed(undefined)
    : Effect.try({
        try: () => ({ path, text: readFileSync(path, "utf8") }),
        catch: (cause) => {
          const { code } = cause as NodeJS.ErrnoException
          const why =
            code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a directory" : String(code)
          return failure(EXIT.noInput, `horizon: cannot read the configuration file ${path}: ${why}`)
        }
      })
