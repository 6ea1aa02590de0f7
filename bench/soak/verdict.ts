/** Judges a soak: what must hold of its memory, descriptors, books and logs, as bars of the bench document. */

import type { BenchMust } from "@horizon/core/measure/bench.ts"
import { must } from "../section/section.ts"
import { type Balance, balancesOf } from "./ledger.ts"
import { type Snapshot, sumIn, valueIn } from "./node-figures.ts"
import type { Holding } from "./process-watch.ts"
import { slopeOf } from "./slope.ts"
import type { SoakNode, SoakOutcome } from "./soak.ts"

/** Memory and descriptors are judged from here on: caches fill, code is compiled, the heap finds its size. */
export const WARM_UP_SECONDS = 60
/** Growth of memory over the rest of the soak by its trend, in percent of the median: what a heap breathes. */
const GROWTH_PERCENT_MAX = 5
/** A trend of less time says nothing. */
const TREND_SECONDS_MIN = 120
/** Kept-alive HTTP connections are closed and opened as they are needed. */
const CONNECTIONS_MAX = 2
/**
 * A typical member: 1,000 packets a second in both directions together, day and night. That is a remote desk with calls and a backup, or
 * 43 GB a day each way at 1,000 bytes a packet.
 */
const MEMBER_PER_SECOND = 1_000
export const MEMBER_DAY_PACKETS = MEMBER_PER_SECOND * 86_400
/** A soak of this length must pass a day's worth. */
const DAY_SECONDS_MIN = 600

/** Memory of one process after its warm-up. */
export interface Trend {
  readonly medianBytes: number
  readonly lastBytes: number
  /** By the trend (Theil and Sen), from the end of the warm-up to the end. */
  readonly growthBytes: number
  /** Most descriptors in the first and in the second half. */
  readonly descriptors: readonly [number, number]
  /** Length of what was judged. */
  readonly seconds: number
}

export const trendOf = (holdings: ReadonlyArray<Holding>): Trend | undefined => {
  const endSeconds = holdings.at(-1)?.atSeconds ?? 0
  // A short soak has no warm-up worth the name: half of it.
  const fromSeconds = Math.min(WARM_UP_SECONDS, endSeconds / 2)
  const judged = holdings.filter(({ atSeconds }) => atSeconds >= fromSeconds)
  if (judged.length < 2) return undefined
  const rss = judged.map(({ rssBytes }) => rssBytes)
  const seconds = endSeconds - judged[0].atSeconds
  const halfAt = judged[0].atSeconds + seconds / 2
  const most = (part: ReadonlyArray<Holding>): number => Math.max(0, ...part.map(({ descriptors }) => descriptors))
  return {
    medianBytes: [...rss].sort((a, b) => a - b)[Math.floor(rss.length / 2)],
    lastBytes: rss[rss.length - 1],
    growthBytes:
      slopeOf(
        judged.map(({ atSeconds }) => atSeconds),
        rss
      ) * seconds,
    descriptors: [
      most(judged.filter(({ atSeconds }) => atSeconds < halfAt)),
      most(judged.filter(({ atSeconds }) => atSeconds >= halfAt))
    ],
    seconds
  }
}

/** The balances of both nodes over the whole load. */
export const booksOf = ({ figures }: SoakOutcome): ReadonlyArray<Balance> =>
  (["gateway", "client"] as const).flatMap((node) => {
    const of = figures[node]
    return of.length < 2 ? [] : balancesOf(node, of[0], of[of.length - 1])
  })

/**
 * Datagrams with data that one node sent and the other one did not receive, since they were started. The nodes' own are left out, because some
 * are always sent between the last snapshot of one node and that of the other; data is not, when the load is over.
 */
export interface Lost {
  readonly from: SoakNode
  readonly to: SoakNode
  readonly sent: number
  readonly received: number
}

export const lostOf = ({ figures }: SoakOutcome): ReadonlyArray<Lost> =>
  (
    [
      ["client", "gateway"],
      ["gateway", "client"]
    ] as const
  ).flatMap(([from, to]) => {
    const [sent, received] = [figures[from].at(-1), figures[to].at(-1)]
    if (sent === undefined || received === undefined) return []
    return [{ from, to, sent: dataIn(sent, from, DATA.sent), received: dataIn(received, to, DATA.received) }]
  })

/** Where datagrams are counted, and what of them is a node's own; a node has no figures of what it does not do. */
const DATA = {
  sent: {
    all: "udp.packets-out",
    own: [
      "handshake.packets-out",
      "probe.packets-out",
      "session.control-out",
      // A client's proofs, and the gateway's answers to them: nobody else asks the gateway for an echo in a soak.
      "proof.packets-out",
      "echo-replies"
    ]
  },
  received: {
    all: "udp.packets-in",
    own: [
      "handshake.packets-in",
      "probe.packets-in",
      "datagram-dropped.stray",
      "datagram-dropped.unattended",
      "session.control-in",
      "proof.packets-in",
      "echo-replies"
    ]
  }
} as const

const dataIn = (snapshot: Snapshot, node: SoakNode, { all, own }: (typeof DATA)[keyof typeof DATA]): number =>
  own.reduce((left, figure) => left - valueIn(snapshot, `${node}.${figure}`), valueIn(snapshot, `${node}.${all}`))

/** Tunnel packets that the gateway has decided upon. */
export const packetsOf = ({ figures }: SoakOutcome): number => {
  const decided = (snapshot: Snapshot): number =>
    valueIn(snapshot, "gateway.delivered") + sumIn(snapshot, "gateway.dropped.")
  const { gateway } = figures
  return gateway.length < 2 ? 0 : decided(gateway[gateway.length - 1]) - decided(gateway[0])
}

export const mustsOf = (outcome: SoakOutcome, seconds: number): ReadonlyArray<BenchMust> => [
  ...[...outcome.holdings].flatMap(([node, holdings]) => memoryMusts(node, trendOf(holdings), seconds)),
  ...bookMusts(outcome),
  ...lossMusts(outcome),
  must(
    {
      name: "troubles",
      sentence: "errors in logs, nodes that ended, traces that are not whole",
      relation: "at most",
      bound: 0,
      unit: "count"
    },
    outcome.troubles.length
  ),
  must(
    {
      name: "sessions",
      sentence: "sessions of the client: one, never lost",
      relation: "at most",
      bound: 1,
      unit: "count"
    },
    outcome.sessions
  ),
  ...(seconds < DAY_SECONDS_MIN ? [] : [dayMust(outcome)])
]

const memoryMusts = (node: string, trend: Trend | undefined, seconds: number): ReadonlyArray<BenchMust> => {
  const growth = must(
    {
      name: `memory ${node}`,
      sentence: `memory of the ${node}: growth after its warm-up, by the trend`,
      relation: "at most",
      bound: GROWTH_PERCENT_MAX,
      unit: "%",
      at: { table: "processes", row: node, column: "growth" }
    },
    trend === undefined ? undefined : (trend.growthBytes / trend.medianBytes) * 100
  )
  const descriptors = must(
    {
      name: `descriptors ${node}`,
      sentence: `descriptors of the ${node}: most in the second half; as in the first, and ${CONNECTIONS_MAX} for connections to the broker that come and go`,
      relation: "at most",
      bound: (trend?.descriptors[0] ?? 0) + CONNECTIONS_MAX,
      unit: "count",
      at: { table: "processes", row: node, column: "descriptors" }
    },
    trend?.descriptors[1]
  )
  return seconds < TREND_SECONDS_MIN ? [descriptors] : [growth, descriptors]
}

const bookMusts = (outcome: SoakOutcome): ReadonlyArray<BenchMust> => {
  return (["gateway", "client"] as const).map((node) => {
    const of = outcome.figures[node]
    // From each snapshot to the next, so that one packet too few does not make up for one too many at another time.
    const balances = of.slice(1).flatMap((to, index) => balancesOf(node, of[index], to))
    const wrong = balances.filter(({ unexplained }) => unexplained !== 0)
    const sentences = [...new Set(wrong.map(({ sentence }) => `; ${sentence}`))]
    return must(
      {
        name: `books ${node}`,
        sentence: `books of the ${node}: packets that nothing explains, at each stage from each snapshot to the next${sentences.join("")}`,
        relation: "at most",
        bound: 0,
        unit: "packets"
      },
      balances.length === 0 ? undefined : wrong.reduce((sum, { unexplained }) => sum + Math.abs(unexplained), 0)
    )
  })
}

const lossMusts = (outcome: SoakOutcome): ReadonlyArray<BenchMust> => {
  const named = Object.values(outcome.kernelDrops).reduce((sum, count) => sum + count, 0)
  // The kernel counts a burst of many datagrams as one, so how many its counters explain is not known.
  const unnamed = (lost: number): number => (named > 0 ? 0 : Math.max(0, lost))
  const losses = lostOf(outcome)
  return [
    must(
      {
        name: "losses",
        sentence: "datagrams lost between the nodes that no counter of the kernel names",
        relation: "at most",
        bound: 0,
        unit: "packets"
      },
      losses.length === 0 ? undefined : losses.reduce((sum, { received, sent }) => sum + unnamed(sent - received), 0)
    )
  ]
}

const dayMust = (outcome: SoakOutcome): BenchMust =>
  must(
    {
      name: "a day",
      sentence: `packets through the tunnel, beside 24 hours of a typical member (${MEMBER_PER_SECOND.toLocaleString("en")} a second in both directions together)`,
      relation: "at least",
      bound: MEMBER_DAY_PACKETS,
      unit: "packets"
    },
    packetsOf(outcome)
  )
