import fc from "fast-check"
import { expect, test } from "vitest"
import { LinkTally } from "./link-tally.ts"

/** Arrivals as sequence numbers, one each millisecond, each sent 10 ms before it came. */
const tally = (count: number, arrivals: ReadonlyArray<number>, settle = 0): LinkTally => {
  const all = new LinkTally({ count, settle })
  for (const [at, sequence] of arrivals.entries()) all.note(sequence, at * 1e6, at * 1e6 + 10e6, 100)
  return all
}

test("datagrams in order are neither reordered, lost nor doubled, and their rate is what came after the first in the time since it", () => {
  expect(tally(5, [0, 1, 2, 3, 4]).figures()).toEqual({
    received: 5,
    duplicates: 0,
    reordered: 0,
    lossRuns: 0,
    // 400 bytes in 4 ms.
    goodputBps: 800_000,
    samples: 5,
    delayMinNs: 10e6,
    delayP50Ns: 10e6,
    delayP99Ns: 10e6,
    delayMaxNs: 10e6
  })
})

test("reordering is that of RFC 4737: what comes after a higher number is reordered, not what overtook it", () => {
  expect(tally(6, [0, 3, 1, 2, 4, 5]).figures().reordered).toBe(2)
  expect(tally(6, [1, 0, 3, 2, 5, 4]).figures().reordered).toBe(3)
  expect(tally(6, [5]).figures().reordered).toBe(0)
})

test("a second arrival is a duplicate and counts for nothing else", () => {
  const { duplicates, received, reordered, samples } = tally(4, [0, 1, 1, 0, 2]).figures()
  expect({ duplicates, received, reordered, samples }).toEqual({ duplicates: 2, received: 3, reordered: 0, samples: 3 })
})

test("losses one after the other are one run, also at both ends", () => {
  expect(tally(10, [2, 3, 6, 7, 8]).figures().lossRuns).toBe(3)
  expect(tally(3, []).figures().lossRuns).toBe(1)
})

test("what was sent before a queue had filled is counted and not measured", () => {
  const all = new LinkTally({ count: 4, settle: 2 })
  for (const [sequence, delayMs] of [
    [0, 1],
    [1, 1],
    [2, 50],
    [3, 60]
  ])
    all.note(sequence, sequence * 1e6, (sequence + delayMs) * 1e6, 1_000)
  // One datagram in the 11 ms after the first measured one.
  expect(all.figures()).toMatchObject({
    received: 4,
    samples: 2,
    delayMinNs: 50e6,
    delayMaxNs: 60e6,
    goodputBps: Math.round(8_000 / 0.011)
  })
})

test("a number that is none of the stream's is ignored", () => {
  const all = tally(3, [0, 3, 4_000_000_000])
  expect(all.figures()).toMatchObject({ received: 1, duplicates: 0, lossRuns: 1 })
})

test("for any arrivals, received and missing make up the stream, and percentiles are those of the delays in order", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(19), fc.nat(1_000)), { maxLength: 40 }), (arrivals) => {
      const all = new LinkTally({ count: 20, settle: 0 })
      const first = new Map<number, number>()
      arrivals.forEach(([sequence, delayNs], at) => {
        if (!first.has(sequence)) first.set(sequence, delayNs)
        all.note(sequence, at, at + delayNs, 1)
      })
      const figures = all.figures()
      const delays = [...first.values()].sort((a, b) => a - b)
      expect(figures.received).toBe(first.size)
      expect(figures.received + figures.duplicates).toBe(arrivals.length)
      expect(figures.lossRuns).toBeLessThanOrEqual(20 - first.size)
      expect(figures.delayP50Ns).toBe(delays[Math.max(1, Math.ceil(delays.length / 2)) - 1] ?? 0)
      expect(figures.delayMaxNs).toBe(delays.at(-1) ?? 0)
    })
  )
})
