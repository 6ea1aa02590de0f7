/**
 * The jitter distributions, as netem samples them: a uniform word picks an entry of an inverse cumulative distribution
 * table of 4,096 entries, in units of jitter / 8,192. Only a quantile's integer is random, so a jitter replays exactly.
 *
 * The tables are computed here from their definitions (those of netem's generators), on netem's own grid of quantiles:
 *
 * - `normal`: the quantile of the standard normal distribution at (i + 1/8) / 4096.
 * - `pareto`: (u^(-1/3) - 3/2) * 4/3 with u = 1 - i/4096: shape 3, mean 0, a standard deviation of 2/sqrt(3) before the cut.
 * - `paretonormal`: a quarter of the normal quantile and three quarters of the cut Pareto entry at the same i.
 *
 * All are cut to 16 bits, which is four times the jitter; the cut leaves the Pareto table a mean of -0.03 and a standard
 * deviation of 0.82 jitters. They agree with the tables that iproute2 installs to one unit. Only the four operations and
 * the square root are used, which IEEE 754 rounds correctly, so every machine and engine computes the same tables
 * (Math.exp or Math.pow would not promise that).
 */

import { type Uniform, widePosition } from "./probability.ts"
import type { JitterDistribution } from "./spec.ts"

/** What stands for one jitter in a table. */
export const JITTER_SCALE = 8192

/** Entries of a table. */
export const JITTER_ENTRIES = 4096

const CUT_HIGH = 32_767
const CUT_LOW = -32_768

/** Draws jitter of one distribution. */
export class JitterSource {
  private readonly random: Uniform
  private jitterNs = 0
  private table: Int16Array | null = null

  constructor(random: Uniform) {
    this.random = random
  }

  configure(jitterNs: number, distribution: JitterDistribution): void {
    this.jitterNs = jitterNs
    this.table = distribution === "uniform" ? null : jitterTable(distribution)
  }

  /** The next deviation from the delay, in integer nanoseconds of either sign. One word is drawn. */
  nextNs(): number {
    const word = this.random.u32()
    if (this.table === null) return widePosition(word, 2 * this.jitterNs) - this.jitterNs
    // At most 2^15 * 2^35: exact, and so is the division by a power of two.
    return Math.floor((this.table[word >>> 20] * this.jitterNs) / JITTER_SCALE + 0.5)
  }
}

/** The inverse cumulative distribution of a distribution with a jitter of `JITTER_SCALE`; made once, then shared. */
export const jitterTable = (distribution: Exclude<JitterDistribution, "uniform">): Int16Array => {
  const known = tables.get(distribution)
  if (known !== undefined) return known
  const table = makeTable[distribution]()
  tables.set(distribution, table)
  return table
}

const tables = new Map<JitterDistribution, Int16Array>()

const makeTable: Record<Exclude<JitterDistribution, "uniform">, () => Int16Array> = {
  normal: () => Int16Array.from(normalQuantiles(), (value) => cut(entry(value))),
  pareto: () => Int16Array.from(paretoQuantiles(), (value) => cut(entry(value))),
  paretonormal: () => {
    const pareto = jitterTable("pareto")
    return Int16Array.from(normalQuantiles(), (value, index) => Math.trunc((entry(value) + 3 * pareto[index]) / 4))
  }
}

const entry = (quantile: number): number => Math.round(quantile * JITTER_SCALE)

const cut = (value: number): number => Math.min(CUT_HIGH, Math.max(CUT_LOW, value))

/** Each quantile by Newton's method from its neighbour, from the middle outwards: there the method converges from one side. */
const normalQuantiles = (): Float64Array => {
  const quantiles = new Float64Array(JITTER_ENTRIES)
  const middle = JITTER_ENTRIES / 2
  const at = (index: number): number => (index + 0.125) / JITTER_ENTRIES
  for (let i = middle; i < JITTER_ENTRIES; i++)
    quantiles[i] = normalQuantile(at(i), i === middle ? 0 : quantiles[i - 1])
  for (let i = middle - 1; i >= 0; i--) quantiles[i] = normalQuantile(at(i), quantiles[i + 1])
  return quantiles
}

const normalQuantile = (probability: number, from: number): number => {
  let x = from
  for (let step = 0; step < 30; step++) {
    const { cumulative, density } = normalAt(x)
    const change = (probability - cumulative) / density
    x += change
    if (Math.abs(change) < 1e-12) break
  }
  return x
}

/**
 * The standard normal distribution by the Taylor series of its density, exp(-x²/2) / sqrt(2π) = Σ (-x²/2)^n / n! / sqrt(2π),
 * and that series integrated term by term. For |x| up to 4.1 the largest term is below 700, so 12 digits remain.
 */
const normalAt = (x: number): { cumulative: number; density: number } => {
  let term = 1
  let density = 1
  let integral = x
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / (2 * n)
    density += term
    integral += (term * x) / (2 * n + 1)
  }
  const scale = 1 / Math.sqrt(2 * Math.PI)
  return { cumulative: 0.5 + integral * scale, density: density * scale }
}

/** u^(-1/3) is the root y of u y³ = 1, by Newton's method from the quantile before. */
const paretoQuantiles = (): Float64Array => {
  const quantiles = new Float64Array(JITTER_ENTRIES)
  let y = 1
  for (let i = 0; i < JITTER_ENTRIES; i++) {
    const u = 1 - i / JITTER_ENTRIES
    for (let step = 0; step < 30; step++) {
      const change = (1 - u * y * y * y) / (3 * u * y * y)
      y += change
      if (Math.abs(change) < 1e-12) break
    }
    quantiles[i] = (y - 1.5) * (4 / 3)
  }
  return quantiles
}
