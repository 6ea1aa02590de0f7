/**
 * A LinkSpec as queueing disciplines of the Linux kernel: the arguments of `tc`, or the fields that the kernel cannot do.
 *
 * The kernel has no single qdisc with the link's stages, so up to three are stacked on the device's egress:
 *
 * - no shaper: `netem` alone;
 * - a rate before a droptail queue bounded in packets: `netem` (loss … duplicate, delay), in it a second `netem` (rate, limit), whose
 *   rate gives each packet its serialisation delay; with jitter or reordering the delay is the second one's, as in the link itself.
 *   There the first one's limit also counts what the second one holds, in most kernels, so the queue is shorter by what is on its way;
 * - a rate before CoDel or a queue bounded in bytes: `netem` (loss … jitter, left out if there is none), in it `tbf`, in it `codel`.
 *
 * Where the kernel does something near to the spec but not the same, the plan says so in `notes`, for reports.
 * Sources: tc-netem(8), tc-tbf(8), tc-codel(8), tc-stab(8), iproute2 6.
 */

import type { LinkSpec } from "./spec.ts"

/** A field that tc cannot express, and why. */
export interface TcRefusal {
  readonly field: keyof LinkSpec
  readonly sentence: string
}

/** What to run: one argument list of `tc` per qdisc, in order, on a device without a root qdisc; or why it cannot be done. */
export type TcPlan =
  | { readonly ok: true; readonly qdiscs: ReadonlyArray<ReadonlyArray<string>>; readonly notes: ReadonlyArray<string> }
  | { readonly ok: false; readonly refusals: ReadonlyArray<TcRefusal> }

/** An Ethernet header, which the kernel counts in a packet's length and a LinkSpec does not. */
const ETHERNET_HEADER_BYTES = 14

/** Packets that a netem which only delays may hold: more than any delay line needs, because netem drops what is over. */
const DELAY_LINE_PACKETS = 1_000_000

/** tc counts delays in 32 bits of 64 ns. */
const DELAY_US_MAX = 270_000_000

/** netem keeps packets in order only where it has a rate; this one costs 12 ns for 1,500 bytes. */
const ORDER_KEEPING_RATE_BPS = 1_000_000_000_000

/** The plan for the egress of `device`. */
export const tcPlan = (spec: LinkSpec, device: string): TcPlan => {
  const refusals = refuse(spec)
  if (refusals.length > 0) return { ok: false, refusals }
  const stack = stackOf(spec)
  const qdiscs = stack.qdiscs.map((words, index) => [
    "qdisc",
    "add",
    "dev",
    device,
    ...(index === 0 ? ["root"] : ["parent", `${index}:1`]),
    "handle",
    `${index + 1}:`,
    ...words
  ])
  const notes = [...stack.notes]
  if (spec.corruptPpm > 0)
    notes.push("corruptPpm: netem flips a bit anywhere in the frame, its Ethernet header included")
  return { ok: true, qdiscs, notes }
}

/** The arguments of `tc` that take the plan off `device` again. */
export const tcClear = (device: string): ReadonlyArray<string> => ["qdisc", "del", "dev", device, "root"]

const refuse = (spec: LinkSpec): ReadonlyArray<TcRefusal> => {
  const refusals: Array<TcRefusal> = []
  const unless = (can: boolean, field: keyof LinkSpec, sentence: string): void => {
    if (!can) refusals.push({ field, sentence })
  }
  unless(spec.dropList.length === 0, "dropList", "tc cannot drop packets by their number")
  unless(spec.truncatePpm === 0, "truncatePpm", "tc cannot cut packets")
  unless(spec.deliveryTraceMs.length === 0, "deliveryTraceMs", "tc cannot replay a trace of delivery opportunities")
  unless(
    spec.lossPpm === 0 || spec.burstLoss === null,
    "burstLoss",
    "netem has one loss model at a time: give lossPpm or burstLoss, for example lossPpm as lossGoodPpm"
  )
  unless(
    spec.mtuBytes === 0 || spec.mtuBytes === 1500,
    "mtuBytes",
    `tc does not look at packet sizes: set the device's MTU to ${spec.mtuBytes} with ip-link(8) and plan the rest with mtuBytes 0`
  )
  unless(spec.delayUs <= DELAY_US_MAX, "delayUs", `tc cannot hold a packet longer than ${DELAY_US_MAX / 1e6} s`)
  unless(
    spec.reorderGap === null || spec.delayUs > 0 || spec.jitterUs > 0,
    "reorderGap",
    "netem reorders by letting packets skip the delay, and there is none"
  )
  return refusals
}

interface Stack {
  readonly qdiscs: ReadonlyArray<ReadonlyArray<string>>
  readonly notes: ReadonlyArray<string>
}

const stackOf = (spec: LinkSpec): Stack => {
  if (spec.rateBps === 0) return { qdiscs: [netem(DELAY_LINE_PACKETS, damage(spec), delay(spec))], notes: [] }
  if (spec.queue.kind === "codel" || bytesBind(spec)) return bucketStack(spec)
  return rateStack(spec)
}

/** Whether full-size packets fill the queue's bytes before its packets. */
const bytesBind = (spec: LinkSpec): boolean => spec.queue.bytesMax < spec.queue.packetsMax * (spec.mtuBytes || 1500)

/**
 * netem's limit counts the packet being serialised too, hence the one more. A constant delay stands before the queue, which then sees the same
 * arrivals a little later; only what changes the order or the gaps of packets must come behind it.
 */
const rateStack = (spec: LinkSpec): Stack => {
  const limit = spec.queue.packetsMax + 1
  const rate = ["rate", `${spec.rateBps}bit`, `${spec.overheadBytes - ETHERNET_HEADER_BYTES}`]
  const notes = ["queue: bytesMax is not enforced, only packetsMax"]
  if (delay(spec).length === 0) return { qdiscs: [netem(limit, damage(spec), rate)], notes }
  if (spec.duplicatePpm > 0) {
    // Recent kernels refuse a netem that duplicates above another netem.
    notes.push("duplicatePpm: the packets on their way count in the queue, because a duplicating netem stands alone")
    if (spec.jitterUs > 0 && spec.reordering === "allowed")
      notes.push("reordering: a netem with a rate keeps packets in order")
    return { qdiscs: [netem(limit, damage(spec), delayWords(spec), rate)], notes }
  }
  if (spec.jitterUs === 0 && spec.reorderGap === null)
    return { qdiscs: [netem(DELAY_LINE_PACKETS, damage(spec), delay(spec)), netem(limit, rate)], notes }
  notes.push("queue: most kernels count the packets on their way in it")
  return { qdiscs: [netem(limit, damage(spec), rate), netem(DELAY_LINE_PACKETS, delay(spec))], notes }
}

const bucketStack = (spec: LinkSpec): Stack => {
  const { queue } = spec
  const notes = ["rateBps: the first packet of a burst passes the token bucket without a serialisation delay"]
  if (delay(spec).length > 0)
    notes.push("delayUs: stands before the queue; with jitter the queue sees jittered arrivals")
  const impairments = [...damage(spec), ...delay(spec)]
  const stack =
    impairments.length > 0 ? [netem(DELAY_LINE_PACKETS, impairments), tokenBucket(spec)] : [tokenBucket(spec)]
  // The kernel takes a size table at the root only; the packet keeps the length that it got there.
  const qdiscs = stack.map((words, index) => (index === 0 ? [...sizeTable(spec), ...words] : words))
  if (queue.kind === "codel") {
    notes.push("queue: bytesMax is not enforced, only packetsMax")
    qdiscs.push([
      "codel",
      "limit",
      `${queue.packetsMax}`,
      "target",
      `${queue.targetUs}us`,
      "interval",
      `${queue.intervalUs}us`,
      queue.ecn ? "ecn" : "noecn"
    ])
  } else notes.push("queue: packetsMax is not enforced, only bytesMax")
  return { qdiscs, notes }
}

const netem = (limit: number, ...options: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  "netem",
  "limit",
  `${limit}`,
  ...options.flat()
]

/** Sets framing for what stands below: it may be negative, other than tbf's own overhead. */
const sizeTable = (spec: LinkSpec): ReadonlyArray<string> => [
  "stab",
  "overhead",
  `${spec.overheadBytes - ETHERNET_HEADER_BYTES}`,
  "linklayer",
  "ethernet"
]

/** The bucket holds 1 ms or one packet. */
const tokenBucket = (spec: LinkSpec): ReadonlyArray<string> => {
  const largest = (spec.mtuBytes || 65_535) + ETHERNET_HEADER_BYTES + spec.overheadBytes
  return [
    "tbf",
    "rate",
    `${spec.rateBps}bit`,
    "burst",
    `${Math.max(largest, Math.ceil(spec.rateBps / 8_000))}b`,
    "limit",
    `${Math.max(spec.queue.bytesMax, largest)}b`
  ]
}

const damage = (spec: LinkSpec): ReadonlyArray<string> => {
  const words: Array<string> = []
  const burst = spec.burstLoss
  if (spec.lossPpm > 0) words.push("loss", "random", percent(spec.lossPpm))
  if (burst !== null)
    words.push(
      "loss",
      "gemodel",
      percent(burst.goodToBadPpm),
      percent(burst.badToGoodPpm),
      percent(burst.lossBadPpm),
      percent(burst.lossGoodPpm)
    )
  if (spec.corruptPpm > 0) words.push("corrupt", percent(spec.corruptPpm))
  if (spec.duplicatePpm > 0) words.push("duplicate", percent(spec.duplicatePpm))
  return words
}

/** Delay, jitter and reordering of a netem without a rate of its own. */
const delay = (spec: LinkSpec): ReadonlyArray<string> => {
  const words = [...delayWords(spec)]
  if (spec.jitterUs > 0 && spec.reordering === "forbidden") words.push("rate", `${ORDER_KEEPING_RATE_BPS}bit`)
  return words
}

const delayWords = (spec: LinkSpec): ReadonlyArray<string> => {
  const words: Array<string> = []
  // Without a table netem's jitter is uniform; tc has no table of that name, and takes a table only with some delay.
  const table = spec.jitterUs > 0 && spec.distribution !== "uniform"
  if (spec.delayUs > 0 || spec.jitterUs > 0)
    words.push("delay", `${table ? Math.max(spec.delayUs, 1) : spec.delayUs}us`)
  if (spec.jitterUs > 0) words.push(`${spec.jitterUs}us`)
  if (table) words.push("distribution", spec.distribution)
  if (spec.reorderGap !== null) words.push("reorder", percent(spec.reorderGap.ppm), "gap", `${spec.reorderGap.gap}`)
  return words
}

const percent = (ppm: number): string => `${ppm / 10_000}%`
