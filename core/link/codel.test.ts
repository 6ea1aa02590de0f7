import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Codel } from "./codel.ts"
import { LINK_DROP, Link } from "./link.ts"
import { PacketQueue } from "./queue.ts"
import { type Arrival, type Fate, play, RecordingSink, seededStreams } from "./recording-sink.ts"
import { type LinkSpec, linkSpec } from "./spec.ts"

const MS = 1_000_000
const SERVICE_NS = 1 * MS
const TARGET_NS = 5 * MS
const INTERVAL_NS = 100 * MS

const codelSpec = (change: { ecn?: boolean; packetsMax?: number } = {}, rest: Partial<LinkSpec> = {}): LinkSpec =>
  linkSpec({
    rateBps: 8_000_000,
    queue: {
      kind: "codel",
      packetsMax: 10_000,
      bytesMax: 100_000_000,
      targetUs: TARGET_NS / 1000,
      intervalUs: INTERVAL_NS / 1000,
      ecn: false,
      ...change
    },
    ...rest
  })

const run = (spec: LinkSpec, arrivals: ReadonlyArray<Arrival>) => {
  const sink = new RecordingSink()
  const link = new Link(spec, seededStreams(2), sink)
  play(link, sink, arrivals)
  return { sink, link }
}

/** `count` packets of 1,000 bytes (1 ms each at 8 Mbit/s), one each `periodNs`. */
const steady = (count: number, periodNs: number, ecnCapable = false): Array<Arrival> =>
  Array.from({ length: count }, (_, i) => ({ atNs: i * periodNs, bytes: 1000, ecnCapable }))

/** When the drops of a persistent overload fall, told from the law alone: dequeues happen on a grid of one service time. */
const lawfulTimes = (firstNs: number, count: number): Array<number> => {
  const times = [firstNs]
  let scheduledNs = firstNs
  for (let n = 1; n < count; n++) {
    scheduledNs += Math.round(INTERVAL_NS / Math.sqrt(n))
    times.push(Math.ceil(scheduledNs / SERVICE_NS) * SERVICE_NS)
  }
  return times
}

describe("CoDel's drop law", () => {
  // Packet k enters at k/2 ms and would leave at k ms, so it waits k/2 ms: the target is reached by packet 10, at 10 ms.
  const overload = steady(3_000, SERVICE_NS / 2)

  it("drops first at the first dequeue an interval after the wait reached the target, then at interval / sqrt(count)", () => {
    const { sink } = run(codelSpec(), overload)
    const drops = sink.dropped.filter((fate) => fate.atNs < 1_400 * MS)
    expect(drops.length).toBeGreaterThan(30)
    expect(drops.every((fate) => fate.reason === LINK_DROP.codel)).toBe(true)
    expect(drops.map((fate) => fate.atNs)).toEqual(lawfulTimes(10 * MS + INTERVAL_NS, drops.length))
  })

  it("marks ECN-capable packets at the very same times instead of dropping them", () => {
    const markTimes = (): ReadonlyArray<number> => {
      const times: Array<number> = []
      const sink = new RecordingSink()
      sink.markCe = () => times.push(sink.nowNs)
      const link = new Link(codelSpec({ ecn: true }), seededStreams(2), sink)
      play(link, sink, steady(3_000, SERVICE_NS / 2, true))
      expect([link.counters.drops[LINK_DROP.codel], link.counters.marked]).toEqual([0, times.length])
      expect(link.counters.delivered).toBe(3_000)
      return times
    }
    const times = markTimes().filter((atNs) => atNs < 1_400 * MS)
    expect(times.length).toBeGreaterThan(30)
    expect(times).toEqual(lawfulTimes(10 * MS + INTERVAL_NS, times.length))
  })

  it("with ECN still drops packets that are not ECN-capable, and without ECN drops those that are", () => {
    const incapable = run(codelSpec({ ecn: true }), overload).link.counters
    expect([incapable.drops[LINK_DROP.codel] > 10, incapable.marked]).toEqual([true, 0])
    const unmarked = run(codelSpec(), steady(3_000, SERVICE_NS / 2, true)).link.counters
    expect([unmarked.drops[LINK_DROP.codel] > 10, unmarked.marked]).toEqual([true, 0])
  })

  it("never drops a packet that waited less than the target", () => {
    const arrivals = fc.array(
      fc.record({ gapUs: fc.integer({ min: 0, max: 2_500 }), bytes: fc.integer({ min: 40, max: 1500 }) }),
      { minLength: 200, maxLength: 800 }
    )
    let drops = 0
    fc.assert(
      fc.property(arrivals, (gaps) => {
        let atNs = 0
        const packets = gaps.map(({ gapUs, bytes }) => ({ atNs: (atNs += gapUs * 300), bytes }))
        for (const fate of run(codelSpec(), packets).sink.dropped) {
          expect(fate.atNs - packets[fate.packet].atNs).toBeGreaterThanOrEqual(TARGET_NS)
          drops++
        }
      }),
      { numRuns: 60 }
    )
    expect(drops).toBeGreaterThan(0)
  })

  it("leaves bursts alone that drain within an interval", () => {
    const arrivals = [0, 200, 400].flatMap((ms) => Array.from({ length: 90 }, () => ({ atNs: ms * MS, bytes: 1000 })))
    const { sink } = run(codelSpec(), arrivals)
    expect(sink.dropped).toEqual([])
    expect(Math.max(...sink.fates.map((fate) => fate.queueNs))).toBe(89 * MS)
  })

  it("leaves a backlog of one packet of the MTU alone, however long it waits", () => {
    const slow = codelSpec({}, { rateBps: 80_000 })
    expect(run(slow, steady(40, 100 * MS)).sink.dropped).toEqual([])
    expect(run({ ...slow, mtuBytes: 0 }, steady(40, 100 * MS)).sink.dropped).toEqual([])
  })

  it("takes the MTU as that bound to the byte", () => {
    for (const [behindBytes, drops] of [
      [1500, 0],
      [1501, 1]
    ]) {
      const queue = new PacketQueue()
      let dropped = 0
      const law = new Codel(queue, { codelDrop: () => dropped++, codelMark: () => {} })
      law.configure(TARGET_NS, INTERVAL_NS, false, 1500)
      for (const atNs of [1_000 * MS, 1_000 * MS + INTERVAL_NS]) {
        queue.push(atNs - TARGET_NS, 0, 1000, false)
        queue.push(atNs - TARGET_NS, 1, behindBytes, false)
        law.dequeue(atNs)
        while (queue.packets > 0) queue.take()
      }
      expect(dropped).toBe(drops)
    }
  })

  it("holds the wait of a persistent overload near the target once it has found the rate, at full use of the link", () => {
    const seconds = 60
    const arrivals = steady(1_030 * seconds, Math.floor(1e9 / 1_030))
    const { sink } = run(codelSpec(), arrivals)
    const late = sink.delivered.filter((fate) => fate.atNs > 30e9 && fate.atNs < seconds * 1e9)
    const waits = late.map((fate) => fate.queueNs).sort((a, b) => a - b)
    expect(waits[Math.floor(waits.length / 2)]).toBeLessThan(2.5 * TARGET_NS)
    expect(waits[Math.floor(waits.length * 0.99)]).toBeLessThan(INTERVAL_NS)
    expect(late.length).toBeGreaterThan(0.99 * (seconds - 30) * 1_000)
  })

  it("is bounded in packets all the same", () => {
    const { sink, link } = run(codelSpec({ packetsMax: 20 }), steady(100, 1))
    expect(link.counters.drops[LINK_DROP.queueFull]).toBe(79)
    expect(sink.dropped.length).toBe(79)
  })
})

/** The law alone, in its own time: each step is one dequeue of a packet that waited `waitNs`, with more behind it. */
const lawAlone = () => {
  const queue = new PacketQueue()
  const drops: Array<number> = []
  let nowNs = 0
  const law = new Codel(queue, { codelDrop: () => drops.push(nowNs), codelMark: () => {} })
  law.configure(TARGET_NS, INTERVAL_NS, false, 1500)
  const step = (atNs: number, waitNs: number): void => {
    nowNs = atNs
    for (let i = 0; i < 70; i++) queue.push(atNs - waitNs, i, 1000, false)
    law.dequeue(atNs)
    while (queue.packets > 0) queue.take()
  }
  return { law, drops, step }
}

describe("CoDel's return to dropping", () => {
  const overTarget = (step: (atNs: number, waitNs: number) => void, fromNs: number, toNs: number): void => {
    for (let atNs = fromNs; atNs <= toNs; atNs += MS) step(atNs, 2 * TARGET_NS)
  }

  it("goes on at the count it had gained if that was less than 16 intervals ago", () => {
    const { law, drops, step } = lawAlone()
    overTarget(step, 1_000 * MS, 1_600 * MS)
    const gained = law.count - 1
    expect(gained).toBeGreaterThan(5)
    step(1_601 * MS, 0)
    expect(law.dropping).toBe(false)
    const before = drops.length
    overTarget(step, 1_700 * MS, 1_800 * MS)
    expect([law.dropping, law.count, drops.length - before]).toEqual([true, gained, 1])
    overTarget(step, 1_801 * MS, 1_800 * MS + Math.ceil(INTERVAL_NS / Math.sqrt(gained) / MS) * MS)
    expect(drops.length - before).toBe(2)
  })

  it("starts again at one if that was longer ago, or if it had gained nothing", () => {
    const { law, step } = lawAlone()
    overTarget(step, 1_000 * MS, 1_600 * MS)
    step(1_601 * MS, 0)
    overTarget(step, 4_000 * MS, 4_100 * MS)
    expect([law.dropping, law.count]).toEqual([true, 1])
    step(4_101 * MS, 0)
    overTarget(step, 4_102 * MS, 4_202 * MS)
    expect([law.dropping, law.count]).toEqual([true, 1])
  })

  it("drops several packets at one dequeue when its schedule asks for it", () => {
    const { law, drops, step } = lawAlone()
    overTarget(step, 1_000 * MS, 1_100 * MS)
    expect(drops.length).toBe(1)
    step(1_100 * MS + 3 * INTERVAL_NS, 2 * TARGET_NS)
    // Due at 100, 100 + 70.7, + 57.7, + 50 ms … after the first: four within 300 ms.
    expect([drops.length, law.count]).toEqual([5, 5])
  })

  it("forgets its past on reset", () => {
    const { law, step } = lawAlone()
    overTarget(step, 1_000 * MS, 1_600 * MS)
    law.reset()
    expect([law.dropping, law.count]).toEqual([false, 0])
    overTarget(step, 1_601 * MS, 1_701 * MS)
    expect([law.dropping, law.count]).toEqual([true, 1])
  })
})

describe("a link that holds packets", () => {
  it("does the same whether a due timeout or a packet of the same instant comes first", () => {
    const inOrder = (packetFirst: boolean, packetsMax: number): ReadonlyArray<Fate> => {
      const sink = new RecordingSink()
      const link = new Link(codelSpec({ packetsMax }), seededStreams(2), sink)
      for (let i = 0; i < 600; i++) {
        const nowNs = (i * SERVICE_NS) / 2
        sink.nowNs = nowNs
        if (!packetFirst) link.handleTimeout(nowNs)
        link.offer(nowNs, i, 1000, false)
        link.handleTimeout(nowNs)
      }
      return sink.fates
    }
    // A small queue shows whether the packet that leaves now makes room for the one that comes now.
    for (const [packetsMax, reason] of [
      [10_000, LINK_DROP.codel],
      [4, LINK_DROP.queueFull]
    ]) {
      const fates = inOrder(true, packetsMax)
      expect(fates).toEqual(inOrder(false, packetsMax))
      expect(fates.some((fate) => fate.reason === reason)).toBe(true)
    }
  })

  it("asks for a timeout exactly when its shaper comes free, and for none when it holds nothing", () => {
    const link = new Link(codelSpec(), seededStreams(2), new RecordingSink())
    expect(link.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
    link.offer(5, 0, 1000, false)
    expect([link.pollTimeout(), link.queuePackets]).toEqual([Number.POSITIVE_INFINITY, 0])
    link.offer(6, 1, 1000, false)
    expect([link.pollTimeout(), link.queuePackets, link.heldPackets, link.queueBytes]).toEqual([
      5 + SERVICE_NS,
      1,
      1,
      1000
    ])
    link.handleTimeout(5 + SERVICE_NS)
    expect([link.pollTimeout(), link.heldPackets]).toEqual([Number.POSITIVE_INFINITY, 0])
  })

  it("serves a delivery trace at its opportunities", () => {
    const spec = codelSpec({}, { rateBps: 0, deliveryTraceMs: [3, 4, 10], mtuBytes: 0 })
    const { sink } = run(
      spec,
      Array.from({ length: 5 }, () => ({ atNs: 0, bytes: 1504 }))
    )
    expect(sink.fates.map((fate) => fate.atNs / MS)).toEqual([3, 4, 10, 13, 14])
  })
})
