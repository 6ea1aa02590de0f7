/**
 * Planned qdiscs (argument lists of `tc`) against what the kernel says that it holds: every number of the plan is found again, and nothing
 * is there that was not planned. The kernel's table of a jitter's distribution is the one setting that it does not show.
 */

import { LabError } from "./lab-error.ts"

/** One argument list for each qdisc, as tcPlan has them. */
export type Qdiscs = ReadonlyArray<ReadonlyArray<string>>

/** One qdisc as `tc -j -d -s -r qdisc show` has it. */
export interface HeldQdisc {
  readonly kind: string
  readonly handle: string
  readonly root?: boolean
  readonly parent?: string
  readonly options: Readonly<Record<string, unknown>>
  readonly stab?: { readonly overhead?: number; readonly linklayer?: string }
  readonly bytes: number
  readonly packets: number
  readonly drops: number
  readonly overlimits: number
  readonly ecn_mark?: number
}

/** In what a device's qdiscs differ from the argument lists of a plan: nothing may. */
export const heldProblems = (planned: Qdiscs, held: ReadonlyArray<HeldQdisc>): ReadonlyArray<string> => {
  if (planned.length !== held.length)
    return [
      `${planned.length} qdiscs were planned, ${held.length} are there (${held.map(({ kind }) => kind).join(", ")})`
    ]
  return planned.flatMap((words, index) => qdiscProblems(words, held[index]))
}

/** Whether a planned qdisc is there, whatever its settings. */
export const isAt = (words: ReadonlyArray<string>, held: HeldQdisc): boolean => {
  const { kind, place } = plannedSettings(words)
  return kind === held.kind && place === placeOf(held)
}

/** tc counts time in 64 ns and prints whole microseconds, cut off. */
const ROUNDING_US = 1.1
/** tc prints six digits of a fraction. */
const ROUNDING_SHARE = 2e-5
const ROUNDING_PPM = 0.01
/** Rates are whole bytes per second. */
const ROUNDING_RATE = 1
/** A burst is shown by the time that it takes, which has been rounded twice, and in Kb or Mb where that is about it. */
const ROUNDING_BURST = 18
const ROUNDING_BURST_SHARE = 1e-3

/** A setting as planned, and as held: numbers in one unit, words as they are. */
type Settings = ReadonlyMap<string, number | string>

const qdiscProblems = (words: ReadonlyArray<string>, held: HeldQdisc): ReadonlyArray<string> => {
  const { kind, place, settings } = plannedSettings(words)
  if (kind !== held.kind || place !== placeOf(held))
    return [`${kind} at ${place} was planned, ${held.kind} at ${placeOf(held)} is there`]
  const found = heldSettings(held)
  const names = [...settings.keys(), ...[...found.keys()].filter((name) => !settings.has(name))]
  return names.flatMap((name) => {
    const wanted = settings.get(name) ?? 0
    const got = found.get(name) ?? 0
    if (wanted === got || (typeof wanted === "number" && typeof got === "number" && near(name, wanted, got))) return []
    return [`${kind} ${name} ${wanted} was planned, ${got} is there`]
  })
}

const near = (name: string, wanted: number, got: number): boolean => {
  const [unit] = name.split(" ").slice(-1)
  const absolute = { us: ROUNDING_US, ppm: ROUNDING_PPM, "B/s": ROUNDING_RATE, burst: ROUNDING_BURST }[unit] ?? 0
  const share = unit === "burst" ? ROUNDING_BURST_SHARE : ROUNDING_SHARE
  return Math.abs(wanted - got) <= absolute + Math.abs(wanted) * share
}

const placeOf = (held: HeldQdisc): string => `${held.root === true ? "root" : held.parent} ${held.handle}`

/** The settings in a plan's words, after `qdisc add dev DEVICE`. */
export const plannedSettings = (
  words: ReadonlyArray<string>
): { readonly kind: string; readonly place: string; readonly settings: Settings } => {
  const rest = words.slice(4)
  const next = (): string => rest.shift() ?? ""
  const place = next() === "root" ? "root" : next()
  next()
  const handle = next()
  const settings = new Map<string, number | string>()
  let kind = next()
  if (kind === "stab") {
    next()
    settings.set("stab overhead B", Number(next()))
    next()
    settings.set("stab linklayer", next())
    kind = next()
  }
  while (rest.length > 0) readWord(kind, next(), rest, settings)
  return { kind, place: `${place} ${handle}`, settings }
}

/** Reads one option of netem, tbf or codel and what belongs to it off the words. */
const readWord = (kind: string, word: string, rest: Array<string>, settings: Map<string, number | string>): void => {
  const number = (): number => Number.parseFloat(rest.shift() ?? "")
  const ppm = (): number => number() * 10_000
  const is = (pattern: RegExp): boolean => pattern.test(rest[0] ?? "")
  switch (word) {
    case "limit":
      return void settings.set("limit", number())
    case "delay":
      settings.set("delay us", number())
      if (is(/us$/)) settings.set("jitter us", number())
      return
    case "distribution":
      // Not shown by the kernel.
      return void rest.shift()
    case "loss":
      if (rest.shift() === "random") return void settings.set("loss ppm", ppm())
      for (const name of ["p", "r", "1-h", "1-k"]) settings.set(`gemodel ${name} ppm`, ppm())
      return
    case "corrupt":
    case "duplicate":
    case "reorder":
      return void settings.set(`${word} ppm`, ppm())
    case "gap":
      return void settings.set("gap", number())
    case "rate":
      // Bits to bytes.
      settings.set("rate B/s", Math.floor(number() / 8))
      if (kind === "netem" && is(/^-?\d+$/)) settings.set("packet overhead B", number())
      return
    case "burst":
      return void settings.set("burst", number())
    case "target":
    case "interval":
      return void settings.set(`${word} us`, number())
    case "ecn":
      return void settings.set("ecn", 1)
    case "noecn":
      return
    default:
      throw new LabError("failed", `tc option "${word}": a planned option must be one that can be read back`)
  }
}

/** The settings that a qdisc's JSON shows; those at rest are left out. */
const heldSettings = ({ kind, options, stab }: HeldQdisc): Settings => {
  const settings = new Map<string, number | string>()
  const put = (name: string, value: unknown, factor = 1): void => {
    if (typeof value === "number" && value !== 0) settings.set(name, value * factor)
  }
  const part = (name: string): Record<string, unknown> => (options[name] ?? {}) as Record<string, unknown>
  put("stab overhead B", stab?.overhead)
  if (stab?.linklayer !== undefined) settings.set("stab linklayer", stab.linklayer)
  put("limit", options["limit"])
  if (options["ecn"] === true) settings.set("ecn", 1)
  if (kind === "netem") {
    const { delay, rate } = { delay: part("delay"), rate: part("rate") }
    put("delay us", delay["delay"], 1e6)
    put("jitter us", delay["jitter"], 1e6)
    put("loss ppm", part("loss-random")["loss"], 1e6)
    for (const name of ["p", "r", "1-h", "1-k"]) put(`gemodel ${name} ppm`, part("loss-gemodel")[name], 1e6)
    for (const name of ["corrupt", "duplicate", "reorder"]) put(`${name} ppm`, part(name)[name], 1e6)
    put("gap", options["gap"])
    put("rate B/s", rate["rate"])
    put("packet overhead B", rate["packetoverhead"])
    for (const name of ["delay", "loss-random", "corrupt", "duplicate", "reorder"])
      put(`${name} correlation`, part(name)["correlation"])
    put("cell size", rate["cellsize"])
    if (options["loss-state"] !== undefined) settings.set("loss-state", "set")
    if (options["slot"] !== undefined) settings.set("slot", "set")
  } else if (kind === "tbf") {
    put("rate B/s", options["rate"])
    put("burst", sizeBytes(String(options["burst"])))
    put("peak rate", options["peakrate"])
  } else {
    put("target us", options["target"])
    put("interval us", options["interval"])
  }
  return settings
}

/** A size as tc prints it, `1514b/1` or `64Kb/1`: after the stroke is what one cell of a rate table stands for. */
const sizeBytes = (text: string): number => {
  const [, size, unit] = /^([\d.]+)([KM]?)b/.exec(text) ?? []
  return Number(size) * (unit === "K" ? 1024 : unit === "M" ? 1024 ** 2 : 1)
}
