/** Minutes of the tunnel at full rate: no leak, no lost descriptor, books that balance. */

import type { BenchRow, BenchTable } from "@horizon/core/measure/bench.ts"
import type { TimeSeries } from "@horizon/core/measure/document.ts"
import { nativeMissing } from "@horizon/real/native.ts"
import { missingTool } from "../lab/command.ts"
import { pairMissing } from "../net/pair.ts"
import { tunMissing } from "../peers/peer.ts"
import { type Snapshot, valueIn } from "../soak/node-figures.ts"
import { runSoak, type SoakOutcome } from "../soak/soak.ts"
import { booksOf, lostOf, MEMBER_DAY_PACKETS, mustsOf, packetsOf, trendOf, WARM_UP_SECONDS } from "../soak/verdict.ts"
import { figuresOf, type Section, type SectionRequest } from "./section.ts"

const MINUTES = 10
const SHORT_SECONDS = 10
const PACKETS_PER_SECOND = 20_000
const SAMPLE_SECONDS = 5
const SHORT_SAMPLE_SECONDS = 1

const secondsOf = (request: SectionRequest): number =>
  request.minutes === undefined
    ? request.effort === "record"
      ? MINUTES * 60
      : SHORT_SECONDS
    : Math.round(request.minutes * 60)

export const soak: Section = {
  name: "soak",
  title: "Soak",
  summary:
    "Gateway and client as shipped, in two network namespaces, at full rate: one TCP stream each way as fast as it goes, UDP both ways beside it. Memory and descriptors of each process are looked at all the time; the nodes' own counters must explain every packet.",
  estimateSeconds: (request) => secondsOf(request) + 20,
  missing: () =>
    pairMissing() ??
    nativeMissing() ??
    tunMissing() ??
    missingTool("iperf3") ??
    missingTool("ping") ??
    missingTool("cc"),
  measure: async (request) => {
    const seconds = secondsOf(request)
    const { onProgress, packetsPerSecond = PACKETS_PER_SECOND, signal } = request
    const sampleSeconds = seconds <= 60 ? SHORT_SAMPLE_SECONDS : SAMPLE_SECONDS
    const outcome = await runSoak({ seconds, packetsPerSecond, sampleSeconds, signal, onProgress })
    return {
      rounds: 1,
      idleRatio: outcome.idleRatio,
      tables: [trafficTable(outcome), processTable(outcome), bookTable(outcome), lossTable(outcome)],
      musts: mustsOf(outcome, seconds),
      series: [...memorySeries(outcome), ...descriptorSeries(outcome), ...rateSeries(outcome)],
      notes: notesOf(outcome, seconds)
    }
  }
}

const trafficTable = ({ load }: SoakOutcome): BenchTable => {
  const row = (name: "forward" | "backward", title: string): BenchRow => {
    const { received, sent } = load.udp[name]
    return {
      name,
      title,
      kind: "ours",
      figures: figuresOf({
        tcp: [load.tcpBitsPerSecond[name]],
        sent: [sent],
        received: [received],
        lost: [sent === 0 ? 0 : Math.max(0, 1 - received / sent) * 100]
      })
    }
  }
  return {
    name: "traffic",
    title: "What passed the tunnel",
    rowTitle: "direction",
    columns: [
      { name: "tcp", title: "TCP", unit: "bit/s", better: "more", chart: false },
      { name: "sent", title: "UDP sent", unit: "packets", better: "more", chart: false },
      { name: "received", title: "UDP received", unit: "packets", better: "more", chart: false },
      { name: "lost", title: "UDP lost", unit: "%", better: "less", chart: false }
    ],
    rows: [row("forward", "gateway to client"), row("backward", "client to gateway")]
  }
}

const processTable = ({ holdings }: SoakOutcome): BenchTable => ({
  name: "processes",
  title: "What the processes hold",
  rowTitle: "process",
  columns: [
    { name: "first", title: "memory at first", unit: "bytes", better: "less", chart: false },
    { name: "median", title: "median after warm-up", unit: "bytes", better: "less", chart: false },
    { name: "last", title: "at last", unit: "bytes", better: "less", chart: false },
    { name: "growth", title: "trend after warm-up", unit: "%", better: "less", chart: false },
    { name: "descriptors", title: "descriptors", unit: "count", better: "less", chart: false }
  ],
  rows: [...holdings].map(([node, held]): BenchRow => {
    const trend = trendOf(held)
    return {
      name: node,
      title: node,
      kind: "ours",
      figures: figuresOf({
        first: held.slice(0, 1).map(({ rssBytes }) => rssBytes),
        ...(trend === undefined
          ? {}
          : {
              median: [trend.medianBytes],
              last: [trend.lastBytes],
              growth: [(trend.growthBytes / trend.medianBytes) * 100],
              descriptors: [trend.descriptors[1]]
            })
      })
    }
  })
})

const bookTable = (outcome: SoakOutcome): BenchTable => ({
  name: "books",
  title: "Books of the nodes: in = out + dropped by reason",
  rowTitle: "stage",
  columns: [
    { name: "in", title: "in", unit: "packets", better: "more", chart: false },
    { name: "out", title: "out", unit: "packets", better: "more", chart: false },
    { name: "dropped", title: "dropped", unit: "packets", better: "less", chart: false },
    { name: "own", title: "the node's own", unit: "packets", better: "less", chart: false },
    { name: "unexplained", title: "unexplained", unit: "packets", better: "less", chart: false }
  ],
  rows: booksOf(outcome).map(({ dropped, kept, made, node, packetsIn, packetsOut, sentence, unexplained }) => {
    const about = [wordsOf("dropped", dropped), wordsOf("ended here", kept), wordsOf("began here", made)].filter(
      Boolean
    )
    return {
      name: `${node}: ${sentence}`,
      title: `${node}: ${sentence}`,
      kind: "ours",
      ...(about.length === 0 ? {} : { about: about.join("; ") }),
      figures: figuresOf({
        in: [packetsIn],
        out: [packetsOut],
        dropped: [sumOf(dropped)],
        own: [sumOf(kept) + sumOf(made)],
        unexplained: [unexplained]
      })
    }
  })
})

const wordsOf = (title: string, counts: Readonly<Record<string, number>>): string => {
  const words = Object.entries(counts).map(([name, count]) => `${name} ${count.toLocaleString("en")}`)
  return words.length === 0 ? "" : `${title}: ${words.join(", ")}`
}

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

const lossTable = (outcome: SoakOutcome): BenchTable => ({
  name: "losses",
  title: "Datagrams with data between the nodes",
  rowTitle: "direction",
  columns: [
    { name: "sent", title: "sent", unit: "packets", better: "more", chart: false },
    { name: "received", title: "received", unit: "packets", better: "more", chart: false },
    { name: "lost", title: "lost in the kernel", unit: "packets", better: "less", chart: false }
  ],
  rows: lostOf(outcome).map(({ from, received, sent, to }) => ({
    name: from,
    title: `${from} to ${to}`,
    kind: "ours",
    figures: figuresOf({ sent: [sent], received: [received], lost: [Math.max(0, sent - received)] })
  }))
})

const memorySeries = ({ holdings }: SoakOutcome): ReadonlyArray<TimeSeries> =>
  [...holdings].map(([node, held]) => ({
    name: node,
    unit: "bytes",
    group: "memory",
    seconds: held.map(({ atSeconds }) => Math.round(atSeconds * 10) / 10),
    values: held.map(({ rssBytes }) => rssBytes)
  }))

const descriptorSeries = ({ holdings }: SoakOutcome): ReadonlyArray<TimeSeries> =>
  [...holdings].map(([node, held]) => ({
    name: node,
    unit: "descriptors",
    group: "memory",
    seconds: held.map(({ atSeconds }) => Math.round(atSeconds * 10) / 10),
    values: held.map(({ descriptors }) => descriptors)
  }))

/** Tunnel packets a second, each way, by the gateway's own counters. */
const rateSeries = ({ figures }: SoakOutcome): ReadonlyArray<TimeSeries> => {
  const { gateway } = figures
  const rates = (name: string, figure: string): TimeSeries => ({
    name,
    unit: "packets/s",
    group: "throughput",
    seconds: gateway.slice(1).map((to) => Math.round((to.monotonicNs - gateway[0].monotonicNs) / 1e8) / 10),
    values: gateway.slice(1).map((to, index) => Math.round(rateBetween(gateway[index], to, figure)))
  })
  return gateway.length < 2
    ? []
    : [rates("to the client", "gateway.forwarded"), rates("to the gateway's host", "gateway.tun.packets-out")]
}

const rateBetween = (from: Snapshot, to: Snapshot, figure: string): number =>
  ((valueIn(to, figure) - valueIn(from, figure)) * 1e9) / (to.monotonicNs - from.monotonicNs)

const notesOf = (outcome: SoakOutcome, seconds: number): ReadonlyArray<string> => {
  const packets = packetsOf(outcome)
  const days = (packets / MEMBER_DAY_PACKETS).toFixed(2)
  const drops = Object.entries(outcome.kernelDrops).map(([name, count]) => `${name}: ${count.toLocaleString("en")}`)
  return [
    `${packets.toLocaleString("en")} tunnel packets passed the gateway in ${seconds} s: ${days} days' worth of a typical member, who is taken to move 1,000 packets a second in both directions together, day and night.`,
    `Memory and descriptors are judged after a warm-up of ${WARM_UP_SECONDS} s, or half of a shorter soak; memory by its trend (median of the slopes of all pairs of samples).`,
    drops.length === 0 ? "The kernel dropped nothing between the nodes." : `The kernel dropped: ${drops.join("; ")}.`,
    ...outcome.troubles
  ]
}
