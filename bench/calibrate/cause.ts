/** Why a stream on a kernel differs from the simulated one: what is known of its surroundings, held against the size of the difference. */

import type { FigureDifference, StreamFigures } from "@horizon/core/measure/calibration.ts"
import type { LinkCount } from "../lab/link-driver.ts"

/** What is known besides the figures. */
export interface Surroundings {
  readonly driver: string
  /** What the same way of the driver adds with a link that does nothing; `undefined` if that was not measured. */
  readonly path: StreamFigures | undefined
  /** How late this machine wakes a sleeper, which a delay on a kernel is. */
  readonly wake: { readonly p50Ns: number; readonly p99Ns: number }
  /** What the driver counted for this way of the link. */
  readonly count: LinkCount | undefined
  /** What the driver says that it does only nearly on this way of the link. */
  readonly notes: ReadonlyArray<string>
  /** Share of the time that what makes the links waited for a processor. */
  readonly waited: number
}

/** More than this shows in the 99th percentile of delay, which one datagram in a hundred makes. */
const WAITED_MAX = 0.005
/** A sender on a quiet machine is less late than this, and one that is later sends in bursts what the plan spreads evenly. */
const LATE_NS_MAX = 500_000
/** Share of the frames that a driver may lose before it shows in the goodput. */
const OVERRUN_MAX = 0.005

/** Whether something else than the link may be to blame. */
export const isDisturbed = (measured: StreamFigures, waited: number): boolean =>
  waited > WAITED_MAX || measured.lateP99Ns > LATE_NS_MAX

/** Sentences, the strongest first; at least one if a figure lies outside. */
export const causesOf = (
  differences: ReadonlyArray<FigureDifference>,
  measured: StreamFigures,
  around: Surroundings
): ReadonlyArray<string> => {
  const outside = differences.filter(({ within }) => !within)
  if (outside.length === 0) return []
  const tooSlow = overrun(measured, around)
  const causes = [
    ...tooSlow,
    ...busy(measured, around),
    ...ownPath(outside, measured, around),
    // What a driver that loses frames does besides is not known.
    ...(tooSlow.length > 0 ? [] : nearly(outside, around))
  ]
  return causes.length > 0 ? causes : [`not known: ${outside.map(({ figure }) => figure).join(", ")}`]
}

const overrun = (measured: StreamFigures, { count, driver }: Surroundings): ReadonlyArray<string> => {
  const lost = count?.overrun ?? 0
  return lost > OVERRUN_MAX * measured.sent
    ? [`the driver ${driver} is too slow for this link: it came too late for ${lost} of ${measured.sent} frames`]
    : []
}

/**
 * The driver's own way is in every delay, and so is one wake-up; where the link's delay is short, they are a large part of it. What is far out
 * on a busy machine says nothing about them.
 */
const ownPath = (
  outside: ReadonlyArray<FigureDifference>,
  stream: StreamFigures,
  { driver, path, waited, wake }: Surroundings
): ReadonlyArray<string> => {
  if (path === undefined) return []
  const own: Readonly<Record<string, readonly [pathNs: number, wakeNs: number, name: string]>> = {
    delayP50: [path.delayP50Ns, wake.p50Ns, "median"],
    ...(isDisturbed(stream, waited) ? {} : { delayP99: [path.delayP99Ns, wake.p99Ns, "p99"] })
  }
  return outside.flatMap(({ figure, measured, simulated }) => {
    const addedNs = measured - simulated
    const known = own[figure]
    if (known === undefined || addedNs <= 0) return []
    const [pathNs, wakeNs, name] = known
    if (addedNs > PATH_SLACK * (pathNs + wakeNs)) return []
    return [
      `the driver ${driver} itself takes ${us(pathNs)} (${name} of a link that does nothing) and a wake-up ${us(wakeNs)}; here they added ${us(addedNs)}`
    ]
  })
}

/** What a path adds varies from row to row. */
const PATH_SLACK = 1.5

const busy = (measured: StreamFigures, { waited }: Surroundings): ReadonlyArray<string> => {
  if (!isDisturbed(measured, waited)) return []
  return [
    `the machine was busy: what makes the links waited for a processor ${(waited * 100).toFixed(1)} % of the time, and the sender was ${us(measured.lateP99Ns)} late (p99)`
  ]
}

const nearly = (outside: ReadonlyArray<FigureDifference>, { notes }: Surroundings): ReadonlyArray<string> => {
  const fields = new Set(outside.flatMap(({ figure }) => FIELDS[figure] ?? []))
  return notes
    .filter((note) => fields.has(note.split(":", 1)[0]))
    .map((note) => `the kernel does it only nearly: ${note}`)
}

/** Fields of a LinkSpec that a figure depends on. */
const FIELDS: Readonly<Record<string, ReadonlyArray<string>>> = {
  goodput: ["rateBps"],
  delayP50: ["delayUs", "rateBps", "queue"],
  delayP99: ["delayUs", "rateBps", "queue"],
  drops: ["rateBps", "queue"],
  duplicates: ["duplicatePpm"],
  reordered: ["reordering"]
}

const us = (ns: number): string => `${Math.round(ns / 1000)} µs`
