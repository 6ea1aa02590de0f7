/**
 * Seeded random streams, split by label: the stream of `a/b/c` depends on the run's seed and that label alone, so one
 * more draw in one place never shifts another's.
 *
 * Generator: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021); state from
 * the seed and the label by SplitMix32 over an FNV-1a hash.
 */

export class Rng {
  private a: number
  private b: number
  private c: number
  private d: number

  /** `seed` is an integer from 0 to 2^53-1. */
  constructor(seed: number, label: string) {
    let mix = hashLabel(label, Math.floor(seed / 0x1_0000_0000) ^ 0x9e3779b9, seed >>> 0)
    const next = (): number => {
      mix = (mix + 0x9e3779b9) | 0
      let z = mix
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** Uniform unsigned 32-bit integer. */
  u32(): number {
    const { a, b, c, d } = this
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = b << 9
    const c2 = c ^ a
    const d2 = d ^ b
    this.b = b ^ c2
    this.a = a ^ d2
    this.c = c2 ^ shifted
    this.d = (d2 << 11) | (d2 >>> 21)
    return result
  }

  /** Uniform integer from 0 to `bound - 1`; `bound` from 1 to 2^32. */
  below(bound: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * bound)
  }

  /** Uniform integer from `low` to `high`, both included; the difference below 2^53. */
  between(low: number, high: number): number {
    const wide = (this.u32() >>> 5) * 0x400_0000 + (this.u32() >>> 6)
    return low + Math.floor((wide / 0x20_0000_0000_0000) * (high - low + 1))
  }

  /** True with a probability of `ppm` parts per million. Draws nothing for 0, so an unused stage costs nothing. */
  chance(ppm: number): boolean {
    return ppm > 0 && this.below(1_000_000) < ppm
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i += 4) {
      const word = this.u32()
      bytes[i] = word
      if (i + 1 < bytes.length) bytes[i + 1] = word >>> 8
      if (i + 2 < bytes.length) bytes[i + 2] = word >>> 16
      if (i + 3 < bytes.length) bytes[i + 3] = word >>> 24
    }
  }

  /** One element of a non-empty list. */
  pick<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]
  }
}

/** 32-bit FNV-1a over the label's UTF-16 units, started from two words of seed. */
const hashLabel = (label: string, high: number, low: number): number => {
  let hash = 0x811c9dc5
  for (const word of [high, low]) {
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((word >>> shift) & 255), 0x01000193)
  }
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
  return hash | 0
}
