import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Link } from "./link.ts"
import { play, RecordingSink, seededStreams } from "./recording-sink.ts"
import { type JitterDistribution, type LinkSpec, linkSpec } from "./spec.ts"

const MS = 1_000_000

const run = (change: Partial<LinkSpec>, packets: number, gapNs: number, seed = 4) => {
  const sink = new RecordingSink()
  const link = new Link(linkSpec(change), seededStreams(seed), sink)
  play(
    link,
    sink,
    Array.from({ length: packets }, (_, i) => ({ atNs: i * gapNs, bytes: 100 }))
  )
  return { sink, link }
}

const DISTRIBUTIONS: ReadonlyArray<JitterDistribution> = ["uniform", "normal", "pareto", "paretonormal"]

describe("delay and jitter", () => {
  it("a packet's stage delays add up to its way through the link", () => {
    const { sink } = run({ delayUs: 10_000, jitterUs: 3_000, rateBps: 1_000_000 }, 1_000, 1 * MS)
    for (const fate of sink.fates) {
      const total = fate.queueNs + fate.serialisationNs + fate.propagationNs + fate.jitterNs
      expect(fate.atNs).toBe(fate.packet * MS + total)
      expect(fate.propagationNs).toBe(10 * MS)
    }
  })

  it.each(DISTRIBUTIONS)("%s jitter never makes a packet leave before it has come", (distribution) => {
    const { sink } = run({ delayUs: 1_000, jitterUs: 5_000, distribution }, 5_000, 1 * MS)
    for (const fate of sink.fates) expect(fate.atNs).toBeGreaterThanOrEqual(fate.packet * MS)
    if (distribution !== "pareto") expect(sink.fates.some((fate) => fate.jitterNs === -1 * MS)).toBe(true)
  })

  it("larger than the gap between packets reorders them when that is allowed, and counts those that overtook", () => {
    const { sink, link } = run({ delayUs: 50_000, jitterUs: 10_000 }, 5_000, 1 * MS)
    let latestNs = 0
    let overtook = 0
    for (const fate of sink.fates) {
      if (fate.atNs < latestNs) overtook++
      latestNs = Math.max(latestNs, fate.atNs)
    }
    expect(overtook).toBeGreaterThan(1_000)
    expect(link.counters.reordered).toBe(overtook)
  })
})

describe("forbidden reordering", () => {
  const changes: fc.Arbitrary<Partial<LinkSpec>> = fc.record({
    delayUs: fc.integer({ min: 0, max: 20_000 }),
    jitterUs: fc.integer({ min: 0, max: 20_000 }),
    distribution: fc.constantFrom(...DISTRIBUTIONS),
    rateBps: fc.constantFrom(0, 1_000_000, 50_000_000)
  })

  it("keeps packets in order whatever the jitter, and over any change of the settings", () => {
    fc.assert(
      fc.property(fc.array(changes, { minLength: 1, maxLength: 5 }), fc.integer(), (specs, seed) => {
        const sink = new RecordingSink()
        const spec = (change: Partial<LinkSpec>) => linkSpec({ ...change, reordering: "forbidden" })
        const link = new Link(spec({}), seededStreams(seed), sink)
        specs.forEach((change, phase) => {
          const startNs = phase * 20 * MS
          link.configure(startNs, spec(change))
          const arrivals = Array.from({ length: 40 }, (_, i) => ({ atNs: startNs + i * 500_000, bytes: 200 }))
          play(link, sink, arrivals, phase * 40)
        })
        const delivered = sink.delivered
        expect(delivered.map((fate) => fate.packet)).toEqual(delivered.map((_, i) => i))
        for (let i = 1; i < delivered.length; i++)
          expect(delivered[i].atNs).toBeGreaterThanOrEqual(delivered[i - 1].atNs)
        expect(link.counters.reordered).toBe(0)
      })
    )
  })

  it("shows the wait that keeps the order as jitter", () => {
    const { sink } = run({ delayUs: 50_000, jitterUs: 10_000, reordering: "forbidden" }, 1_000, 1 * MS)
    for (const fate of sink.fates) expect(fate.atNs).toBe(fate.packet * MS + 50 * MS + fate.jitterNs)
  })
})

describe("the reorder gap", () => {
  it("at full probability lets exactly every N-th packet skip the delay", () => {
    const { sink, link } = run({ delayUs: 10_000, reorderGap: { gap: 5, ppm: 1_000_000 } }, 100, 1 * MS)
    const early = sink.fates.filter((fate) => fate.atNs === fate.packet * MS).map((fate) => fate.packet)
    expect(early).toEqual(Array.from({ length: 20 }, (_, i) => 5 * i + 4))
    expect(sink.fates.every((fate) => fate.propagationNs === 10 * MS || early.includes(fate.packet))).toBe(true)
    expect(link.counters.reordered).toBe(20)
  })

  it("of one lets every packet skip the delay", () => {
    const { sink } = run({ delayUs: 10_000, reorderGap: { gap: 1, ppm: 1_000_000 } }, 10, 1 * MS)
    expect(sink.fates.every((fate) => fate.propagationNs === 0)).toBe(true)
  })

  it("at a lower probability leaves at least N - 1 packets between and a geometric number more", () => {
    const n = 200_000
    const { sink } = run({ delayUs: 10_000, reorderGap: { gap: 4, ppm: 250_000 } }, n, 1 * MS)
    const early = sink.fates.filter((fate) => fate.propagationNs === 0).map((fate) => fate.packet)
    const distances = early.slice(1).map((packet, i) => packet - early[i])
    expect(Math.min(...distances)).toBe(4)
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length
    // Three packets for certain, then a geometric wait of mean 4 and deviation sqrt(0.75) / 0.25.
    expect(Math.abs(mean - 7)).toBeLessThan((5 * Math.sqrt(0.75)) / 0.25 / Math.sqrt(distances.length))
  })

  it("does not shift the jitter of the packets that keep their delay", () => {
    const plain = run({ delayUs: 50_000, jitterUs: 5_000 }, 200, 1 * MS).sink.fates
    const gapped = run({ delayUs: 50_000, jitterUs: 5_000, reorderGap: { gap: 3, ppm: 500_000 } }, 200, 1 * MS).sink
      .fates
    const delayed = gapped.filter((fate) => fate.propagationNs > 0)
    expect(delayed.length).toBeLessThan(200)
    for (const fate of delayed) expect(fate.jitterNs).toBe(plain[fate.packet].jitterNs)
  })
})
