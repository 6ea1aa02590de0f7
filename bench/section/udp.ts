/** UDP packet rates of Horizon's native layer beside C floors and `node:dgram`. */

import type {
  BenchEffort,
  BenchFigure,
  BenchKind,
  BenchMust,
  BenchRow,
  BenchTable
} from "@horizon/core/measure/bench.ts"
import { pairMissing } from "../net/pair.ts"
import type { MeasuredPairings, PairingSample, UdpPath } from "../net/pairings.ts"
import type { UdpProgram } from "../net/udp-program.ts"
import { measureUdpRates, RECEIVERS, SENDERS, STEADY_SENDERS, samplesOf, steadyReceiver } from "../net/udp-rates.ts"
import { comparedWith, figureOf, figuresOf, must, roundsOf, type Section, type SectionRequest } from "./section.ts"

const SECONDS: Readonly<Record<BenchEffort, number>> = { record: 0.7, quick: 0.4, glance: 0.05 }
/** What a transfer takes beside its seconds. */
const OVERHEAD_SECONDS = 0.55
const SIZE_BYTES = 200
/** How much of the C program's rate, with the same means, the native layer must reach. */
const FLOOR_RATIO = 0.8
/** How much of the CPU time of `node:dgram` the native layer may use for a datagram. */
const DGRAM_CPU_RATIO = 0.5

const TITLES: Readonly<Record<string, string>> = {
  "c-recvfrom": "C, recvfrom",
  "c-recvmmsg": "C, recvmmsg",
  "c-drain": "C, recvmmsg each 200 µs",
  "c-gro": "C, recvmmsg and GRO",
  "c-sendto": "C, sendto",
  "c-sendmmsg": "C, sendmmsg",
  "c-gso": "C, GSO",
  "node-dgram": "node:dgram",
  "native-plain": "Horizon, offloads off",
  native: "Horizon"
}

export const titleOf = (program: string): string => TITLES[program] ?? program

export const kindOf = (program: string): BenchKind =>
  program.startsWith("c-") ? "floor" : program.startsWith("native") || program.startsWith("session") ? "ours" : "other"

/** At a glance only these. */
const GLANCE = ["c-gso", "c-gro", "node-dgram", "native"]

const planOf = (request: SectionRequest) => {
  const { effort } = request
  const chosen = ({ name }: UdpProgram): boolean => effort !== "glance" || GLANCE.includes(name)
  // A quick look is at the host's own loopback, which needs no rights.
  const whole = effort === "record" && pairMissing() === undefined
  return {
    rounds: roundsOf(request),
    seconds: SECONDS[effort],
    paths: (whole ? ["loopback", "veth"] : ["loopback"]) satisfies ReadonlyArray<UdpPath>,
    receivers: RECEIVERS.filter(chosen),
    senders: SENDERS.filter(chosen)
  }
}

export const udp: Section = {
  name: "udp",
  title: "UDP",
  summary: `Datagrams of ${SIZE_BYTES} bytes a second between two processes, each on a core of its own, with a receiver that does nothing: what the layer itself costs. The C programs are the floor: the same system calls with nothing behind them.`,
  estimateSeconds: (request) => {
    const { paths, receivers, rounds, seconds, senders } = planOf(request)
    const steady = senders.filter(({ name }) => STEADY_SENDERS.some((other) => other === name)).length
    const pairings = steady * receivers.length + senders.length - steady
    return paths.length * pairings * rounds * (seconds + OVERHEAD_SECONDS)
  },
  missing: () => undefined,
  measure: async (request) => {
    const plan = planOf(request)
    const { onProgress, signal } = request
    const measured = await measureUdpRates({ ...plan, sizesBytes: [SIZE_BYTES], onProgress, signal })
    const veth = request.effort === "record" ? pairMissing() : undefined
    const tables = plan.paths
      .flatMap((path) => [
        ...STEADY_SENDERS.map((sender) => receiveTable(measured, path, sender)),
        sendTable(measured, path)
      ])
      .filter(({ rows }) => rows.length > 0)
    return {
      rounds: plan.rounds,
      idleRatio: measured.idleRatio,
      tables,
      musts: request.effort === "glance" ? [] : plan.paths.flatMap((path) => mustsOf(tables, path, measured.missing)),
      missing: { ...measured.missing, ...(veth === undefined ? {} : { veth }) },
      notes: measured.failed
    }
  }
}

const receiveTable = (measured: MeasuredPairings, path: UdpPath, sender: string): BenchTable =>
  receiversTable({
    name: `${path}-from-${sender}`,
    title: `Receiving over ${path} from ${titleOf(sender)}`,
    receivers: RECEIVERS.map((receiver) => ({ ...receiver, title: titleOf(receiver.name) })),
    samplesOf: (receiver) => samplesOf(measured, path, SIZE_BYTES, sender, receiver),
    missing: measured.missing
  })

export interface ReceiversTable {
  readonly name: string
  readonly title: string
  readonly receivers: ReadonlyArray<Pick<UdpProgram, "name" | "floor"> & { readonly title: string }>
  readonly samplesOf: (receiver: string) => ReadonlyArray<PairingSample> | undefined
  readonly missing: Readonly<Record<string, string>>
}

/** Receivers behind one sender. */
export const receiversTable = (of: ReceiversTable): BenchTable => {
  const received = (name: string): BenchFigure | undefined => {
    const samples = of.samplesOf(name)
    return samples === undefined ? undefined : figureOf(samples.map(({ receivedPerSecond }) => receivedPerSecond))
  }
  return {
    name: of.name,
    title: of.title,
    rowTitle: "receiver",
    columns: [
      { name: "received", title: "received", unit: "packets/s", better: "more", chart: true },
      { name: "cpu", title: "receiver's CPU for a packet", unit: "ns", better: "less", chart: true },
      { name: "lost", title: "lost", unit: "%", better: "less", chart: false }
    ],
    rows: of.receivers.flatMap(({ floor, name, title }): ReadonlyArray<BenchRow> => {
      const rate = received(name)
      const samples = of.samplesOf(name)
      const row = { name, title, kind: kindOf(name) }
      if (rate === undefined || samples === undefined)
        return of.missing[name] === undefined ? [] : [{ ...row, figures: {}, missing: of.missing[name] }]
      const compared = floor === undefined ? rate : comparedWith(rate, titleIn(of, floor), received(floor))
      const cpu = samples.map(({ receiverCpuNs }) => receiverCpuNs)
      const lost = samples.map(({ lossRatio }) => lossRatio * 100)
      return [{ ...row, figures: figuresOf({ received: compared, cpu, lost }) }]
    })
  }
}

const titleIn = (of: ReceiversTable, name: string): string =>
  of.receivers.find((receiver) => receiver.name === name)?.title ?? name

/** Senders, each before the receiver that takes the most of what it sends. */
const sendTable = (measured: MeasuredPairings, path: UdpPath): BenchTable => {
  const samples = (sender: UdpProgram) => samplesOf(measured, path, SIZE_BYTES, sender.name, steadyReceiver(sender))
  const sent = (sender: UdpProgram): BenchFigure | undefined => {
    const rounds = samples(sender)
    return rounds === undefined ? undefined : figureOf(rounds.map(({ sentPerSecond }) => sentPerSecond))
  }
  return {
    name: `${path}-send`,
    title: `Sending over ${path}`,
    rowTitle: "sender",
    columns: [
      { name: "sent", title: "sent", unit: "packets/s", better: "more", chart: true },
      { name: "cpu", title: "sender's CPU for a packet", unit: "ns", better: "less", chart: true }
    ],
    rows: SENDERS.flatMap((sender): ReadonlyArray<BenchRow> => {
      const row = { name: sender.name, title: titleOf(sender.name), kind: kindOf(sender.name) }
      const rate = sent(sender)
      if (rate === undefined) {
        const why = measured.missing[sender.name]
        return why === undefined ? [] : [{ ...row, figures: {}, missing: why }]
      }
      const floor = SENDERS.find(({ name }) => name === sender.floor)
      const compared = floor === undefined ? rate : comparedWith(rate, titleOf(floor.name), sent(floor))
      const cpu = samples(sender)!.map(({ senderCpuNs }) => senderCpuNs)
      return [{ ...row, figures: figuresOf({ sent: compared, cpu }) }]
    })
  }
}

const mustsOf = (
  tables: ReadonlyArray<BenchTable>,
  path: UdpPath,
  missing: Readonly<Record<string, string>>
): ReadonlyArray<BenchMust> => {
  if ([path, "native"].some((name) => missing[name] !== undefined)) return []
  const find = (table: string, row: string, column: string): BenchFigure | undefined =>
    tables.find(({ name }) => name === table)?.rows.find(({ name }) => name === row)?.figures[column]
  const reach = (table: string, row: string, column: string, doing: string): ReadonlyArray<BenchMust> => {
    const floor = (column === "sent" ? SENDERS : RECEIVERS).find(({ name }) => name === row)!.floor!
    if (missing[floor] !== undefined) return []
    const sentence = `${titleOf(row)}, ${doing} over ${path}, by the rate of ${titleOf(floor)}`
    const of = { name: `${table} ${row}`, sentence, bound: FLOOR_RATIO, at: { table, row, column } }
    return [must({ ...of, relation: "at least", unit: "×" }, find(table, row, column)?.ratio?.value)]
  }
  const cpu = (sender: string): BenchMust => {
    const table = `${path}-from-${sender}`
    const [ours, dgram] = [find(table, "native", "cpu"), find(table, "node-dgram", "cpu")]
    const sentence = `Horizon's CPU time for a packet from ${titleOf(sender)} over ${path}, by that of node:dgram`
    const of = { name: `${table} cpu`, sentence, bound: DGRAM_CPU_RATIO, at: { table, row: "native", column: "cpu" } }
    const ratio = ours === undefined || dgram === undefined ? undefined : ours.median / dgram.median
    return must({ ...of, relation: "at most", unit: "×" }, ratio)
  }
  return [
    ...STEADY_SENDERS.flatMap((sender) => [
      ...reach(`${path}-from-${sender}`, "native", "received", `receiving from ${titleOf(sender)}`),
      ...reach(`${path}-from-${sender}`, "native-plain", "received", `receiving from ${titleOf(sender)}`)
    ]),
    ...reach(`${path}-send`, "native", "sent", "sending"),
    ...reach(`${path}-send`, "native-plain", "sent", "sending"),
    ...STEADY_SENDERS.filter((sender) => missing[sender] === undefined).map(cpu)
  ]
}
