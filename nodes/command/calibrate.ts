/** `horizon calibrate`: how far the simulated world agrees with a kernel, link by link. */

import type { CalibrateEvent, CalibrateOptions } from "@horizon/bench/calibrate/calibrate.ts"
import {
  type CalibrationDocument,
  type CalibrationDriver,
  type CalibrationResult,
  summarise
} from "@horizon/core/measure/calibration.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type CommandFailure, type CommandSpec, failure, type Input } from "./command.ts"
import { loading, runnerFailure } from "./scenario.ts"
import { paint, type Screen, table } from "./screen.ts"
import { parseSeed } from "./seeds.ts"

/** What the command needs of bench/calibrate. */
export interface Calibration {
  readonly calibrate: (options: CalibrateOptions) => Promise<CalibrationDocument>
  readonly writeCalibration: (path: string, document: CalibrationDocument) => void
  readonly calibrationFile: () => string
}

const DEFAULT_SEED = 1
/** How long a lab may take to be taken away when the command is interrupted, ms. */
const STOP_MS = 12_000

/** The command, with the calibration that `load` gives when it runs. */
export const calibrateCommand = (load: () => Promise<Calibration>): CommandSpec => ({
  name: "calibrate",
  summary: "Hold the simulated links against a kernel's, and say how far they agree",
  description: [
    "Runs a table of links in the simulated world and on the kernel, the same scenario in each: delays, jitter, loss, duplication, reordering,",
    "rates and queues. Goodput and median delay must agree within 5 %, the 99th percentile of delay within 15 %, and what chance decides within",
    "three standard errors. Streams that differ while the machine was busy with something else are measured again, up to three times.",
    "The result becomes the label of later simulated figures on this machine: it is looked for in reports/out/calibration.json, or in the file",
    `that HORIZON_CALIBRATION names. Needs root; takes about a minute for each link driver.\n\nExit codes: 0 all streams agree, ${EXIT.performance} some do not, ${EXIT.skipped} there is no kernel to compare with.`
  ].join(" "),
  flags: [
    {
      name: "worlds",
      form: "text",
      metavar: "LIST",
      description:
        "Link drivers, with commas: tc (this kernel's netem), box (netem of a user-mode Linux guest), link (a process) [default: all]"
    },
    { name: "rows", form: "text", metavar: "LIST", description: "Names of links, with commas [default: all]" },
    { name: "seed", form: "text", metavar: "N", description: `Seed of all that is random [default: ${DEFAULT_SEED}]` },
    { name: "quick", form: "boolean", description: "A third of the time: a look, not a calibration" },
    {
      name: "out",
      form: "text",
      metavar: "FILE",
      description: "Write the result there [default: reports/out/calibration.json]"
    },
    { name: "json", form: "boolean", description: "Print the result document instead of the tables" }
  ],
  examples: [
    { command: "horizon calibrate", description: "Everything that this machine can do" },
    { command: "horizon calibrate --worlds box --rows rate-5m-small,codel-5m", description: "Two links on netem" }
  ],
  run: (input, screen) =>
    Effect.flatMap(Effect.fromResult(parse(input)), (request) =>
      Effect.flatMap(loading(load), (calibration) => run(calibration, request, input, screen))
    )
})

type Request = Pick<CalibrateOptions, "drivers" | "rows" | "seed" | "quick">

const parse = (input: Input): Result.Result<Request, CommandFailure> => {
  const { rows, seed, worlds } = input.text
  const wanted = seed === undefined ? Result.succeed(DEFAULT_SEED) : parseSeed(seed)
  if (Result.isFailure(wanted)) return Result.fail(failure(EXIT.usage, `horizon: ${wanted.failure}`))
  const list = (text: string): ReadonlyArray<string> => [...new Set(text.split(",").filter((name) => name !== ""))]
  return Result.succeed({
    seed: wanted.success,
    quick: input.on["quick"] === true,
    ...(worlds === undefined ? {} : { drivers: list(worlds) }),
    ...(rows === undefined ? {} : { rows: list(rows) })
  })
}

const run = (
  calibration: Calibration,
  request: Request,
  input: Input,
  screen: Screen
): Effect.Effect<number, CommandFailure> =>
  Effect.suspend(() => {
    const abort = new AbortController()
    const progress = new CalibrateProgress(screen)
    const settled = calibration.calibrate({
      ...request,
      onEvent: (event) => progress.handle(event),
      signal: abort.signal
    })
    return Effect.tryPromise({ try: () => settled, catch: runnerFailure }).pipe(
      Effect.onInterrupt(() =>
        Effect.suspend(() => {
          abort.abort()
          // The lab that stands is taken away first.
          return Effect.timeoutOption(Effect.exit(Effect.tryPromise(() => settled)), STOP_MS)
        })
      ),
      Effect.map((document) => {
        progress.clear()
        const path = input.text["out"] ?? calibration.calibrationFile()
        if (input.on["json"] === true) screen.out(JSON.stringify(document, undefined, 2))
        else print(document, screen)
        // What was compared with nothing would take the place of something better.
        if (document.drivers.length === 0) return EXIT.skipped
        calibration.writeCalibration(path, document)
        screen.err(`calibration: ${path}`)
        return document.drivers.every(({ results }) => results.every(({ within }) => within))
          ? EXIT.pass
          : EXIT.performance
      })
    )
  })

/** What is under way: on a terminal one line that is redrawn, elsewhere a line for each round. */
class CalibrateProgress {
  private readonly screen: Screen
  private drawn = false

  constructor(screen: Screen) {
    this.screen = screen
  }

  handle(event: CalibrateEvent): void {
    const { screen } = this
    if (event.kind === "progress") {
      if (!screen.interactive) return
      screen.draw(`\r\u001b[K${event.driver} ${event.seconds.toFixed(0)} of ${event.ofSeconds.toFixed(0)} s`)
      this.drawn = true
      return
    }
    this.clear()
    if (event.kind === "machine") {
      const { idleRatio, wakeMaxNs, wakeP50Ns, wakeP99Ns } = event.machine
      screen.err(
        `this machine wakes a sleeper ${us(wakeP50Ns)} late (median), ${us(wakeP99Ns)} (p99), ${us(wakeMaxNs)} (worst); ${percent(idleRatio)} of it is idle`
      )
    } else if (event.kind === "missing") screen.err(`skipped ${event.driver}: ${event.sentence}`)
    else
      screen.err(
        `${event.driver}: ${event.round === 1 ? "" : `try ${event.round} of what was disturbed, `}${event.seconds.toFixed(0)} s`
      )
  }

  clear(): void {
    if (this.drawn) this.screen.draw("\r\u001b[K")
    this.drawn = false
  }
}

const HEAD = ["link", "goodput Mbit/s", "", "delay p50 ms", "", "p99 ms", "", "lost %", "", "late order %", "", ""]

const print = (document: CalibrationDocument, screen: Screen): void => {
  for (const driver of document.drivers) {
    screen.out(paint(screen.colorOut, "bold", `simulated → ${driver.name}: ${driver.means}`))
    const style = (cell: string, row: number, column: number): string => {
      if (row === 0) return paint(screen.colorOut, "dim", cell)
      if (column < HEAD.length - 1) return cell
      return paint(
        screen.colorOut,
        cell.startsWith("outside") ? "red" : cell.startsWith("within") ? "green" : "dim",
        cell
      )
    }
    for (const line of table([HEAD, ...driver.results.map(cells)], { style })) screen.out(line)
    printOutside(driver, screen)
  }
}

const cells = (result: CalibrationResult): ReadonlyArray<string> => {
  const { measured, row, simulated, tries, way, within } = result
  const difference = (...names: ReadonlyArray<string>): string => {
    const found = result.differences.find(({ figure }) => names.includes(figure))
    if (found === undefined) return ""
    const text = `${found.difference >= 0 ? "+" : ""}${(found.difference * 100).toFixed(2)}`
    return found.within ? text : `${text}!`
  }
  const pair = (value: (of: CalibrationResult["simulated"]) => string): string =>
    `${value(simulated)} → ${value(measured)}`
  const verdict = result.differences.length === 0 ? "looked at" : within ? "within" : "outside"
  return [
    `${row}/${way}`,
    pair(({ goodputBps }) => (goodputBps / 1e6).toFixed(2)),
    difference("goodput"),
    pair(({ delayP50Ns }) => (delayP50Ns / 1e6).toFixed(2)),
    difference("delayP50"),
    pair(({ delayP99Ns }) => (delayP99Ns / 1e6).toFixed(2)),
    difference("delayP99"),
    pair(({ received, sent }) => (100 - (100 * received) / Math.max(1, sent)).toFixed(2)),
    difference("loss", "drops"),
    pair(({ received, reordered }) => ((100 * reordered) / Math.max(1, received)).toFixed(1)),
    difference("reordered"),
    `${verdict}${tries > 1 ? `, try ${tries}` : ""}`
  ]
}

const printOutside = (driver: CalibrationDriver, screen: Screen): void => {
  const { compared, within } = summarise(driver)
  screen.out(`${within} of ${compared} streams agree`)
  for (const { causes, differences, row, way } of driver.results.filter((result) => !result.within)) {
    const figures = differences.filter((difference) => !difference.within).map(({ figure }) => figure)
    screen.out(`  ${row}/${way} (${figures.join(", ")}): ${causes.join("; ")}`)
  }
}

const us = (ns: number): string => `${Math.round(ns / 1000)} µs`
const percent = (share: number): string => `${Math.round(share * 100)} %`
