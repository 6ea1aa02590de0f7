/** Tunnels side by side: raw veth, forwarders and tunnels in C, other people's tunnels, and Horizon's own, as shipped. */

import type {
  BenchEffort,
  BenchFigure,
  BenchKind,
  BenchMust,
  BenchRow,
  BenchTable
} from "@horizon/core/measure/bench.ts"
import { missingTool } from "../lab/command.ts"
import { pairMissing } from "../net/pair.ts"
import type { PeerKind } from "../peers/peer.ts"
import { PEERS } from "../peers/registry.ts"
import type { FigureName, FigureSpec, TunnelComparison, TunnelSubject } from "../tunnel/comparison.ts"
import { ASKED_FOR_ONLY, measureTunnels } from "../tunnel/tunnels.ts"
import { figureOf, must, mustReach, roundsOf, type Section, type SectionRequest } from "./section.ts"

/** What a subject takes in a round, start and end included. */
const ROUND_SECONDS: Readonly<Record<BenchEffort, number>> = { record: 17, quick: 13, glance: 5 }
/** How much of the best tunnel in C the one TCP stream through ours must reach. */
const FLOOR_RATIO = 0.5
/** Those that ours must not fall behind. */
const RIVALS = ["wireguard-go", "boringtun", "openvpn-chacha20", "openvpn-aes"]
/** Of ours, the one that the bars are about: its MTU is that of the rivals. */
const OURS = "horizon"
/** What a quick look is at: ours, the best in C, and one of each rival. */
const QUICK_SUBJECTS = ["raw-veth", "c-offload-1420", "openvpn-aes", "wireguard-go", "boringtun", OURS]

const subjectsOf = ({ effort, subjects }: SectionRequest): ReadonlyArray<string> => {
  if (subjects !== undefined) return subjects
  if (effort === "record") return PEERS.map(({ name }) => name).filter((name) => !ASKED_FOR_ONLY.includes(name))
  return effort === "quick" ? QUICK_SUBJECTS : ["raw-veth", OURS]
}

export const tunnel: Section = {
  name: "tunnel",
  title: "Tunnels",
  summary:
    "Two network namespaces joined by a veth pair, a tunnel between them. TCP is iperf3's goodput; UDP is the most that passes with less than 1 % lost; round trips are pings, idle and beside a TCP stream, after three seconds of pings that are not counted; CPU is that of both ends' processes. → is from a to b, Horizon's gateway being at a.",
  estimateSeconds: (request) => subjectsOf(request).length * roundsOf(request) * ROUND_SECONDS[request.effort],
  missing: () => pairMissing() ?? missingTool("iperf3") ?? missingTool("ping"),
  measure: async (request) => {
    const { effort, onProgress, signal } = request
    const comparison = await measureTunnels({
      subjects: subjectsOf(request),
      rounds: roundsOf(request),
      effort,
      onProgress,
      ...(signal === undefined ? {} : { signal })
    })
    return {
      rounds: comparison.rounds,
      idleRatio: comparison.idleRatio,
      tables: GROUPS.flatMap((group) => tableOf(comparison, group)),
      musts: mustsOf(comparison),
      missing: missingOf(comparison.subjects),
      notes: comparison.subjects.flatMap(notesOf)
    }
  }
}

interface Group {
  readonly name: string
  readonly title: string
  readonly has: (figure: FigureName) => boolean
}

const GROUPS: ReadonlyArray<Group> = [
  { name: "tcp", title: "TCP through the tunnel", has: (figure) => figure.startsWith("tcp") },
  { name: "udp", title: "UDP through the tunnel, less than 1 % lost", has: (figure) => figure.startsWith("udp") },
  { name: "rtt", title: "Round trip through the tunnel", has: (figure) => figure.startsWith("rtt") },
  { name: "cpu", title: "CPU time of both ends", has: (figure) => figure.startsWith("cpu") }
]

/** Titles of columns, under that of their table. */
const SHORT: Readonly<Record<FigureName, string>> = {
  tcp1Forward: "1 stream →",
  tcp1Backward: "1 stream ←",
  tcp4Forward: "4 streams →",
  tcp4Backward: "4 streams ←",
  rttIdleP50: "idle, p50",
  rttIdleP99: "idle, p99",
  rttLoadedP50: "beside TCP, p50",
  rttLoadedP99: "beside TCP, p99",
  cpuPerGigabyte: "TCP, 1 stream →"
}

const tableOf = ({ figures, subjects }: TunnelComparison, group: Group): ReadonlyArray<BenchTable> => {
  const columns = figures.filter(({ name }) => group.has(name))
  if (columns.length === 0) return []
  return [
    {
      name: group.name,
      title: group.title,
      rowTitle: "tunnel",
      columns: columns.map(({ better, name, title, unit }) => ({
        name,
        title: SHORT[name] ?? title.replace(/^UDP, |, under.*$/g, ""),
        unit,
        better,
        chart: true
      })),
      rows: subjects.map((subject) => rowOf(subject, columns))
    }
  ]
}

const KINDS: Readonly<Record<PeerKind, BenchKind>> = { path: "path", floor: "floor", peer: "other", horizon: "ours" }

const rowOf = (subject: TunnelSubject, columns: ReadonlyArray<FigureSpec>): BenchRow => {
  const figures: Record<string, BenchFigure> = {}
  for (const { name } of columns) {
    const rounds = subject.rounds.map((round) => round.figures[name]).filter((value) => value !== undefined)
    if (rounds.length === 0) continue
    const figure = figureOf(rounds)
    const ratio = subject.kind === "floor" || subject.kind === "path" ? undefined : subject.ratioToFloor[name]
    figures[name] = ratio === undefined ? figure : { ...figure, ratio: { to: "best C", value: ratio } }
  }
  const about = [
    ...(subject.mtuBytes === undefined || subject.title.includes("MTU") ? [] : [`MTU ${subject.mtuBytes}`]),
    ...(subject.kind === "peer" && subject.version !== undefined ? [subject.version] : [])
  ].join(", ")
  return {
    name: subject.name,
    title: subject.title,
    kind: KINDS[subject.kind],
    figures,
    ...(about === "" ? {} : { about }),
    ...(subject.missing === undefined ? {} : { missing: subject.missing })
  }
}

const missingOf = (subjects: ReadonlyArray<TunnelSubject>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    subjects.flatMap(({ missing, title }) => (missing === undefined ? [] : [[title, missing] as const]))
  )

const notesOf = ({ note, rounds, title }: TunnelSubject): ReadonlyArray<string> => [
  ...(note === undefined ? [] : [`${title}: ${note}`]),
  ...rounds.flatMap((round, index) =>
    Object.entries(round.failed).map(([figure, why]) => `${title}, round ${index + 1}, ${figure}: ${why}`)
  )
]

const mustsOf = ({ figures, subjects }: TunnelComparison): ReadonlyArray<BenchMust> => {
  const own = subjects.find(({ name }) => name === OURS)
  if (own === undefined || own.missing !== undefined) return []
  const valueOf = (subject: string, figure: FigureName): number | undefined =>
    subjects.find(({ name }) => name === subject)?.median[figure]
  const titleOf = (figure: FigureName): string => figures.find(({ name }) => name === figure)?.title ?? figure
  const at = (figure: FigureName): NonNullable<BenchMust["at"]> => ({
    table: GROUPS.find((group) => group.has(figure))!.name,
    row: OURS,
    column: figure
  })
  const ahead = (figure: FigureName, unit: FigureSpec["unit"]): ReadonlyArray<BenchMust> =>
    RIVALS.flatMap((rival) => {
      const title = subjects.find(({ name }) => name === rival)?.title ?? rival
      const name = `${figure} ${rival}`
      const sentence = `${titleOf(figure)}: beside ${title}`
      const of = { name, sentence, relation: "at least" as const, unit, at: at(figure) }
      return mustReach(of, valueOf(OURS, figure), valueOf(rival, figure))
    })
  const ofFloor = (figure: FigureName): ReadonlyArray<BenchMust> => {
    const sentence = `${titleOf(figure)}: by the best tunnel in C`
    const of = {
      name: `${figure} floor`,
      sentence,
      relation: "at least" as const,
      bound: FLOOR_RATIO,
      unit: "×" as const
    }
    const measured = subjects.some(({ kind, median }) => kind === "floor" && median[figure] !== undefined)
    return measured ? [must({ ...of, at: at(figure) }, own.ratioToFloor[figure])] : []
  }
  return [
    ...["tcp1Forward", "tcp1Backward"].flatMap((figure) => [...ofFloor(figure), ...ahead(figure, "bit/s")]),
    ...figures.filter(({ name }) => name.startsWith("udp")).flatMap(({ name, unit }) => ahead(name, unit)),
    ...addedRoundTrip(subjects, valueOf)
  ]
}

/** What a tunnel adds to the round trip of the bare path. */
const addedRoundTrip = (
  subjects: ReadonlyArray<TunnelSubject>,
  valueOf: (subject: string, figure: FigureName) => number | undefined
): ReadonlyArray<BenchMust> => {
  const figure = "rttIdleP50"
  const path = valueOf("raw-veth", figure)
  const added = (subject: string): number | undefined => {
    const value = valueOf(subject, figure)
    return value === undefined || path === undefined ? undefined : value - path
  }
  return RIVALS.flatMap((rival) => {
    const title = subjects.find(({ name }) => name === rival)?.title ?? rival
    const of = {
      name: `added ${rival}`,
      sentence: `round trip that the tunnel adds, idle, p50: beside ${title}`,
      relation: "at most" as const,
      unit: "µs" as const,
      at: { table: "rtt", row: OURS, column: figure }
    }
    return mustReach(of, added(OURS), added(rival))
  })
}
