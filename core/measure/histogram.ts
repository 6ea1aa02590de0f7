/**
 * A histogram of durations with log-linear buckets (the scheme of HdrHistogram): 64 equal buckets for each power of two.
 *
 * A recorded value is known afterwards to within 1/128 (0.79 %) of itself, from single nanoseconds to one hour, in a fixed
 * 20 KB; recording is a few integer operations. Histograms of the same kind add up exactly, whatever the order, so parts
 * measured apart give the same percentiles as one measured whole.
 */

import { assert } from "../assert.ts"

/** Buckets for each power of two, as a power of two. */
const PRECISION_BITS = 6
const BUCKETS_EACH = 1 << PRECISION_BITS

/** Largest value that is told apart: one hour. Longer ones are counted in its bucket, and `max` still has them. */
export const VALUE_NS_MAX = 3_600_000_000_000

/** Bucket of a value: a non-negative integer of at most `VALUE_NS_MAX`. */
const bucketOf = (valueNs: number): number => {
  if (valueNs < BUCKETS_EACH) return valueNs
  const bits = valueNs < 0x8000_0000 ? 32 - Math.clz32(valueNs) : 63 - Math.clz32(Math.floor(valueNs / 0x8000_0000))
  const shift = bits - PRECISION_BITS - 1
  return shift * BUCKETS_EACH + Math.floor(valueNs / 2 ** shift)
}

/** Number of buckets. */
export const BUCKETS = bucketOf(VALUE_NS_MAX) + 1

/** Smallest value that falls into a bucket. */
export const bucketLowNs = (index: number): number => {
  if (index < 2 * BUCKETS_EACH) return index
  const shift = Math.floor(index / BUCKETS_EACH) - 1
  return (index - shift * BUCKETS_EACH) * 2 ** shift
}

/** The value that stands for a bucket: its middle, rounded down to an integer. */
export const bucketValueNs = (index: number): number =>
  Math.floor((bucketLowNs(index) + bucketLowNs(index + 1) - 1) / 2)

/** The buckets that are not empty, ascending: the form in which a histogram travels in a trace. */
export interface SparseCounts {
  readonly indices: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
}

export class Histogram {
  /** Values recorded. */
  count = 0
  /** Exact smallest and largest value; `Infinity` and 0 while there is none. After an import, those of the buckets. */
  min = Number.POSITIVE_INFINITY
  max = 0
  private sum = 0
  private readonly counts = new Float64Array(BUCKETS)
  /** All values lie in the buckets from `first` to `last`; most histograms use few. */
  private first = BUCKETS
  private last = -1

  /** Records one value in integer nanoseconds. A negative one counts as 0: two clocks may disagree by a little. */
  record(valueNs: number): void {
    this.recordMany(valueNs, 1)
  }

  /** Records the same value `times` times. */
  recordMany(valueNs: number, times: number): void {
    const value = valueNs > 0 ? Math.floor(valueNs) : 0
    const index = bucketOf(Math.min(value, VALUE_NS_MAX))
    this.counts[index] += times
    if (index < this.first) this.first = index
    if (index > this.last) this.last = index
    this.count += times
    this.sum += value * times
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }

  /** Arithmetic mean; 0 while there is no value. */
  mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /**
   * The value below or at which `p` percent of the values lie (nearest rank), `p` from 0 to 100; 0 while there is none. Never
   * outside the exact minimum and maximum.
   */
  percentile(p: number): number {
    if (this.count === 0) return 0
    const rank = Math.max(1, Math.ceil((p / 100) * this.count))
    let seen = 0
    for (let index = this.first; index <= this.last; index++) {
      seen += this.counts[index]
      if (seen >= rank) return Math.min(this.max, Math.max(this.min, bucketValueNs(index)))
    }
    return this.max
  }

  /** Share of the values at or below `valueNs`, from 0 to 1, to within one bucket: for a distribution plot. */
  shareUpTo(valueNs: number): number {
    if (this.count === 0) return 0
    const upTo = bucketOf(Math.min(VALUE_NS_MAX, Math.max(0, Math.floor(valueNs))))
    let seen = 0
    for (let index = this.first; index <= upTo; index++) seen += this.counts[index]
    return seen / this.count
  }

  /** Adds all values of `other`. */
  merge(other: Histogram): void {
    for (let index = other.first; index <= other.last; index++) this.counts[index] += other.counts[index]
    this.first = Math.min(this.first, other.first)
    this.last = Math.max(this.last, other.last)
    this.count += other.count
    this.sum += other.sum
    if (other.min < this.min) this.min = other.min
    if (other.max > this.max) this.max = other.max
  }

  /** Adds exported buckets, each value as the middle of its bucket. False, with nothing changed, if they are malformed. */
  mergeSparse(sparse: SparseCounts): boolean {
    const { indices, counts } = sparse
    if (indices.length !== counts.length) return false
    for (let i = 0; i < indices.length; i++) {
      if (!Number.isInteger(indices[i]) || indices[i] < 0 || indices[i] >= BUCKETS) return false
      if (!Number.isSafeInteger(counts[i]) || counts[i] < 0) return false
    }
    for (let i = 0; i < indices.length; i++) {
      if (counts[i] > 0) this.recordMany(bucketValueNs(indices[i]), counts[i])
    }
    return true
  }

  /** The buckets that are not empty. */
  sparse(): SparseCounts {
    const indices: Array<number> = []
    const counts: Array<number> = []
    for (let index = this.first; index <= this.last; index++) {
      if (this.counts[index] === 0) continue
      indices.push(index)
      counts.push(this.counts[index])
    }
    return { indices, counts }
  }

  /** A histogram of exported buckets, which must be well formed. */
  static fromSparse(sparse: SparseCounts): Histogram {
    const histogram = new Histogram()
    assert(histogram.mergeSparse(sparse), "exported histogram buckets are well formed")
    return histogram
  }

  /** Forgets everything. */
  reset(): void {
    this.counts.fill(0, this.first, this.last + 1)
    this.first = BUCKETS
    this.last = -1
    this.count = 0
    this.sum = 0
    this.min = Number.POSITIVE_INFINITY
    this.max = 0
  }
}
