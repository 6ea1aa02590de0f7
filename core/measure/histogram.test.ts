import fc from "fast-check"
import { expect, test } from "vitest"
import { BUCKETS, bucketLowNs, bucketValueNs, Histogram, VALUE_NS_MAX } from "./histogram.ts"

const durations = fc.oneof(
  fc.integer({ min: 0, max: 2_000 }),
  fc.integer({ min: 1_000, max: 1_000_000_000 }),
  fc.integer({ min: 1_000_000_000, max: VALUE_NS_MAX })
)

const of = (values: ReadonlyArray<number>): Histogram => {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

const exactPercentile = (values: ReadonlyArray<number>, p: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(1, Math.ceil((p / 100) * values.length)) - 1]

test("every percentile lies within one percent of that of the sorted values", () => {
  fc.assert(
    fc.property(
      fc.array(durations, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0, max: 100, noNaN: true }),
      (values, p) => {
        const exact = exactPercentile(values, p)
        expect(Math.abs(of(values).percentile(p) - exact)).toBeLessThanOrEqual(exact / 100)
      }
    )
  )
})

test("buckets are contiguous, ascending and never wider than 1/64 of their values", () => {
  for (let index = 0; index < BUCKETS; index++) {
    const low = bucketLowNs(index)
    const next = bucketLowNs(index + 1)
    expect(next).toBeGreaterThan(low)
    expect(next - low).toBeLessThanOrEqual(Math.max(1, low / 64))
    const edges = of([low, next - 1])
    expect(edges.sparse().indices).toEqual([index])
    expect(bucketValueNs(index)).toBeGreaterThanOrEqual(low)
    expect(bucketValueNs(index)).toBeLessThan(next)
  }
})

test("one microsecond and one hour are told apart from their neighbours two percent away", () => {
  for (const value of [1_000, VALUE_NS_MAX]) {
    expect(of([value, value * 0.98]).sparse().indices).toHaveLength(2)
  }
})

test("parts merged in any order equal the whole", () => {
  fc.assert(
    fc.property(fc.array(durations, { maxLength: 60 }), fc.array(durations, { maxLength: 60 }), (a, b) => {
      const whole = of([...a, ...b])
      const forward = of(a)
      forward.merge(of(b))
      const backward = of(b)
      backward.merge(of(a))
      for (const merged of [forward, backward]) {
        expect(merged.sparse()).toEqual(whole.sparse())
        expect([merged.count, merged.min, merged.max]).toEqual([whole.count, whole.min, whole.max])
        expect(merged.mean()).toBeCloseTo(whole.mean(), 3)
      }
    })
  )
})

test("an exported and imported histogram has the same buckets", () => {
  fc.assert(
    fc.property(fc.array(durations, { maxLength: 60 }), (values) => {
      const sparse = of(values).sparse()
      const again = Histogram.fromSparse(JSON.parse(JSON.stringify(sparse)))
      expect(again.sparse()).toEqual(sparse)
      expect(again.count).toBe(values.length)
    })
  )
})

test("malformed buckets are refused and change nothing", () => {
  const histogram = of([5])
  for (const bad of [
    { indices: [1], counts: [] },
    { indices: [-1], counts: [1] },
    { indices: [BUCKETS], counts: [1] },
    { indices: [1.5], counts: [1] },
    { indices: [3, 1], counts: [1, Number.NaN] },
    { indices: [1], counts: [-2] }
  ]) {
    expect(histogram.mergeSparse(bad)).toBe(false)
  }
  expect(histogram.sparse()).toEqual({ indices: [5], counts: [1] })
  expect(() => Histogram.fromSparse({ indices: [-1], counts: [1] })).toThrow("well formed")
})

test("values beyond the range are kept at its ends, and the exact extremes are known", () => {
  const histogram = of([-5, 10 * VALUE_NS_MAX])
  expect(histogram.min).toBe(0)
  expect(histogram.max).toBe(10 * VALUE_NS_MAX)
  expect(histogram.sparse().indices).toEqual([0, BUCKETS - 1])
  expect(histogram.count).toBe(2)
})

test("an empty histogram answers zero, and a reset one is empty", () => {
  const histogram = of([1_000, 2_000])
  expect(histogram.shareUpTo(1_500)).toBe(0.5)
  expect(histogram.mean()).toBe(1_500)
  histogram.reset()
  expect([histogram.percentile(99), histogram.mean(), histogram.count, histogram.shareUpTo(1e9)]).toEqual([0, 0, 0, 0])
  expect(histogram.sparse()).toEqual({ indices: [], counts: [] })
})
