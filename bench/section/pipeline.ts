/** The secure receive pipeline: in memory, and over real sockets beside C programs that only receive. */

import type { BenchEffort, BenchMust, BenchRow, BenchTable } from "@horizon/core/measure/bench.ts"
import { nodeCrypto } from "@horizon/real/crypto.ts"
import { nativeMissing } from "@horizon/real/native.ts"
import { hostIdleRatio } from "../net/host-idle.ts"
import { median } from "../net/median.ts"
import type { MeasuredPairings } from "../net/pairings.ts"
import { samplesOf } from "../net/udp-rates.ts"
import { receiveInMemory } from "../pipeline/memory.ts"
import { realCrypto } from "../pipeline/real-crypto.ts"
import {
  datagramBytes,
  measureSocketPipeline,
  PIPELINE_FLOORS,
  SESSION_RECEIVER,
  type SendingKind,
  senderFor
} from "../pipeline/socket-rates.ts"
import { figuresOf, must, roundsOf, type Section, type SectionRequest } from "./section.ts"
import { receiversTable, titleOf } from "./udp.ts"

const TRANSFER_OVERHEAD_SECONDS = 0.7
const MEMORY_BYTES = [64, 200, 1_170]

interface Plan {
  readonly memorySeconds: number
  readonly socketSeconds: number
  readonly socketBytes: ReadonlyArray<number>
  readonly kinds: ReadonlyArray<SendingKind>
}

const WHOLE = { socketBytes: [64, 200], kinds: ["gso", "plain"] } as const
const PLANS: Readonly<Record<BenchEffort, Plan>> = {
  record: { memorySeconds: 0.3, socketSeconds: 0.7, ...WHOLE },
  quick: { memorySeconds: 0.3, socketSeconds: 0.4, ...WHOLE },
  glance: { memorySeconds: 0.02, socketSeconds: 0.05, socketBytes: [200], kinds: ["gso"] }
}
const MEMORY_PER_SECOND_MIN = 600_000
/** How much of what a C program receives the whole pipeline must open and dispatch. */
const FLOOR_RATIO = 0.5
/** The C receivers that the bar is about: one datagram a message, like a receiver that looks at each. */
const BAR_FLOORS = ["c-recvmmsg", "c-drain"]

export const pipeline: Section = {
  name: "pipeline",
  title: "Secure receive pipeline",
  summary:
    "What a gateway does with each datagram: receive, header, session, replay window, open, hand over. In memory that is one core's work without a socket. Over sockets one process seals and sends as fast as it can and another receives; the C programs send and receive datagrams of the same length and do nothing else. The bar is about those that receive datagram by datagram, the better of the two.",
  estimateSeconds: (request) => {
    const { kinds, memorySeconds, socketBytes, socketSeconds } = PLANS[request.effort]
    const transfers = socketBytes.length * kinds.length * (PIPELINE_FLOORS.length + 1)
    const round =
      2 * MEMORY_BYTES.length * memorySeconds * 1.8 + transfers * (socketSeconds + TRANSFER_OVERHEAD_SECONDS)
    return roundsOf(request) * round
  },
  missing: () => undefined,
  measure: async (request) => {
    const rounds = roundsOf(request)
    const { kinds, memorySeconds, socketBytes, socketSeconds } = PLANS[request.effort]
    const memory = await measureMemory(request, rounds, memorySeconds)
    const { onProgress, signal } = request
    const options = { rounds, seconds: socketSeconds, onProgress, signal }
    const measured = await measureSocketPipeline(socketBytes, kinds, options)
    const sockets = socketBytes.flatMap((bytes) => kinds.map((kind) => socketTable(measured, bytes, kind)))
    const native = nativeMissing()
    return {
      rounds,
      idleRatio: median([memory.idleRatio, measured.idleRatio]),
      tables: [memory.table, ...sockets],
      musts: [...memoryMusts(memory.table), ...sockets.flatMap(socketMusts)],
      missing: { ...measured.missing, ...(native === undefined ? {} : { native }) },
      notes: measured.failed
    }
  }
}

const measureMemory = async (
  request: SectionRequest,
  rounds: number,
  seconds: number
): Promise<{ readonly table: BenchTable; readonly idleRatio: number }> => {
  const cryptos = [
    ...(nativeMissing() === undefined ? [{ name: "native", title: "Horizon", crypto: realCrypto() }] : []),
    { name: "node-crypto", title: "Horizon without its native module (node:crypto)", crypto: nodeCrypto }
  ]
  const rates = new Map<string, Array<number>>()
  const idle: Array<number> = []
  const key = (name: string, bytes: number): string => `${name} ${bytes}`
  for (let round = 0; round < rounds; round++) {
    idle.push(await hostIdleRatio())
    for (const { crypto, name, title } of cryptos) {
      for (const bytes of MEMORY_BYTES) {
        request.signal?.throwIfAborted()
        request.onProgress(`round ${round + 1} of ${rounds}: in memory, ${bytes} bytes, ${title}`)
        const known = rates.get(key(name, bytes)) ?? []
        rates.set(key(name, bytes), [...known, receiveInMemory(crypto, bytes, seconds)])
        // A turn of the event loop, so that a signal is heard.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
  const table: BenchTable = {
    name: "memory",
    title: "In memory, one core",
    rowTitle: "cryptography",
    columns: MEMORY_BYTES.map((bytes) => ({
      name: String(bytes),
      title: `${bytes.toLocaleString("en")} bytes`,
      unit: "packets/s",
      better: "more",
      chart: true
    })),
    rows: cryptos.map(({ name, title }) => ({
      name,
      title,
      kind: "ours",
      figures: figuresOf(Object.fromEntries(MEMORY_BYTES.map((bytes) => [String(bytes), rates.get(key(name, bytes))])))
    }))
  }
  return { table, idleRatio: median(idle) }
}

const socketTable = (measured: MeasuredPairings, bytes: number, kind: SendingKind): BenchTable =>
  receiversTable({
    name: `socket-${bytes}-${kind}`,
    title: `Over a socket, payloads of ${bytes} bytes, ${kind === "gso" ? "sent in one piece (GSO)" : "each sent by itself"}`,
    receivers: [
      { name: SESSION_RECEIVER.name, title: "Horizon, opened and dispatched" },
      ...PIPELINE_FLOORS.map(({ name }) => ({ name, title: titleOf(name) }))
    ],
    samplesOf: (receiver) =>
      samplesOf(measured, "loopback", datagramBytes(bytes), senderFor(receiver, kind).name, receiver),
    missing: measured.missing
  })

const memoryMusts = (table: BenchTable): ReadonlyArray<BenchMust> => {
  const ours = table.rows.find(({ name }) => name === "native")
  if (ours === undefined) return []
  return MEMORY_BYTES.map((bytes) =>
    must(
      {
        name: `memory ${bytes}`,
        sentence: `In memory, payloads of ${bytes.toLocaleString("en")} bytes`,
        relation: "at least",
        bound: MEMORY_PER_SECOND_MIN,
        unit: "packets/s",
        at: { table: "memory", row: "native", column: String(bytes) }
      },
      ours.figures[String(bytes)]?.median
    )
  )
}

const socketMusts = (table: BenchTable): ReadonlyArray<BenchMust> => {
  const find = (name: string): BenchRow | undefined => table.rows.find((row) => row.name === name)
  const floors = BAR_FLOORS.flatMap((name) => find(name)?.figures["received"]?.median ?? [])
  const ours = find(SESSION_RECEIVER.name)
  if (ours?.missing !== undefined || floors.length === 0) return []
  const sentence = `${table.title}: by what C receives without GRO`
  const at = { table: table.name, row: SESSION_RECEIVER.name, column: "received" }
  const received = ours?.figures["received"]
  return [
    must(
      { name: table.name, sentence, relation: "at least", bound: FLOOR_RATIO, unit: "×", at },
      received === undefined ? undefined : received.median / Math.max(...floors)
    )
  ]
}
