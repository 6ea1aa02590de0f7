/**
 * Calibration: the table of links in the simulated world and on the kernels of this machine, the same scenario in each, and in what they
 * differ. A stream that differs while the machine did something else as well is measured again; what is outside the bounds then stays so,
 * with its cause.
 */

import type {
  CalibrationDocument,
  CalibrationDriver,
  CalibrationResult,
  StreamFigures
} from "@horizon/core/measure/calibration.ts"
import {
  CALIBRATION_GROUPS,
  type CalibrationRow,
  type CalibrationStream,
  PATH_ROW
} from "@horizon/scenarios/calibration/links.ts"
import { calibrationOf, groupTimes } from "@horizon/scenarios/calibration/plan.ts"
import { LabError } from "../lab/lab-error.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { commit, environment } from "../runner/provenance.ts"
import { makeSimulated } from "../world/simulated.ts"
import { causesOf, isDisturbed } from "./cause.ts"
import { compare } from "./compare.ts"
import { type CalibrationDriverKind, DRIVERS } from "./drivers.ts"
import { figuresOf } from "./figures.ts"
import type { KernelRun } from "./kernel-run.ts"
import { wakeNoise } from "./machine.ts"

export interface CalibrateOptions {
  /** Names of drivers; all that are here if left out. */
  readonly drivers?: ReadonlyArray<string>
  /** Names of rows; all if left out. */
  readonly rows?: ReadonlyArray<string>
  readonly seed: number
  /** Streams run a third as long: a look, not a calibration. */
  readonly quick: boolean
  readonly onEvent: (event: CalibrateEvent) => void
  readonly signal?: AbortSignal
}

export type CalibrateEvent =
  | { readonly kind: "machine"; readonly machine: CalibrationDocument["machine"] }
  | { readonly kind: "started"; readonly driver: string; readonly round: number; readonly seconds: number }
  | { readonly kind: "progress"; readonly driver: string; readonly seconds: number; readonly ofSeconds: number }
  | { readonly kind: "missing"; readonly driver: string; readonly sentence: string }

/** A name that is not one of the table's, with those that are. */
export class UnknownCalibrationName extends Error {
  override readonly name = "UnknownName"
}

/** Sleeps of a millisecond by which the machine's own lateness is measured. */
const WAKE_SLEEPS = 1_000
/** How often a row is measured at most. */
const TRIES_MAX = 3
/** Part of their time that streams run for in a quick calibration, and the least of it that is measured. */
const QUICK_SHARE = 1 / 3
const QUICK_SECONDS_MIN = 0.6

type Groups = ReadonlyArray<ReadonlyArray<CalibrationRow>>

export const calibrate = async (
  options: CalibrateOptions,
  known: ReadonlyArray<CalibrationDriverKind> = DRIVERS,
  sleeps: number = WAKE_SLEEPS
): Promise<CalibrationDocument> => {
  const { onEvent, quick, seed, signal } = options
  const groups = chooseRows(quick ? shortened(CALIBRATION_GROUPS) : CALIBRATION_GROUPS, options.rows)
  const kinds = chooseDrivers(known, options.drivers)
  const late = await wakeNoise(sleeps)
  const machine = {
    wakeP50Ns: late.percentile(50),
    wakeP99Ns: late.percentile(99),
    wakeMaxNs: late.max,
    idleRatio: await hostIdleRatio()
  }
  onEvent({ kind: "machine", machine })
  const simulated = await simulate(groups, seed)
  const drivers: Array<CalibrationDriver> = []
  const missing: Array<{ name: string; sentence: string }> = []
  const lack = (name: string, sentence: string): void => {
    missing.push({ name, sentence })
    onEvent({ kind: "missing", driver: name, sentence })
  }
  for (const kind of kinds) {
    if (signal?.aborted) break
    const sentence = await kind.missing()
    if (sentence !== undefined) {
      lack(kind.name, sentence)
      continue
    }
    try {
      drivers.push(await measure(kind, groups, { simulated, machine }, options))
    } catch (cause) {
      if (!(cause instanceof LabError) || cause.reason !== "missing") throw cause
      lack(kind.name, cause.message)
    }
  }
  return {
    format: "horizon-calibration/1",
    madeAt: new Date().toISOString(),
    commit: commit(),
    environment: environment(),
    seed,
    quick,
    machine,
    drivers,
    missing
  }
}

/** One group keeps together what is left of it; the link that does nothing is always measured, because others are explained by it. */
const chooseRows = (groups: Groups, names: ReadonlyArray<string> | undefined): Groups => {
  if (names === undefined) return groups
  const known = groups.flat().map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new UnknownCalibrationName(`there is no row ${JSON.stringify(unknown)}; known are ${known.join(", ")}`)
  return groups
    .map((rows) => rows.filter(({ name }) => name === PATH_ROW || names.includes(name)))
    .filter((rows) => rows.length > 0)
}

const chooseDrivers = (
  kinds: ReadonlyArray<CalibrationDriverKind>,
  names: ReadonlyArray<string> | undefined
): ReadonlyArray<CalibrationDriverKind> => {
  if (names === undefined) return kinds
  const known = kinds.map(({ name }) => name).join(", ")
  return names.map((name) => {
    const kind = kinds.find((one) => one.name === name)
    if (kind !== undefined) return kind
    throw new UnknownCalibrationName(`there is no link driver ${JSON.stringify(name)}; known are ${known}`)
  })
}

const shortened = (groups: Groups): Groups =>
  groups.map((rows) =>
    rows.map((row) => ({
      ...row,
      streams: row.streams.map((stream) => ({
        ...stream,
        seconds:
          stream.settleSeconds + Math.max(QUICK_SECONDS_MIN, (stream.seconds - stream.settleSeconds) * QUICK_SHARE)
      }))
    }))
  )

type FiguresByStream = ReadonlyMap<string, StreamFigures>

const nameOf = (row: CalibrationRow, { way }: CalibrationStream): string => `${row.name}/${way}`

const simulate = async (groups: Groups, seed: number): Promise<FiguresByStream> => {
  const outcome = await makeSimulated().run({ scenario: calibrationOf(groups), seed })
  if (outcome.failures.length > 0) throw new Error(outcome.failures[0].sentence)
  return new Map(
    groups
      .flat()
      .flatMap((row) =>
        row.streams.map((stream) => [nameOf(row, stream), figuresOf(outcome.trace.events, row, stream)!] as const)
      )
  )
}

/** All rows on one driver, those that were disturbed up to three times. */
const measure = async (
  kind: CalibrationDriverKind,
  groups: Groups,
  known: { readonly simulated: FiguresByStream; readonly machine: CalibrationDocument["machine"] },
  options: CalibrateOptions
): Promise<CalibrationDriver> => {
  const startMs = performance.now()
  const results = new Map<string, CalibrationResult>()
  const notes = new Set<string>()
  let path: FiguresByStream = new Map()
  let left = groups
  for (let round = 1; round <= TRIES_MAX && left.length > 0 && !options.signal?.aborted; round++) {
    const run = await runOnce(kind, left, round, options)
    // Half a run says nothing.
    if (options.signal?.aborted) break
    for (const note of run.notes) notes.add(note)
    const measured = read(run, left)
    if (round === 1) path = measured
    for (const result of judge(kind, left, { ...known, run, measured, path })) {
      const name = `${result.row}/${result.way}`
      const before = results.get(name)
      const better = before === undefined || result.within || result.waited < before.waited ? result : before
      results.set(name, { ...better, tries: round })
    }
    left = disturbed(left, results)
  }
  return {
    name: kind.name,
    means: kind.means,
    seconds: Math.round((performance.now() - startMs) / 1000),
    notes: [...notes],
    results: [...results.values()]
  }
}

const runOnce = (
  kind: CalibrationDriverKind,
  groups: Groups,
  round: number,
  { onEvent, seed, signal }: CalibrateOptions
): Promise<KernelRun> => {
  const scenario = calibrationOf(groups)
  const ofSeconds = scenario.durationMs / 1000
  onEvent({ kind: "started", driver: kind.name, round, seconds: ofSeconds })
  const progress = (seconds: number): void => onEvent({ kind: "progress", driver: kind.name, seconds, ofSeconds })
  return kind.run({ scenario, seed, progress, ...(signal === undefined ? {} : { signal }) })
}

/** The rows that are to be measured again, in their groups. */
const disturbed = (groups: Groups, results: ReadonlyMap<string, CalibrationResult>): Groups =>
  groups
    .map((rows) =>
      rows.filter((row) =>
        row.streams.some((stream) => {
          const result = results.get(nameOf(row, stream))
          return result === undefined || (!result.within && isDisturbed(result.measured, result.waited))
        })
      )
    )
    .filter((rows) => rows.length > 0)

const read = ({ outcome }: KernelRun, groups: Groups): FiguresByStream => {
  const figures = groups.flat().flatMap((row) =>
    row.streams.map((stream) => {
      const found = figuresOf(outcome.trace.events, row, stream)
      if (found !== undefined) return [nameOf(row, stream), found] as const
      const why = outcome.failures[0]?.sentence ?? outcome.caveats?.[0] ?? "its probe or its meter said nothing"
      throw new LabError("failed", `${nameOf(row, stream)} was not measured: ${why}`)
    })
  )
  return new Map(figures)
}

const judge = (
  kind: CalibrationDriverKind,
  groups: Groups,
  seen: {
    readonly run: KernelRun
    readonly measured: FiguresByStream
    readonly simulated: FiguresByStream
    readonly machine: CalibrationDocument["machine"]
    readonly path: FiguresByStream
  }
): ReadonlyArray<CalibrationResult> =>
  groupTimes(groups).flatMap(({ fromMs, rows, untilMs }) => {
    const waited = seen.run.machine.waited(fromMs, untilMs)
    return rows.flatMap((row) =>
      row.streams.map((stream): CalibrationResult => {
        const { compare: figures, way } = stream
        const name = nameOf(row, stream)
        const simulated = seen.simulated.get(name)!
        const measured = seen.measured.get(name)!
        const differences = compare(figures, simulated, measured)
        const ownNote = `${name}: `
        const causes = causesOf(differences, measured, {
          driver: kind.name,
          path: seen.path.get(`${PATH_ROW}/${way}`),
          wake: { p50Ns: seen.machine.wakeP50Ns, p99Ns: seen.machine.wakeP99Ns },
          count: seen.run.counts.get(row.name)?.[way],
          notes: seen.run.notes.filter((note) => note.startsWith(ownNote)).map((note) => note.slice(ownNote.length)),
          waited
        })
        const within = differences.every((difference) => difference.within)
        return { row: row.name, way, simulated, measured, differences, within, causes, tries: 1, waited }
      })
    )
  })
