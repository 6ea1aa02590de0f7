/** Figures with their units, as people read them. Pure, and shared with the page's scripts, so that both write them alike. */

/** At most `digits` significant digits, without trailing zeros, with thousands separated by commas. */
export const significant = (value: number, digits: number = 3): string => {
  if (value === 0) return "0"
  const rounded = Number(value.toPrecision(digits))
  if (Math.abs(rounded) >= 10 ** digits) return grouped(Math.round(value))
  if (Math.abs(rounded) < 1e-6) return rounded.toExponential()
  return grouped(rounded)
}

/** A number with its integer part in groups of three. */
export const grouped = (value: number): string => {
  const [whole, fraction] = String(value).split(".")
  const separated = whole.replace(/\B(?=(\d{3})+$)/g, ",")
  return fraction === undefined ? separated : `${separated}.${fraction}`
}

/** A whole count: `12,345`. */
export const count = (value: number): string => grouped(Math.round(value))

/** `one` thing, or several: `1 check`, `3 checks`. */
export const counted = (value: number, one: string, many: string = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** A duration of nanoseconds in the unit that fits it. */
export const duration = (valueNs: number): string => {
  const size = Math.abs(valueNs)
  if (size < 1e3) return `${significant(valueNs)} ns`
  if (size < 1e6) return `${significant(valueNs / 1e3)} µs`
  if (size < 1e9) return `${significant(valueNs / 1e6)} ms`
  return `${significant(valueNs / 1e9)} s`
}

/** A moment of a run: seconds since its start, to the millisecond. */
export const moment = (atMs: number): string => `${(atMs / 1000).toFixed(3)} s`

/** A span of a run in seconds, no more digits than needed. */
export const seconds = (value: number): string => `${significant(value, value >= 100 ? 4 : 3)} s`

/** A share from 0 to 1. Rounding never turns "almost all" into 100 % or "hardly any" into 0 %. */
export const share = (part: number, whole: number): string => {
  if (whole === 0) return "–"
  const percent = (part / whole) * 100
  if (part === whole) return "100 %"
  if (part === 0) return "0 %"
  if (percent > 99.99) return "> 99.99 %"
  if (percent < 0.01) return "< 0.01 %"
  return `${percent > 99 || percent < 1 ? percent.toFixed(2) : percent.toFixed(1)} %`
}

/** How an axis or legend writes the values of a chart: multiplied by `factor`, in `unit`. */
export interface Scale {
  readonly factor: number
  readonly unit: string
}

const thousands = (unit: string): ReadonlyArray<readonly [number, string]> => [
  [1, unit],
  [1e3, `k ${unit}`],
  [1e6, `M ${unit}`]
]

/** Steps of a unit, smallest first: the largest whose step a value reaches is used. */
const LADDERS: Readonly<Record<string, ReadonlyArray<readonly [number, string]>>> = {
  "Mbit/s": [
    [1e-6, "bit/s"],
    [1e-3, "kbit/s"],
    [1, "Mbit/s"],
    [1e3, "Gbit/s"]
  ],
  "bit/s": [
    [1, "bit/s"],
    [1e3, "kbit/s"],
    [1e6, "Mbit/s"],
    [1e9, "Gbit/s"]
  ],
  "packets/s": thousands("packets/s"),
  "events/s": thousands("events/s"),
  bytes: [
    [1, "bytes"],
    [1024, "KiB"],
    [1024 ** 2, "MiB"],
    [1024 ** 3, "GiB"]
  ],
  us: [
    [1e-3, "ns"],
    [1, "µs"],
    [1e3, "ms"],
    [1e6, "s"]
  ],
  µs: [
    [1, "µs"],
    [1e3, "ms"]
  ],
  ms: [
    [1e-6, "ns"],
    [1e-3, "µs"],
    [1, "ms"],
    [1e3, "s"]
  ]
}

/** The scale in which values up to `largest` of a unit read best. */
export const scaleFor = (unit: string, largest: number): Scale => {
  const ladder = LADDERS[unit]
  if (ladder === undefined) return { factor: 1, unit }
  const reached = ladder.filter(([step]) => (largest === 0 ? step === 1 : Math.abs(largest) >= step))
  const [step, name] = reached.length === 0 ? ladder[0] : reached[reached.length - 1]
  return { factor: 1 / step, unit: name }
}

/** A value with its unit, in the scale that fits it. */
export const withUnit = (value: number, unit: string): string => {
  const scale = scaleFor(unit, value)
  return `${significant(value * scale.factor)} ${scale.unit}`
}
