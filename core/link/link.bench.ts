/**
 * How many packets per second one core moves through a link, and what a packet allocates: 16 bytes are one number that V8
 * boxed because it crossed a call, such as the time given to `offer` or to the sink. Run with `node link.bench.ts`.
 * Each figure is the best of several rounds, because the machine's other work only ever makes a round slower.
 */

import { Link, type LinkSink } from "./link.ts"
import { type LinkSpec, linkSpec } from "./spec.ts"

const PACKETS = 1_000_000
const ROUNDS = 5
const WINDOW = 2_000
const PACKET_BYTES = 1200

/** Two packets every 100 µs: 192 Mbit/s on a 200 Mbit/s shaper, so the queue is in use. */
const GAP_NS = 100_000

const CASES: ReadonlyArray<readonly [string, LinkSpec]> = [
  ["delay", linkSpec({ delayUs: 20_000 })],
  ["rate + delay + loss", linkSpec({ delayUs: 20_000, rateBps: 200_000_000, lossPpm: 10_000 })],
  ["delay + normal jitter, ordered", linkSpec({ delayUs: 20_000, jitterUs: 2_000, reordering: "forbidden" })],
  [
    "every impairment",
    linkSpec({
      delayUs: 20_000,
      jitterUs: 2_000,
      lossPpm: 10_000,
      burstLoss: { goodToBadPpm: 5_000, badToGoodPpm: 200_000, lossBadPpm: 800_000, lossGoodPpm: 0 },
      corruptPpm: 1_000,
      truncatePpm: 1_000,
      duplicatePpm: 5_000,
      rateBps: 200_000_000,
      overheadBytes: 38,
      reorderGap: { gap: 50, ppm: 500_000 }
    })
  ],
  [
    "codel, overload",
    linkSpec({
      delayUs: 20_000,
      rateBps: 100_000_000,
      queue: {
        kind: "codel",
        packetsMax: 1000,
        bytesMax: 1_500_000,
        targetUs: 5_000,
        intervalUs: 100_000,
        ecn: false
      }
    })
  ]
]

/** xorshift32: cheap, so that the link and not the source of randomness is measured. */
const xorshift = (seed: number): { u32(): number } => ({
  u32: () => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return seed >>> 0
  }
})

const sumSink = (): LinkSink & { sum: number } => ({
  sum: 0,
  deliver(packet, atNs) {
    this.sum = (this.sum + packet + atNs) | 0
  },
  drop(packet) {
    this.sum ^= packet
  },
  copy: (packet) => packet,
  flipBit() {},
  truncate() {},
  markCe() {},
  tooBig() {}
})

const round = (spec: LinkSpec): { nsPerPacket: number; bytesPerPacket: number } => {
  const link = new Link(spec, (stage) => xorshift(stage.length + 77), sumSink())
  const before = process.hrtime.bigint()
  offerRange(link, 0, PACKETS)
  const ns = Number(process.hrtime.bigint() - before)
  // Small windows, so that few see a collection; the median is then what a packet costs.
  const windows = Array.from({ length: 51 }, (_, i) => {
    const heapBefore = process.memoryUsage().heapUsed
    offerRange(link, PACKETS + i * WINDOW, WINDOW)
    return (process.memoryUsage().heapUsed - heapBefore) / WINDOW
  })
  return { nsPerPacket: ns / PACKETS, bytesPerPacket: windows.sort((a, b) => a - b)[25] }
}

const offerRange = (link: Link, from: number, count: number): void => {
  for (let i = from; i < from + count; i++) {
    const nowNs = (i >> 1) * GAP_NS
    if (link.pollTimeout() <= nowNs) drainUntil(link, nowNs)
    link.offer(nowNs, i & 0xffff, PACKET_BYTES, false)
  }
}

const drainUntil = (link: Link, nowNs: number): void => {
  for (let dueNs = link.pollTimeout(); dueNs <= nowNs; dueNs = link.pollTimeout()) link.handleTimeout(dueNs)
}

for (const [name, spec] of CASES) {
  let nsPerPacket = Number.POSITIVE_INFINITY
  let bytesPerPacket = Number.POSITIVE_INFINITY
  for (let i = 0; i < ROUNDS; i++) {
    const result = round(spec)
    nsPerPacket = Math.min(nsPerPacket, result.nsPerPacket)
    bytesPerPacket = Math.min(bytesPerPacket, result.bytesPerPacket)
  }
  const rate = Math.round(1e9 / nsPerPacket).toLocaleString("en")
  console.log(
    `${name.padEnd(32)} ${rate.padStart(12)} packets/s  ${nsPerPacket.toFixed(0).padStart(5)} ns  ${bytesPerPacket.toFixed(1)} B/packet`
  )
}
