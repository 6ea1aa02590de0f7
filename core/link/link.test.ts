import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LINK_DROP, LINK_DROP_NAMES, Link } from "./link.ts"
import { type Arrival, play, RecordingSink, seededStreams, serveUntil } from "./recording-sink.ts"
import { type LinkSpec, linkSpec, type QueueSpec } from "./spec.ts"
import { linkSpecProblems } from "./validate.ts"

const MS = 1_000_000

const CODEL: QueueSpec = {
  kind: "codel",
  packetsMax: 1_000,
  bytesMax: 1_500_000,
  targetUs: 5_000,
  intervalUs: 100_000,
  ecn: false
}

const open = (change: Partial<LinkSpec> = {}, seed = 9) => {
  const sink = new RecordingSink()
  const link = new Link(linkSpec(change), seededStreams(seed), sink)
  sink.link = link
  return { link, sink }
}

const ppm = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400_000 }), fc.constant(1_000_000))

/** Any valid spec, most stages on. */
const specs: fc.Arbitrary<LinkSpec> = fc
  .record({
    delayUs: fc.integer({ min: 0, max: 50_000 }),
    jitterUs: fc.integer({ min: 0, max: 20_000 }),
    distribution: fc.constantFrom("uniform", "normal", "pareto", "paretonormal"),
    reordering: fc.constantFrom("allowed", "forbidden"),
    reorderGap: fc.option(fc.record({ gap: fc.integer({ min: 1, max: 10 }), ppm })),
    lossPpm: ppm,
    burstLoss: fc.option(fc.record({ goodToBadPpm: ppm, badToGoodPpm: ppm, lossBadPpm: ppm, lossGoodPpm: ppm })),
    dropList: fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 5 }),
    corruptPpm: ppm,
    truncatePpm: ppm,
    duplicatePpm: ppm,
    rateBps: fc.constantFrom(0, 200_000, 2_000_000, 100_000_000),
    overheadBytes: fc.integer({ min: 0, max: 60 }),
    deliveryTraceMs: fc.constantFrom([], [], [1, 2, 2, 9]),
    queue: fc.oneof(
      fc.record({
        kind: fc.constant("droptail" as const),
        packetsMax: fc.integer({ min: 0, max: 40 }),
        bytesMax: fc.integer({ min: 0, max: 40_000 })
      }),
      fc.record({
        kind: fc.constant("codel" as const),
        packetsMax: fc.integer({ min: 0, max: 100 }),
        bytesMax: fc.integer({ min: 0, max: 100_000 }),
        targetUs: fc.integer({ min: 1, max: 10_000 }),
        intervalUs: fc.integer({ min: 1, max: 30_000 }),
        ecn: fc.boolean()
      })
    ),
    mtuBytes: fc.constantFrom(0, 600, 1500),
    mtuAnswer: fc.boolean()
  })
  .map(
    (spec): LinkSpec => ({
      ...spec,
      rateBps: spec.deliveryTraceMs.length > 0 ? 0 : spec.rateBps,
      reorderGap: spec.reordering === "forbidden" ? null : spec.reorderGap
    })
  )

/** What happens to a link: packets, changes, going down and up. */
const steps: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.record({
    gapUs: fc.integer({ min: 0, max: 4_000 }),
    bytes: fc.integer({ min: 0, max: 1600 }),
    ecnCapable: fc.boolean(),
    change: fc.option(specs, { freq: 20 }),
    down: fc.option(fc.boolean(), { freq: 20 })
  }),
  { minLength: 1, maxLength: 120 }
)

interface Step {
  readonly gapUs: number
  readonly bytes: number
  readonly ecnCapable: boolean
  readonly change: LinkSpec | null
  readonly down: boolean | null
}

const story = (first: LinkSpec, list: ReadonlyArray<Step>, seed: number) => {
  const { link, sink } = open(first, seed)
  let nowNs = 0
  list.forEach((step, packet) => {
    nowNs += step.gapUs * 1000
    serveUntil(link, sink, nowNs)
    sink.nowNs = nowNs
    if (step.change !== null) link.configure(nowNs, step.change)
    if (step.down !== null) link.setDown(step.down)
    link.offer(nowNs, packet, step.bytes, step.ecnCapable)
  })
  return { link, sink, nowNs }
}

describe("whatever happens to a link", () => {
  it("every packet is delivered, dropped or held: offered + duplicated = delivered + drops + held", () => {
    fc.assert(
      fc.property(specs, steps, fc.integer(), (first, list, seed) => {
        const { link, sink } = story(first, list, seed)
        const { counters } = link
        const balance = () => counters.delivered + counters.drops.reduce((sum, count) => sum + count, 0)
        expect(counters.offered).toBe(list.length)
        expect(balance() + link.heldPackets).toBe(counters.offered + counters.duplicated)
        serveUntil(link, sink, Number.MAX_SAFE_INTEGER)
        expect(link.heldPackets).toBe(0)
        expect(balance()).toBe(counters.offered + counters.duplicated)
        // Each packet has one end, and the sink heard of it.
        expect(sink.fates.length).toBe(balance())
        expect(new Set(sink.fates.map((fate) => fate.packet)).size).toBe(sink.fates.length)
        expect([sink.copies.length, sink.flips.length, sink.cuts.length, sink.marks.length]).toEqual([
          counters.duplicated,
          counters.corrupted,
          counters.truncated,
          counters.marked
        ])
      }),
      { numRuns: 300 }
    )
  })

  it("times are integers, never before the packet came, and no stage but jitter is negative", () => {
    fc.assert(
      fc.property(specs, steps, fc.integer(), (first, list, seed) => {
        const { link, sink } = story(first, list, seed)
        serveUntil(link, sink, Number.MAX_SAFE_INTEGER)
        for (const fate of sink.fates) {
          expect(Number.isSafeInteger(fate.atNs)).toBe(true)
          expect(Math.min(fate.queueNs, fate.serialisationNs, fate.propagationNs)).toBeGreaterThanOrEqual(0)
          expect(fate.propagationNs + fate.jitterNs).toBeGreaterThanOrEqual(0)
        }
      })
    )
  })

  it("the same seed gives the same outcome", () => {
    fc.assert(
      fc.property(specs, steps, fc.integer(), (first, list, seed) => {
        const once = story(first, list, seed)
        const twice = story(first, list, seed)
        expect(twice.sink.fates).toEqual(once.sink.fates)
        expect(twice.sink.flips).toEqual(once.sink.flips)
        expect(twice.link.counters).toEqual(once.link.counters)
      }),
      { numRuns: 50 }
    )
  })

  it("the specs of these properties are valid", () => {
    fc.assert(fc.property(specs, (spec) => linkSpecProblems(spec).length === 0))
  })
})

describe("the perfect link", () => {
  it("delivers at once and unchanged", () => {
    const { link, sink } = open()
    link.offer(5, 1, 1500, false)
    expect(sink.fates).toEqual([
      { packet: 1, atNs: 5, reason: 0, queueNs: 0, serialisationNs: 0, propagationNs: 0, jitterNs: 0 }
    ])
    expect(link.counters).toMatchObject({ offered: 1, delivered: 1, bytes: 1500, reordered: 0 })
  })
})

describe("the MTU", () => {
  it("drops what is larger and answers first, if it answers", () => {
    const { link, sink } = open({ mtuBytes: 1400 })
    link.offer(0, 0, 1400, false)
    link.offer(0, 1, 1401, false)
    expect(sink.fates.map((fate) => fate.reason)).toEqual([0, LINK_DROP.mtu])
    expect(sink.tooBigs).toEqual([{ packet: 1, mtuBytes: 1400 }])
  })

  it("is a black hole without the answer, and 0 lets everything pass", () => {
    const hole = open({ mtuBytes: 1400, mtuAnswer: false })
    hole.link.offer(0, 0, 1500, false)
    expect([hole.sink.fates[0].reason, hole.sink.tooBigs]).toEqual([LINK_DROP.mtu, []])
    const any = open({ mtuBytes: 0 })
    any.link.offer(0, 0, 65_535, false)
    expect(any.sink.fates[0].reason).toBe(0)
  })

  it("is the last stage: an oversized packet has taken its time on the shaper", () => {
    const { link, sink } = open({ mtuBytes: 1000, rateBps: 8_000_000 })
    link.offer(0, 0, 2000, false)
    link.offer(0, 1, 1000, false)
    expect(sink.delivered.map((fate) => fate.atNs)).toEqual([3 * MS])
  })
})

describe("a link that is down", () => {
  it("drops what is offered and still delivers what it had accepted", () => {
    const { link, sink } = open({ rateBps: 8_000_000, queue: CODEL })
    link.offer(0, 0, 1000, false)
    link.offer(0, 1, 1000, false)
    link.setDown(true)
    link.offer(1, 2, 1000, false)
    serveUntil(link, sink, 10 * MS)
    link.setDown(false)
    link.offer(10 * MS, 3, 1000, false)
    expect(sink.delivered.map((fate) => fate.packet)).toEqual([0, 1, 3])
    expect(sink.dropped.map((fate) => [fate.packet, fate.reason])).toEqual([[2, LINK_DROP.down]])
  })
})

describe("a change of the spec in mid-run", () => {
  const arrivals = (count: number, atNs: number): Array<Arrival> =>
    Array.from({ length: count }, () => ({ atNs, bytes: 1000 }))

  it("leaves a droptail backlog at its rate and queues new packets behind it at the new one", () => {
    const { link, sink } = open({ rateBps: 8_000_000 })
    play(link, sink, arrivals(3, 0))
    link.configure(1 * MS, linkSpec({ rateBps: 80_000_000 }))
    play(link, sink, arrivals(2, 1 * MS), 3)
    expect(sink.fates.map((fate) => fate.atNs / MS)).toEqual([1, 2, 3, 3.1, 3.2])
  })

  it("that removes the shaper keeps the order: new packets leave right behind the backlog", () => {
    const { link, sink } = open({ rateBps: 8_000_000 })
    play(link, sink, arrivals(3, 0))
    link.configure(1 * MS, linkSpec())
    play(link, sink, arrivals(2, 1 * MS), 3)
    expect(sink.fates.map((fate) => fate.atNs / MS)).toEqual([1, 2, 3, 3, 3])
    expect(link.queuePackets).toBe(3)
  })

  it("lets packets that CoDel held go at the new rate, and before those that come after", () => {
    const { link, sink } = open({ rateBps: 8_000_000, queue: CODEL })
    play(link, sink, arrivals(4, 0), 0, false)
    expect(link.heldPackets).toBe(3)
    link.configure(1 * MS, linkSpec({ rateBps: 80_000_000 }))
    play(link, sink, arrivals(2, 1 * MS), 4, false)
    expect(link.heldPackets).toBe(4)
    serveUntil(link, sink, 100 * MS)
    expect(sink.fates.map((fate) => [fate.packet, fate.atNs / MS])).toEqual([
      [0, 1],
      [1, 1.1],
      [2, 1.2],
      [3, 1.3],
      [4, 1.4],
      [5, 1.5]
    ])
    play(link, sink, arrivals(1, 200 * MS), 6)
    expect(sink.fates[6].atNs).toBe(200.1 * MS)
  })

  it("to CoDel counts a droptail backlog in the queue's bounds and goes behind it", () => {
    const { link, sink } = open({ rateBps: 8_000_000 })
    play(link, sink, arrivals(4, 0))
    link.configure(0, linkSpec({ rateBps: 8_000_000, queue: { ...CODEL, packetsMax: 5 } }))
    play(link, sink, arrivals(3, 0), 4, false)
    expect([link.queuePackets, link.heldPackets, link.counters.drops[LINK_DROP.queueFull]]).toEqual([5, 2, 1])
    serveUntil(link, sink, 100 * MS)
    expect(sink.delivered.map((fate) => fate.atNs / MS)).toEqual([1, 2, 3, 4, 5, 6])
  })

  it("to CoDel starts the law afresh, whatever it had seen in an earlier life", () => {
    const overload = (fromMs: number, toMs: number): Array<Arrival> =>
      Array.from({ length: (toMs - fromMs) * 2 }, (_, i) => ({ atNs: fromMs * MS + i * 500_000, bytes: 1000 }))
    const spec = linkSpec({ rateBps: 8_000_000, queue: CODEL })
    const firstDropMs = (change: boolean): number => {
      const { link, sink } = open(spec)
      play(link, sink, overload(0, 60), 0, false)
      if (change) link.configure(60 * MS, linkSpec({ rateBps: 8_000_000 }))
      link.configure(60 * MS, spec)
      play(link, sink, overload(60, 300), 120)
      return sink.dropped[0].atNs / MS
    }
    // The wait reached the target at 10 ms; an interval later the law may drop.
    expect(firstDropMs(false)).toBe(110)
    expect(firstDropMs(true)).toBe(160)
  })

  it("that sets fields at odds, as faults over faults may, follows the trace and keeps the order", () => {
    const atOdds = { deliveryTraceMs: [5], rateBps: 8_000, reorderGap: { gap: 2, ppm: 1_000_000 } }
    const { link, sink } = open({ ...atOdds, delayUs: 1_000, reordering: "forbidden" })
    play(link, sink, [...arrivals(2, 0), ...arrivals(1, 6 * MS)])
    expect(sink.fates.map((fate) => fate.atNs / MS)).toEqual([6, 10, 11])
  })

  it("that shrinks the queue drops nothing that is in it", () => {
    const { link, sink } = open({ rateBps: 8_000_000 })
    play(link, sink, arrivals(10, 0))
    link.configure(0, linkSpec({ rateBps: 8_000_000, queue: { kind: "droptail", packetsMax: 2, bytesMax: 2000 } }))
    play(link, sink, [...arrivals(1, 6 * MS), ...arrivals(1, 8 * MS)], 10)
    expect(sink.dropped.map((fate) => fate.packet)).toEqual([10])
    expect(sink.delivered.length).toBe(11)
  })
})

describe("misuse is a bug that stops the node", () => {
  it("a spec that is not valid", () => {
    expect(() => open({ lossPpm: -1 })).toThrow(/lossPpm: -1 is not an integer/)
  })

  it("time that goes back", () => {
    const { link } = open()
    link.offer(10, 0, 100, false)
    expect(() => link.offer(9, 1, 100, false)).toThrow(/never goes back/)
  })

  it("a time beyond 2^53 ns", () => {
    const { link } = open({ delayUs: 1 })
    expect(() => link.offer(Number.MAX_SAFE_INTEGER - 10, 0, 100, false)).toThrow(/2\^53/)
  })
})

describe("the drop reasons", () => {
  it("are numbered without gaps and each has a name", () => {
    const reasons = Object.values(LINK_DROP)
    expect([...reasons].sort()).toEqual(reasons.map((_, i) => i + 1))
    expect(LINK_DROP_NAMES.length).toBe(reasons.length + 1)
    expect(new Set(LINK_DROP_NAMES).size).toBe(LINK_DROP_NAMES.length)
  })
})
