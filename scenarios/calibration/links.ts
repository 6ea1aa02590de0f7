/**
 * The links by which the simulator is held against a kernel, as data: what the link does in each way, which streams of datagrams are put
 * onto it, and which figures of theirs must agree. Every world runs the same table (plan.ts makes a scenario of it).
 */

import type { GilbertElliott, LinkSpec } from "@horizon/core/link/spec.ts"

/**
 * What is compared between worlds. Goodput, delays and the drops of a full queue agree within a tolerance; what chance decides (loss, its
 * runs, duplicates, reordering) agrees within the statistical error of the samples.
 */
export type LinkFigure =
  | "goodput"
  | "delayP50"
  | "delayP99"
  | "drops"
  | "loss"
  | "lossRuns"
  | "duplicates"
  | "reordered"

export interface CalibrationStream {
  /** The way of the row's link that it takes. */
  readonly way: "up" | "down"
  /** UDP payload of a datagram. */
  readonly bytes: number
  /** Datagrams that leave together, and the time from one burst to the next. */
  readonly burst: number
  readonly periodNs: number
  readonly seconds: number
  /** How long a queue needs to fill: what was sent before is not measured. */
  readonly settleSeconds: number
  /** What is compared; nothing for a stream that is only looked at. */
  readonly compare: ReadonlyArray<LinkFigure>
}

export interface CalibrationRow {
  /** kebab-case; also the name of the host at the end of the link. */
  readonly name: string
  readonly up: Partial<LinkSpec>
  readonly down: Partial<LinkSpec>
  readonly streams: ReadonlyArray<CalibrationStream>
}

/** IPv4 and UDP headers: what a link counts of a datagram besides its payload. */
const HEADERS_BYTES = 28

const both = (spec: Partial<LinkSpec>): Pick<CalibrationRow, "up" | "down"> => ({ up: spec, down: spec })

/** A light stream, paced, that no queue notices. */
const paced = (
  way: "up" | "down",
  perSecond: number,
  seconds: number,
  compare: ReadonlyArray<LinkFigure>
): CalibrationStream => ({
  way,
  bytes: 200,
  burst: 1,
  periodNs: Math.round(1e9 / perSecond),
  seconds,
  settleSeconds: 0,
  compare
})

/** No simple ratio: each datagram would meet the queue in one of a few states, which no real sender keeps up. */
const OVERLOAD = 1.53

/** Datagrams at `load` times the rate of the link. */
const flood = (
  way: "up" | "down",
  { rateBps = 0, overheadBytes = 0 }: Partial<LinkSpec>,
  options: {
    readonly bytes: number
    readonly load?: number
    readonly burst?: number
    readonly seconds: number
    readonly settleSeconds: number
    readonly compare?: ReadonlyArray<LinkFigure>
  }
): CalibrationStream => {
  const { burst = 1, bytes, compare = QUEUED, load = OVERLOAD, seconds, settleSeconds } = options
  const periodNs = Math.round((burst * (bytes + HEADERS_BYTES + overheadBytes) * 8e9) / (rateBps * load))
  return { way, bytes, burst, periodNs, seconds, settleSeconds, compare }
}

const DELAY: ReadonlyArray<LinkFigure> = ["goodput", "delayP50", "delayP99", "loss"]
const QUEUED: ReadonlyArray<LinkFigure> = ["goodput", "delayP50", "delayP99", "drops"]
const ORDER: ReadonlyArray<LinkFigure> = ["goodput", "delayP50", "delayP99", "loss", "reordered"]
const LOSS: ReadonlyArray<LinkFigure> = ["goodput", "delayP50", "delayP99", "loss", "lossRuns"]

const droptail = (packetsMax: number): Pick<LinkSpec, "queue"> => ({
  queue: { kind: "droptail", packetsMax, bytesMax: packetsMax * 1500 }
})

const codel = (packetsMax: number): Pick<LinkSpec, "queue"> => ({
  queue: {
    kind: "codel",
    packetsMax,
    bytesMax: packetsMax * 1500,
    targetUs: 5_000,
    intervalUs: 100_000,
    ecn: false
  }
})

const delayRow = (delayMs: number): CalibrationRow => ({
  name: `delay-${delayMs}ms`,
  ...both({ delayUs: delayMs * 1000 }),
  streams: [paced("up", 250, 3, DELAY), paced("down", 250, 3, DELAY)]
})

/** Bursts of some 14 packets of which four in five are lost: 4 % in the long run. */
const BURSTS: GilbertElliott = { goodToBadPpm: 3_700, badToGoodPpm: 70_000, lossBadPpm: 800_000, lossGoodPpm: 0 }

const slow = { delayUs: 20_000, rateBps: 256_000, ...droptail(10) }
const small = { delayUs: 5_000, rateBps: 5_000_000, overheadBytes: 38, ...droptail(50) }
const inBytes = {
  delayUs: 5_000,
  rateBps: 5_000_000,
  queue: { kind: "droptail", packetsMax: 1_000, bytesMax: 30_000 }
} as const
const fast = { delayUs: 5_000, rateBps: 100_000_000, ...droptail(100) }
const gigabit = { delayUs: 2_000, rateBps: 1_000_000_000, ...droptail(500) }
const lawful = { delayUs: 10_000, rateBps: 5_000_000, ...codel(1_000) }
const lawfulFast = { delayUs: 5_000, rateBps: 100_000_000, ...codel(200) }
const homeUp = { delayUs: 8_000, rateBps: 20_000_000, ...droptail(60) }
const homeDown = { delayUs: 8_000, rateBps: 100_000_000, ...droptail(120) }

/** The way to the host and back with a link that does nothing: what a world adds by itself. Looked at and not compared. */
export const PATH_ROW = "path"

/** Rows of one group run at the same time, because they do not disturb each other. */
export const CALIBRATION_GROUPS: ReadonlyArray<ReadonlyArray<CalibrationRow>> = [
  [{ name: PATH_ROW, ...both({}), streams: [paced("up", 250, 3, []), paced("down", 250, 3, [])] }],
  [delayRow(1)],
  [delayRow(5)],
  [delayRow(20), delayRow(50), delayRow(100), delayRow(300)],
  [
    {
      name: "jitter-normal",
      ...both({ delayUs: 50_000, jitterUs: 10_000 }),
      streams: [paced("up", 400, 5, ORDER)]
    },
    {
      name: "jitter-paretonormal",
      ...both({ delayUs: 30_000, jitterUs: 3_000, distribution: "paretonormal" }),
      streams: [paced("up", 400, 5, ORDER)]
    }
  ],
  [{ name: "loss-1-percent", ...both({ delayUs: 5_000, lossPpm: 10_000 }), streams: [paced("up", 2_000, 4, LOSS)] }],
  [
    { name: "loss-10-percent", ...both({ delayUs: 5_000, lossPpm: 100_000 }), streams: [paced("up", 1_000, 5, LOSS)] },
    {
      name: "reorder-gap",
      ...both({ delayUs: 10_000, reorderGap: { gap: 5, ppm: 500_000 } }),
      // No multiple of the delay: who skips it never comes together with who did not.
      streams: [paced("up", 930, 5, ["goodput", "delayP50", "delayP99", "loss", "reordered"])]
    }
  ],
  [{ name: "loss-bursts", ...both({ delayUs: 5_000, burstLoss: BURSTS }), streams: [paced("up", 2_000, 6, LOSS)] }],
  [
    {
      name: "duplication",
      ...both({ delayUs: 5_000, duplicatePpm: 20_000 }),
      streams: [paced("up", 1_000, 5, ["goodput", "delayP50", "delayP99", "loss", "duplicates"])]
    },
    {
      name: "jitter-uniform-ordered",
      ...both({ delayUs: 20_000, jitterUs: 5_000, distribution: "uniform", reordering: "forbidden" }),
      streams: [paced("up", 400, 5, ORDER)]
    }
  ],
  [
    {
      name: "rate-256k",
      ...both(slow),
      streams: [flood("up", slow, { bytes: 1200, seconds: 9, settleSeconds: 2 })]
    },
    {
      name: "rate-5m-small",
      ...both(small),
      streams: [flood("up", small, { bytes: 172, seconds: 4, settleSeconds: 1 })]
    },
    {
      name: "rate-5m-bytes",
      ...both(inBytes),
      streams: [flood("up", inBytes, { bytes: 1200, seconds: 4, settleSeconds: 1 })]
    },
    {
      name: "codel-5m",
      ...both(lawful),
      streams: [flood("up", lawful, { bytes: 1200, load: 1.11, seconds: 8, settleSeconds: 3 })]
    }
  ],
  [
    {
      name: "rate-100m",
      ...both(fast),
      streams: [flood("up", fast, { bytes: 1200, burst: 4, seconds: 2, settleSeconds: 0.5 })]
    }
  ],
  [
    {
      name: "codel-100m",
      ...both(lawfulFast),
      streams: [flood("up", lawfulFast, { bytes: 1200, burst: 4, seconds: 3, settleSeconds: 1 })]
    }
  ],
  [
    {
      name: "home-line",
      up: homeUp,
      down: homeDown,
      streams: [
        flood("up", homeUp, { bytes: 1200, load: 1.21, burst: 2, seconds: 3, settleSeconds: 1 }),
        flood("down", homeDown, { bytes: 1200, load: 1.21, burst: 4, seconds: 3, settleSeconds: 1 })
      ]
    }
  ],
  [
    {
      name: "rate-1g",
      ...both(gigabit),
      streams: [flood("up", gigabit, { bytes: 1472, burst: 16, seconds: 2, settleSeconds: 0.5 })]
    }
  ]
]

/** All rows, in the order in which they run. */
export const CALIBRATION_ROWS: ReadonlyArray<CalibrationRow> = CALIBRATION_GROUPS.flat()
