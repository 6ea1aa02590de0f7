/** `horizon lab list` and `horizon lab clean` (`guest` is in lab-guest.ts): what labs left on this machine's kernel, and taking away what is dead. */

import type { Cleaned, CleanOptions } from "@horizon/bench/lab/clean.ts"
import type { LabRecord } from "@horizon/bench/lab/registry.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import { type CommandFailure, type CommandSpec, failure, type Input } from "./command.ts"
import { guestCommand } from "./lab-guest.ts"
import { loading } from "./scenario.ts"
import { paint, type Screen, table } from "./screen.ts"

/** What the commands need of the labs (bench/lab). */
export interface Labs {
  readonly listLabs: () => ReadonlyArray<LabRecord>
  readonly isAlive: (record: LabRecord) => boolean
  readonly cleanLabs: (options: CleanOptions) => Promise<ReadonlyArray<Cleaned>>
}

/** The commands, with the labs that `load` gives when one of them runs. */
export const labCommand = (load: () => Promise<Labs>): CommandSpec => ({
  name: "lab",
  summary: "List the labs on this machine's kernel, or take away what a killed run left",
  description:
    "A lab is the network of one run as real interfaces: namespaces, bridges, NATs and the processes in them. A run takes its own lab away; after a 'kill -9' of the run, 'lab clean' does.",
  commands: [listCommand(load), cleanCommand(load), guestCommand(() => import("@horizon/bench/lab/uml/guest.ts"))]
})

const listCommand = (load: () => Promise<Labs>): CommandSpec => ({
  name: "list",
  summary: "List the labs that stand, and whether their runner still runs",
  flags: [{ name: "json", form: "boolean", description: "Print one JSON array" }],
  examples: [{ command: "horizon lab list", description: "Is anything left of an earlier run?" }],
  run: (input, screen) =>
    Effect.map(loading(load), (labs) => {
      const rows = labs.listLabs().map((record) => ({ ...record, alive: labs.isAlive(record) }))
      if (input.on["json"] === true) screen.out(JSON.stringify(rows, undefined, 2))
      else print(rows, screen)
      return EXIT.pass
    })
})

const cleanCommand = (load: () => Promise<Labs>): CommandSpec => ({
  name: "clean",
  summary: "Take away the labs whose runner is dead: processes, namespaces, folders",
  flags: [{ name: "all", form: "boolean", description: "Also labs whose runner still runs, which then fails" }],
  examples: [
    { command: "horizon lab clean", description: "After a run was killed" },
    { command: "horizon lab clean --all", description: "Whatever it is, away with it" }
  ],
  run: (input, screen) => Effect.flatMap(loading(load), (labs) => clean(labs, input, screen))
})

const clean = (labs: Labs, input: Input, screen: Screen): Effect.Effect<number, CommandFailure> =>
  Effect.tryPromise({
    try: () => labs.cleanLabs({ all: input.on["all"] === true }),
    catch: unclean
  }).pipe(
    Effect.map((cleaned) => {
      for (const { folders, id, namespaces, processes } of cleaned)
        screen.out(
          `${id}: ${count(processes, "process", "processes")}, ${count(namespaces, "namespace")}, ${count(folders, "folder")}`
        )
      const left = labs.listLabs()
      if (cleaned.length === 0) screen.out("nothing to clean")
      if (left.length > 0)
        screen.err(`${count(left.length, "lab")} left alone, whose runner still runs; --all takes those away too`)
      return EXIT.pass
    })
  )

/** The exit code of a `LabError` follows its reason; without rights the kernel's own words would not say what to do. */
const unclean = (cause: unknown): CommandFailure => {
  const { code, message, reason } = cause as Error & { readonly reason?: string; readonly code?: string }
  if (code === "EACCES" || code === "EPERM" || process.getuid?.() !== 0)
    return failure(EXIT.skipped, `horizon: labs are taken away by root: sudo npx horizon lab clean (${message})`)
  return failure(reason === "missing" ? EXIT.skipped : EXIT.harness, `horizon: ${message}`)
}

const print = (rows: ReadonlyArray<LabRecord & { readonly alive: boolean }>, screen: Screen): void => {
  if (rows.length === 0) return screen.out("no labs")
  const head = ["lab", "runner", "since", "namespaces", "processes", "for"]
  const cells = rows.map((row) => [
    row.id,
    row.alive ? `${row.runner.pid}` : "dead",
    new Date(row.sinceMs).toISOString().replace(/\.\d+Z$/, "Z"),
    `${row.namespaces.length}`,
    `${row.processes.length}`,
    row.purpose
  ])
  const style = (cell: string, row: number, column: number): string =>
    row === 0
      ? paint(screen.colorOut, "bold", cell)
      : column === 1 && !rows[row - 1].alive
        ? paint(screen.colorOut, "yellow", cell)
        : cell
  for (const line of table([head, ...cells], { right: [3, 4], style })) screen.out(line)
  if (rows.some(({ alive }) => !alive)) screen.err("take dead ones away with: horizon lab clean")
}

const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`
