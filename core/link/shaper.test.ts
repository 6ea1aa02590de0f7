import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LINK_DROP, Link } from "./link.ts"
import { type Arrival, play, RecordingSink, seededStreams } from "./recording-sink.ts"
import { OPPORTUNITY_BYTES } from "./shaper.ts"
import { type LinkSpec, linkSpec, type QueueSpec } from "./spec.ts"

const MS = 1_000_000
const ROOMY: QueueSpec = { kind: "droptail", packetsMax: 100_000, bytesMax: 250_000_000 }

const run = (change: Partial<LinkSpec>, arrivals: ReadonlyArray<Arrival>) => {
  const sink = new RecordingSink()
  const link = new Link(linkSpec({ queue: ROOMY, mtuBytes: 0, ...change }), seededStreams(3), sink)
  play(link, sink, arrivals)
  return { sink, link }
}

const burst = (count: number, bytes: number, atNs = 0): Array<Arrival> =>
  Array.from({ length: count }, () => ({ atNs, bytes }))

describe("the rate", () => {
  it("serialises a packet with its framing in exactly bits / rate, rounded up to a nanosecond", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65_535 }),
        fc.integer({ min: 0, max: 1_000 }),
        fc.integer({ min: 1_000, max: 1_000_000_000_000 }),
        fc.integer({ min: 0, max: 1e12 }),
        (bytes, overheadBytes, rateBps, atNs) => {
          const { sink } = run({ rateBps, overheadBytes, delayUs: 7 }, [{ atNs, bytes }])
          const bits = BigInt(bytes + overheadBytes) * 8n * 1_000_000_000n
          const exactNs = Number((bits + BigInt(rateBps) - 1n) / BigInt(rateBps))
          const [fate] = sink.fates
          expect([fate.queueNs, fate.serialisationNs, fate.propagationNs]).toEqual([0, exactNs, 7_000])
          expect(fate.atNs).toBe(atNs + exactNs + 7_000)
        }
      )
    )
  })

  it("never drifts from the closed form within a busy period", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1_000, max: 1_000_000_000 }),
        (sizes, rateBps) => {
          const { sink } = run(
            { rateBps },
            sizes.map((bytes) => ({ atNs: 0, bytes }))
          )
          let bits = 0n
          sizes.forEach((bytes, index) => {
            bits += BigInt(bytes) * 8_000_000_000n
            expect(sink.fates[index].atNs).toBe(Number((bits + BigInt(rateBps) - 1n) / BigInt(rateBps)))
          })
        }
      )
    )
  })

  it("gives the fraction of a nanosecond that a busy period saved only to packets that waited, at one rate", () => {
    // One byte takes 8/7 ns: a packet that waited leaves at 16/7, one that comes at 2 ns at 2 + 8/7, rounded up.
    const atRate = (secondNs: number): number => {
      const { sink } = run({ rateBps: 7_000_000_000 }, [
        { atNs: 0, bytes: 1 },
        { atNs: secondNs, bytes: 1 }
      ])
      return sink.fates[1].atNs
    }
    expect([atRate(1), atRate(2)]).toEqual([3, 4])
    const sink = new RecordingSink()
    const link = new Link(linkSpec({ rateBps: 7_000_000_000 }), seededStreams(1), sink)
    link.offer(0, 0, 1, false)
    link.configure(1, linkSpec({ rateBps: 1_000_000_000 }))
    link.offer(1, 1, 1, false)
    expect(sink.fates[1].atNs).toBe(2 + 8)
  })

  it("lets packet k of a periodic overload wait exactly k times the excess", () => {
    const serviceNs = 1_200_000
    const periodNs = 1_000_000
    const arrivals = Array.from({ length: 1000 }, (_, k) => ({ atNs: k * periodNs, bytes: 1500 }))
    const { sink } = run({ rateBps: 10_000_000 }, arrivals)
    sink.fates.forEach((fate, k) => {
      expect(fate.queueNs).toBe(k * (serviceNs - periodNs))
    })
  })

  it.each([0.3, 0.6, 0.8])("gives Poisson arrivals of load %f the mean wait of M/D/1", (load) => {
    const serviceNs = 1 * MS
    const stream = seededStreams(5)("arrivals")
    let atNs = 0
    const arrivals = Array.from({ length: 300_000 }, () => {
      atNs += Math.round((-Math.log((stream.u32() + 1) / 2 ** 32) * serviceNs) / load)
      return { atNs, bytes: 125 }
    })
    const { sink } = run({ rateBps: 1_000_000 }, arrivals)
    const mean = sink.fates.reduce((sum, fate) => sum + fate.queueNs, 0) / sink.fates.length
    // Pollaczek-Khinchine with constant service: W = rho / (2 (1 - rho)) * service.
    const theory = (load / (2 * (1 - load))) * serviceNs
    expect(Math.abs(mean / theory - 1)).toBeLessThan(0.03)
  })

  it("of 0 sends at once, however much is offered", () => {
    const { sink, link } = run({ delayUs: 3, overheadBytes: 38 }, burst(1000, 1500, 10))
    expect(sink.fates.every((fate) => fate.atNs === 3_010)).toBe(true)
    expect(link.queuePackets).toBe(0)
  })
})

describe("droptail", () => {
  const rateBps = 8_000_000

  it("holds exactly packetsMax waiting packets besides the one being sent", () => {
    const { sink } = run({ rateBps, queue: { kind: "droptail", packetsMax: 5, bytesMax: 1_000_000 } }, burst(10, 1000))
    expect(sink.delivered.map((fate) => fate.packet)).toEqual([0, 1, 2, 3, 4, 5])
    expect(sink.dropped.map((fate) => [fate.packet, fate.reason])).toEqual(
      [6, 7, 8, 9].map((packet) => [packet, LINK_DROP.queueFull])
    )
  })

  it("holds exactly bytesMax waiting bytes, and a smaller packet may fit where a larger did not", () => {
    const queue: QueueSpec = { kind: "droptail", packetsMax: 100, bytesMax: 2_500 }
    const sizes = [1000, 1000, 1000, 501, 500, 1]
    const { sink, link } = run(
      { rateBps, queue },
      sizes.map((bytes) => ({ atNs: 0, bytes }))
    )
    expect(sink.dropped.map((fate) => fate.packet)).toEqual([3, 5])
    expect([link.queuePackets, link.queueBytes]).toEqual([3, 2_500])
  })

  it("frees a packet's room at the moment its serialisation starts", () => {
    const queue: QueueSpec = { kind: "droptail", packetsMax: 1, bytesMax: 1_000_000 }
    const { sink } = run({ rateBps, queue }, [
      ...burst(2, 1000, 0),
      ...burst(1, 1000, 1 * MS - 1),
      ...burst(2, 1000, 1 * MS)
    ])
    expect(sink.dropped.map((fate) => fate.packet)).toEqual([2, 4])
  })

  it("without waiting room still passes what finds the shaper idle", () => {
    const queue: QueueSpec = { kind: "droptail", packetsMax: 0, bytesMax: 0 }
    const { sink } = run({ rateBps, queue }, [...burst(2, 1000, 0), ...burst(1, 1000, 1 * MS)])
    expect(sink.delivered.map((fate) => fate.packet)).toEqual([0, 2])
  })

  it("reports its occupancy as of the last call", () => {
    const sink = new RecordingSink()
    const link = new Link(linkSpec({ rateBps }), seededStreams(1), sink)
    for (let i = 0; i < 200; i++) link.offer(0, i, 1000, false)
    expect([link.queuePackets, link.queueBytes, link.pollTimeout()]).toEqual([199, 199_000, Number.POSITIVE_INFINITY])
    link.handleTimeout(50 * MS)
    expect([link.queuePackets, link.queueBytes]).toEqual([149, 149_000])
    for (let i = 200; i < 400; i++) link.offer(50 * MS, i, 1000, false)
    link.handleTimeout(349 * MS)
    expect([link.queuePackets, link.queueBytes, link.heldPackets]).toEqual([50, 50_000, 0])
  })
})

describe("the delivery trace", () => {
  it("gives full packets exactly its opportunities, repeated", () => {
    const { sink } = run({ deliveryTraceMs: [1, 1, 4, 10] }, burst(10, OPPORTUNITY_BYTES))
    const times = [1, 1, 4, 10, 11, 11, 14, 20, 21, 21]
    expect(sink.fates.map((fate) => fate.atNs / MS)).toEqual(times)
    expect(sink.fates.map((fate) => fate.queueNs / MS)).toEqual(times)
  })

  it("lets small packets share an opportunity and splits large ones over several", () => {
    const shared = run({ deliveryTraceMs: [2] }, burst(4, 700))
    expect(shared.sink.fates.map((fate) => fate.atNs / MS)).toEqual([2, 2, 4, 4])
    const split = run({ deliveryTraceMs: [2], overheadBytes: 8 }, burst(1, 3 * OPPORTUNITY_BYTES))
    expect([split.sink.fates[0].queueNs, split.sink.fates[0].serialisationNs]).toEqual([2 * MS, 6 * MS])
  })

  it("wastes what nobody used, also over very long idle times", () => {
    const arrivals = [0, 3_600_000 * MS, 7_200_000 * MS + 1].map((atNs) => ({ atNs, bytes: OPPORTUNITY_BYTES }))
    const { sink } = run({ deliveryTraceMs: [0, 5, 20] }, arrivals)
    expect(sink.fates.map((fate) => fate.atNs - arrivals[fate.packet].atNs)).toEqual([0, 0, 5 * MS - 1])
  })

  it("agrees with a shaper that ticks through every opportunity", () => {
    const traces = fc
      .array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 8 })
      .map((ms) => [...ms.sort((a, b) => a - b), 31])
    const packets = fc.array(
      fc.record({ gapMs: fc.integer({ min: 0, max: 40 }), bytes: fc.integer({ min: 1, max: 4000 }) }),
      { minLength: 1, maxLength: 40 }
    )
    fc.assert(
      fc.property(traces, packets, (deliveryTraceMs, gaps) => {
        let atMs = 0
        const arrivals = gaps.map(({ gapMs, bytes }) => ({ atNs: (atMs += gapMs) * MS, bytes }))
        const { sink } = run({ deliveryTraceMs }, arrivals)
        expect(sink.fates.map((fate) => fate.atNs)).toEqual(ticking(deliveryTraceMs, arrivals))
      })
    )
  })

  it("goes on over other changes and starts again only with other times", () => {
    const sink = new RecordingSink()
    const link = new Link(linkSpec({ deliveryTraceMs: [10], queue: ROOMY, mtuBytes: 0 }), seededStreams(1), sink)
    link.configure(3 * MS, linkSpec({ deliveryTraceMs: [10], delayUs: 1, queue: ROOMY, mtuBytes: 0 }))
    link.offer(3 * MS, 0, 1504, false)
    link.configure(4 * MS, linkSpec({ deliveryTraceMs: [7, 10], queue: ROOMY, mtuBytes: 0 }))
    link.offer(4 * MS, 1, 1504, false)
    expect(sink.fates.map((fate) => fate.atNs)).toEqual([10 * MS + 1000, 11 * MS])
  })
})

/** The trace's meaning, told naively: at each opportunity the head of the queue gets what room is left. */
const ticking = (traceMs: ReadonlyArray<number>, arrivals: ReadonlyArray<Arrival>): ReadonlyArray<number> => {
  const departures: Array<number> = []
  const period = traceMs[traceMs.length - 1]
  let next = 0
  let left = arrivals[0].bytes
  for (let cycle = 0; next < arrivals.length; cycle++) {
    for (const ms of traceMs) {
      const atNs = (cycle * period + ms) * MS
      let room = OPPORTUNITY_BYTES
      while (next < arrivals.length && arrivals[next].atNs <= atNs && room > 0) {
        const used = Math.min(room, left)
        room -= used
        left -= used
        if (left > 0) break
        departures.push(atNs)
        left = arrivals[++next]?.bytes ?? 0
      }
    }
  }
  return departures
}
