/**
 * Whether scenario data is a LinkSpec. The answer is a list of problems in words, because a person wrote the data and wants
 * to see all of them at once.
 *
 * The bounds also carry the machine's arithmetic: with them every product stays below 2^53 and every queue drains within
 * 104 days, so nothing in the link rounds.
 */

import { PERFECT_LINK } from "./spec.ts"

/** Largest values of a LinkSpec's fields. Larger ones are refused. */
export const LINK_LIMITS = {
  /** One hour. */
  delayUs: 3_600_000_000,
  /** 30 s. */
  jitterUs: 30_000_000,
  ppm: 1_000_000,
  reorderGap: 1_000_000,
  dropList: 1_000_000,
  /** Smallest rate of a shaper: below, a full queue would outlast the simulator's clock. */
  rateBpsMin: 1_000,
  rateBps: 1_000_000_000_000,
  overheadBytes: 1_000,
  deliveryTraceEntries: 1_000_000,
  /** One day. */
  deliveryTraceMs: 86_400_000,
  queuePackets: 100_000,
  queueBytes: 250_000_000,
  /** 100 s. */
  codelUs: 100_000_000,
  mtuBytes: 65_535
} as const

/** What is wrong with `data` as a LinkSpec, or as a part of one: fields may be missing. Empty if nothing is. */
export const linkSpecProblems = (data: unknown): ReadonlyArray<string> => {
  const problems = linkFieldProblems(data)
  return problems.length > 0 ? problems : conflicts(data as Partial<typeof PERFECT_LINK>)
}

/**
 * As `linkSpecProblems`, but each field by itself: what the machine must have. Fields that are at odds with each other may
 * come about when faults lie over each other; then a delivery trace goes before a rate, and forbidden reordering before a gap.
 */
export const linkFieldProblems = (data: unknown): ReadonlyArray<string> => {
  if (!isRecord(data)) return [`a link is an object with fields such as delayUs, not ${show(data)}`]
  const problems: Array<string> = []
  for (const [field, value] of Object.entries(data)) {
    const check = Object.hasOwn(FIELDS, field) ? FIELDS[field as keyof typeof PERFECT_LINK] : undefined
    if (check === undefined)
      problems.push(`${field}: not a field of a link (they are ${Object.keys(FIELDS).join(", ")})`)
    else if (value === undefined) problems.push(`${field}: undefined; leave the field out to have its default`)
    else check(value, field, problems)
  }
  return problems
}

type Check = (value: unknown, where: string, problems: Array<string>) => void

const integer =
  (min: number, max: number): Check =>
  (value, where, problems) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
      problems.push(`${where}: ${show(value)} is not an integer from ${min} to ${max}`)
  }

const ppm = integer(0, LINK_LIMITS.ppm)

const flag: Check = (value, where, problems) => {
  if (typeof value !== "boolean") problems.push(`${where}: ${show(value)} is neither true nor false`)
}

const oneOf =
  (...words: ReadonlyArray<string>): Check =>
  (value, where, problems) => {
    if (!words.includes(value as string)) problems.push(`${where}: ${show(value)} is not one of ${words.join(", ")}`)
  }

const integers =
  (countMax: number, valueMax: number): Check =>
  (value, where, problems) => {
    if (!Array.isArray(value)) problems.push(`${where}: ${show(value)} is not a list`)
    else if (value.length > countMax)
      problems.push(`${where}: ${value.length} entries, at most ${countMax} are allowed`)
    else {
      const wrong = value.findIndex((entry) => !Number.isSafeInteger(entry) || entry < 0 || entry > valueMax)
      if (wrong >= 0) integer(0, valueMax)(value[wrong], `${where}[${wrong}]`, problems)
    }
  }

/** The times of a delivery trace; the last one is the length of one repetition. */
const deliveryTrace: Check = (value, where, problems) => {
  const before = problems.length
  integers(LINK_LIMITS.deliveryTraceEntries, LINK_LIMITS.deliveryTraceMs)(value, where, problems)
  if (problems.length > before) return
  const trace = value as ReadonlyArray<number>
  const falls = trace.findIndex((ms, index) => index > 0 && ms < trace[index - 1])
  if (falls > 0) problems.push(`${where}[${falls}]: ${trace[falls]} comes after ${trace[falls - 1]}; times never fall`)
  else if (trace.length > 0 && trace[trace.length - 1] === 0)
    problems.push(`${where}: the last time is the length of one repetition and must be above 0`)
}

const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, where, problems) => {
    if (!isRecord(value)) {
      problems.push(`${where}: ${show(value)} is not an object with ${Object.keys(fields).join(", ")}`)
      return
    }
    for (const [field, check] of Object.entries(fields)) {
      if (value[field] === undefined) problems.push(`${where}.${field}: missing`)
      else check(value[field], `${where}.${field}`, problems)
    }
    for (const field of Object.keys(value))
      if (!Object.hasOwn(fields, field)) problems.push(`${where}.${field}: not a field here`)
  }

const orNull =
  (check: Check): Check =>
  (value, where, problems) => {
    if (value !== null) check(value, where, problems)
  }

const QUEUE_LIMITS = {
  packetsMax: integer(0, LINK_LIMITS.queuePackets),
  bytesMax: integer(0, LINK_LIMITS.queueBytes)
}
const DROPTAIL = record({ kind: oneOf("droptail"), ...QUEUE_LIMITS })
const CODEL = record({
  kind: oneOf("codel"),
  ...QUEUE_LIMITS,
  targetUs: integer(1, LINK_LIMITS.codelUs),
  intervalUs: integer(1, LINK_LIMITS.codelUs),
  ecn: flag
})

const queue: Check = (value, where, problems) => {
  if (isRecord(value) && value["kind"] === "droptail") DROPTAIL(value, where, problems)
  else if (isRecord(value) && value["kind"] === "codel") CODEL(value, where, problems)
  else problems.push(`${where}: ${show(value)} is not an object whose kind is droptail or codel`)
}

const FIELDS: Readonly<Record<keyof typeof PERFECT_LINK, Check>> = {
  delayUs: integer(0, LINK_LIMITS.delayUs),
  jitterUs: integer(0, LINK_LIMITS.jitterUs),
  distribution: oneOf("uniform", "normal", "pareto", "paretonormal"),
  reordering: oneOf("allowed", "forbidden"),
  reorderGap: orNull(record({ gap: integer(1, LINK_LIMITS.reorderGap), ppm })),
  lossPpm: ppm,
  burstLoss: orNull(record({ goodToBadPpm: ppm, badToGoodPpm: ppm, lossBadPpm: ppm, lossGoodPpm: ppm })),
  dropList: integers(LINK_LIMITS.dropList, Number.MAX_SAFE_INTEGER),
  corruptPpm: ppm,
  truncatePpm: ppm,
  duplicatePpm: ppm,
  rateBps: (value, where, problems) => {
    if (value !== 0) integer(LINK_LIMITS.rateBpsMin, LINK_LIMITS.rateBps)(value, `${where} (0 = unlimited)`, problems)
  },
  overheadBytes: integer(0, LINK_LIMITS.overheadBytes),
  deliveryTraceMs: deliveryTrace,
  queue,
  mtuBytes: integer(0, LINK_LIMITS.mtuBytes),
  mtuAnswer: flag
}

/** What each field allows but the fields together do not. */
const conflicts = (part: Partial<typeof PERFECT_LINK>): ReadonlyArray<string> => {
  const spec = { ...PERFECT_LINK, ...part }
  const problems: Array<string> = []
  if (spec.deliveryTraceMs.length > 0 && spec.rateBps !== 0)
    problems.push("deliveryTraceMs: a link has a delivery trace or a rateBps, not both")
  if (spec.reorderGap !== null && spec.reordering === "forbidden")
    problems.push('reorderGap: lets packets overtake, which reordering "forbidden" rules out')
  return problems
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const show = (value: unknown): string => {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
