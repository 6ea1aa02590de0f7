import { describe, expect, it } from "vitest"
import { LINK_DROP, Link } from "./link.ts"
import { FIRST_COPY, play, RecordingSink, seededStreams } from "./recording-sink.ts"
import { type GilbertElliott, type LinkSpec, linkSpec } from "./spec.ts"

const BYTES = 100

const run = (change: Partial<LinkSpec>, packets: number, seed = 1) => {
  const sink = new RecordingSink()
  const link = new Link(linkSpec(change), seededStreams(seed), sink)
  play(
    link,
    sink,
    Array.from({ length: packets }, (_, i) => ({ atNs: i, bytes: BYTES }))
  )
  return { sink, link }
}

/** Which packets were lost, as 0 and 1. */
const lossPattern = (sink: RecordingSink, packets: number): Uint8Array => {
  const pattern = new Uint8Array(packets)
  for (const fate of sink.dropped) pattern[fate.packet] = 1
  return pattern
}

const burstLengths = (pattern: Uint8Array): Array<number> => {
  const lengths: Array<number> = []
  let length = 0
  for (const lost of pattern) {
    if (lost === 1) length++
    else if (length > 0) {
      lengths.push(length)
      length = 0
    }
  }
  return lengths
}

describe("independent loss", () => {
  it.each([1_000, 10_000, 100_000, 500_000])(
    "of %i ppm drops within five standard deviations of the binomial mean",
    (lossPpm) => {
      const n = 200_000
      const p = lossPpm / 1e6
      const { link } = run({ lossPpm }, n)
      expect(Math.abs(link.counters.drops[LINK_DROP.loss] - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)))
    }
  )

  it("of 1,000,000 ppm drops everything and of 0 nothing", () => {
    expect(run({ lossPpm: 1_000_000 }, 1000).link.counters.drops[LINK_DROP.loss]).toBe(1000)
    expect(run({}, 1000).link.counters.delivered).toBe(1000)
  })

  it("has no memory: after a loss the next packet is lost as often as any other", () => {
    const n = 300_000
    const pattern = lossPattern(run({ lossPpm: 100_000 }, n).sink, n)
    let losses = 0
    let pairs = 0
    for (let i = 1; i < n; i++) {
      losses += pattern[i - 1]
      pairs += pattern[i - 1] & pattern[i]
    }
    expect(Math.abs(pairs - losses * 0.1)).toBeLessThan(5 * Math.sqrt(losses * 0.09))
  })
})

describe("Gilbert-Elliott loss", () => {
  const models: ReadonlyArray<GilbertElliott> = [
    { goodToBadPpm: 10_000, badToGoodPpm: 200_000, lossBadPpm: 1_000_000, lossGoodPpm: 0 },
    { goodToBadPpm: 50_000, badToGoodPpm: 300_000, lossBadPpm: 700_000, lossGoodPpm: 0 },
    { goodToBadPpm: 20_000, badToGoodPpm: 100_000, lossBadPpm: 500_000, lossGoodPpm: 5_000 }
  ]

  it.each(models)("has the stationary loss rate of theory for %o", (burstLoss) => {
    const n = 400_000
    const p = burstLoss.goodToBadPpm / 1e6
    const r = burstLoss.badToGoodPpm / 1e6
    const bad = p / (p + r)
    const [lossBad, lossGood] = [burstLoss.lossBadPpm / 1e6, burstLoss.lossGoodPpm / 1e6]
    const rate = bad * lossBad + (1 - bad) * lossGood
    // Losses are correlated with factor (1-p-r)^k at distance k, which widens the binomial's deviation.
    const memory = 1 - p - r
    const covariance = bad * (1 - bad) * (lossBad - lossGood) ** 2
    const variance = n * (rate * (1 - rate) + (2 * covariance * memory) / (1 - memory))
    const { link } = run({ burstLoss }, n)
    expect(Math.abs(link.counters.drops[LINK_DROP.burstLoss] - n * rate)).toBeLessThan(5 * Math.sqrt(variance))
  })

  it("has geometric bursts of mean 1/r when every packet of the bad state is lost", () => {
    const n = 1_000_000
    const r = 0.2
    const lengths = burstLengths(lossPattern(run({ burstLoss: models[0] }, n).sink, n))
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
    const deviation = Math.sqrt(1 - r) / r
    expect(Math.abs(mean - 1 / r)).toBeLessThan((5 * deviation) / Math.sqrt(lengths.length))

    // Chi-squared over lengths 1 to 15 and "longer": 15 degrees of freedom, 99.99 % quantile 44.3.
    const bins = 15
    const seen = new Float64Array(bins + 1)
    for (const length of lengths) seen[Math.min(length, bins + 1) - 1]++
    let chiSquared = 0
    for (let i = 0; i <= bins; i++) {
      const expected = lengths.length * (i < bins ? r * (1 - r) ** i : (1 - r) ** bins)
      chiSquared += (seen[i] - expected) ** 2 / expected
    }
    expect(chiSquared).toBeLessThan(44.3)
  })

  it("has geometric loss runs of continuation (1-r)·h when the bad state loses a share h", () => {
    const n = 1_000_000
    const lengths = burstLengths(lossPattern(run({ burstLoss: models[1] }, n).sink, n))
    const stay = 0.7 * 0.7
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
    expect(Math.abs(mean - 1 / (1 - stay))).toBeLessThan((5 * Math.sqrt(stay)) / (1 - stay) / Math.sqrt(lengths.length))
  })

  it("keeps its state over a change of other settings and starts good when configured anew", () => {
    const stuck = { goodToBadPpm: 1_000_000, badToGoodPpm: 0, lossBadPpm: 1_000_000, lossGoodPpm: 0 }
    const sink = new RecordingSink()
    const link = new Link(linkSpec({ burstLoss: stuck }), seededStreams(1), sink)
    for (let i = 0; i < 3; i++) link.offer(i, i, BYTES, false)
    link.configure(3, linkSpec({ burstLoss: stuck, delayUs: 5 }))
    link.offer(3, 3, BYTES, false)
    link.configure(4, linkSpec())
    link.configure(4, linkSpec({ burstLoss: stuck }))
    link.offer(4, 4, BYTES, false)
    expect(sink.delivered.map((fate) => fate.packet)).toEqual([0, 4])
  })
})

describe("the drop list", () => {
  it("drops exactly the listed ordinals, in whatever order they are written", () => {
    const { sink } = run({ dropList: [7, 0, 3, 3, 99] }, 10)
    expect(sink.dropped.map((fate) => [fate.packet, fate.reason])).toEqual(
      [0, 3, 7].map((packet) => [packet, LINK_DROP.dropList])
    )
  })

  it("counts from the link's first packet, also when it is configured later", () => {
    const sink = new RecordingSink()
    const link = new Link(linkSpec(), seededStreams(1), sink)
    for (let i = 0; i < 5; i++) link.offer(i, i, BYTES, false)
    link.configure(5, linkSpec({ dropList: [2, 6] }))
    for (let i = 5; i < 10; i++) link.offer(i, i, BYTES, false)
    expect(sink.dropped.map((fate) => fate.packet)).toEqual([6])
  })
})

describe("damage and duplication", () => {
  const n = 200_000
  const within = (count: number, p: number): void =>
    expect(Math.abs(count - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)))

  it("corruption flips one bit of a packet, at the configured rate and uniformly over its bits", () => {
    const { sink, link } = run({ corruptPpm: 50_000 }, n)
    within(link.counters.corrupted, 0.05)
    expect(new Set(sink.flips.map((flip) => flip.packet)).size).toBe(link.counters.corrupted)
    const mean = sink.flips.reduce((sum, flip) => sum + flip.bit, 0) / sink.flips.length
    const bits = BYTES * 8
    expect(Math.abs(mean - (bits - 1) / 2)).toBeLessThan((5 * bits) / Math.sqrt(12 * sink.flips.length))
    expect(sink.flips.every((flip) => Number.isInteger(flip.bit) && flip.bit >= 0 && flip.bit < bits)).toBe(true)
  })

  it("truncation cuts to every length from one byte to one less than the packet, at the configured rate", () => {
    const { sink, link } = run({ truncatePpm: 50_000 }, n)
    within(link.counters.truncated, 0.05)
    const lengths = new Set(sink.cuts.map((cut) => cut.bytes))
    expect(lengths.size).toBe(BYTES - 1)
    expect(Math.min(...lengths)).toBe(1)
    expect(Math.max(...lengths)).toBe(BYTES - 1)
    const lost = sink.cuts.reduce((sum, cut) => sum + BYTES - cut.bytes, 0)
    expect(link.counters.bytes).toBe(n * BYTES - lost)
  })

  it("duplication sends a copy right behind its original, at the configured rate", () => {
    const { sink, link } = run({ duplicatePpm: 50_000 }, n)
    within(link.counters.duplicated, 0.05)
    const at = sink.fates.findIndex((fate) => fate.packet === FIRST_COPY)
    expect(sink.fates[at - 1].packet).toBe(sink.copies[0])
    expect(link.counters.delivered).toBe(n + link.counters.duplicated)
  })

  it("a copy for which the sink has no room is counted and nothing else happens", () => {
    const sink = new RecordingSink()
    sink.copiesMax = 2
    const link = new Link(linkSpec({ duplicatePpm: 1_000_000 }), seededStreams(1), sink)
    for (let i = 0; i < 5; i++) link.offer(i, i, BYTES, false)
    expect([link.counters.duplicated, link.counters.copyFailed, link.counters.delivered]).toEqual([2, 3, 7])
  })

  it("packets too short to damage pass unharmed", () => {
    const sink = new RecordingSink()
    const link = new Link(linkSpec({ corruptPpm: 1_000_000, truncatePpm: 1_000_000 }), seededStreams(1), sink)
    link.offer(0, 0, 0, false)
    link.offer(0, 1, 1, false)
    expect([sink.flips.map((flip) => flip.packet), sink.cuts, link.counters.delivered]).toEqual([[1], [], 2])
  })
})

describe("random streams", () => {
  it("a stage that is not configured asks for no stream", () => {
    const asked: Array<string> = []
    const streams = (stage: string) => {
      asked.push(stage)
      return seededStreams(1)(stage)
    }
    const link = new Link(linkSpec({ delayUs: 100, rateBps: 1_000_000, dropList: [1] }), streams, new RecordingSink())
    expect(asked).toEqual([])
    const all = linkSpec({
      lossPpm: 1,
      burstLoss: { goodToBadPpm: 1, badToGoodPpm: 1, lossBadPpm: 1, lossGoodPpm: 1 },
      corruptPpm: 1,
      truncatePpm: 1,
      duplicatePpm: 1,
      delayUs: 100,
      jitterUs: 10,
      reorderGap: { gap: 2, ppm: 1 }
    })
    link.configure(0, all)
    link.configure(0, linkSpec())
    link.configure(0, all)
    expect(asked.sort()).toEqual(["burst-loss", "corrupt", "duplicate", "jitter", "loss", "reorder", "truncate"])
  })

  it("switching a stage on does not shift what the other stages do to a packet", () => {
    const n = 20_000
    const base = { corruptPpm: 100_000, truncatePpm: 100_000, duplicatePpm: 100_000, lossPpm: 100_000 }
    const burstLoss = { goodToBadPpm: 50_000, badToGoodPpm: 300_000, lossBadPpm: 900_000, lossGoodPpm: 0 }
    const without = run(base, n).sink
    const { sink } = run({ ...base, burstLoss }, n)
    const burst = new Set(sink.dropped.filter((f) => f.reason === LINK_DROP.burstLoss).map((f) => f.packet))
    const survivors = <A extends { readonly packet: number }>(list: ReadonlyArray<A>): Array<A> =>
      list.filter((one) => !burst.has(one.packet))
    expect(burst.size).toBeGreaterThan(1000)
    expect(sink.flips).toEqual(survivors(without.flips))
    expect(sink.cuts).toEqual(survivors(without.cuts))
    expect(sink.copies).toEqual(without.copies.filter((packet) => !burst.has(packet)))
    const lost = (s: RecordingSink) => s.dropped.filter((f) => f.reason === LINK_DROP.loss).map((f) => f.packet)
    expect(lost(sink)).toEqual(lost(without))
  })
})
