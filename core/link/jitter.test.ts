import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { JITTER_ENTRIES, JITTER_SCALE, JitterSource, jitterTable } from "./jitter.ts"
import { seededStreams } from "./recording-sink.ts"
import type { JitterDistribution } from "./spec.ts"

const TABLES = ["normal", "pareto", "paretonormal"] as const

const sample = (distribution: JitterDistribution, jitterNs: number, count: number): Float64Array => {
  const source = new JitterSource(seededStreams(11)("jitter"))
  source.configure(jitterNs, distribution)
  return Float64Array.from({ length: count }, () => source.nextNs())
}

const moments = (values: ArrayLike<number>): { mean: number; deviation: number } => {
  const list = Array.from(values)
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length
  return { mean, deviation: Math.sqrt(list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / list.length) }
}

/** The standard normal distribution function by Simpson's rule: another way than the one under test. */
const normalCumulative = (x: number): number => {
  const steps = 400
  const width = x / steps
  let sum = 0
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2
    sum += weight * Math.exp(-((i * width) ** 2) / 2)
  }
  return 0.5 + (sum * width) / 3 / Math.sqrt(2 * Math.PI)
}

describe("the tables", () => {
  it("normal: each entry is the quantile of its place, to half a unit", () => {
    const table = jitterTable("normal")
    const lowest = (0.125 / JITTER_ENTRIES) * (1 + 1e-9)
    expect(table[0]).toBe(-32_768)
    expect(normalCumulative(-4)).toBeGreaterThan(lowest)
    for (let i = 1; i < JITTER_ENTRIES; i++) {
      const at = (i + 0.125) / JITTER_ENTRIES
      expect(normalCumulative((table[i] - 0.51) / JITTER_SCALE)).toBeLessThan(at)
      expect(normalCumulative((table[i] + 0.51) / JITTER_SCALE)).toBeGreaterThan(at)
    }
  })

  it("pareto: each entry is (u^(-1/3) - 3/2) * 4/3, cut at four jitters", () => {
    jitterTable("pareto").forEach((value, i) => {
      const exact = ((1 - i / JITTER_ENTRIES) ** (-1 / 3) - 1.5) * (4 / 3) * JITTER_SCALE
      expect(Math.abs(value - Math.min(exact, 32_767))).toBeLessThanOrEqual(0.5 + 1e-6)
    })
  })

  it("paretonormal: each entry is a quarter normal and three quarters Pareto", () => {
    const [normal, pareto] = [jitterTable("normal"), jitterTable("pareto")]
    jitterTable("paretonormal").forEach((value, i) => {
      if (i > 0) expect(Math.abs(value - (normal[i] + 3 * pareto[i]) / 4)).toBeLessThan(1)
    })
  })

  it("have the moments that the documentation promises", () => {
    const [normal, pareto, paretonormal] = TABLES.map((name) => moments(jitterTable(name)))
    expect(normal.mean / JITTER_SCALE).toBeCloseTo(0, 2)
    expect(normal.deviation / JITTER_SCALE).toBeCloseTo(1, 3)
    // The cut at four jitters means X = (Y - 3/2) 4/3 with Y <= 4.5: E and Var of min(Y, 4.5) for a Pareto of shape 3.
    const cut = 4.5
    const first = 1.5 * (1 - cut ** -2) + cut ** -2
    const second = 3 * (1 - 1 / cut) + 1 / cut
    expect(pareto.mean / JITTER_SCALE).toBeCloseTo((first - 1.5) * (4 / 3), 2)
    expect(pareto.deviation / JITTER_SCALE).toBeCloseTo(Math.sqrt(second - first ** 2) * (4 / 3), 2)
    expect(paretonormal.mean / JITTER_SCALE).toBeCloseTo(0.75 * (first - 1.5) * (4 / 3), 2)
    expect(paretonormal.deviation / JITTER_SCALE).toBeCloseTo(0.834, 2)
  })

  const folder = ["/usr/lib/x86_64-linux-gnu/tc", "/usr/lib/aarch64-linux-gnu/tc", "/usr/lib/tc", "/usr/share/tc"].find(
    (path) => existsSync(`${path}/normal.dist`)
  )
  it.skipIf(folder === undefined)("agree with those that iproute2 installs, to one unit of 1/8192", () => {
    for (const name of TABLES) {
      const text = readFileSync(`${folder}/${name}.dist`, "utf8").replaceAll(/#.*/g, "")
      const theirs = text.trim().split(/\s+/).map(Number)
      expect(theirs.length).toBe(JITTER_ENTRIES)
      const ours = jitterTable(name)
      expect(Math.max(...theirs.map((value, i) => Math.abs(value - ours[i])))).toBeLessThanOrEqual(1)
    }
  })
})

describe("sampled jitter", () => {
  const n = 300_000
  const jitterNs = 3_000_000

  it.each(TABLES)("%s has its table's mean and deviation", (name) => {
    const table = moments(jitterTable(name))
    const { mean, deviation } = moments(sample(name, jitterNs, n))
    const sigma = (table.deviation / JITTER_SCALE) * jitterNs
    expect(Math.abs(mean - (table.mean / JITTER_SCALE) * jitterNs)).toBeLessThan((5 * sigma) / Math.sqrt(n))
    expect(Math.abs(deviation / sigma - 1)).toBeLessThan(0.02)
  })

  it("normal has the standard normal's quantiles", () => {
    const sorted = sample("normal", jitterNs, n).sort()
    for (const [probability, quantile] of [
      [0.0228, -2],
      [0.1587, -1],
      [0.5, 0],
      [0.8413, 1],
      [0.9772, 2]
    ]) {
      expect(Math.abs(sorted[Math.floor(probability * n)] / jitterNs - quantile)).toBeLessThan(0.03)
    }
  })

  it("pareto has the Pareto quantiles: half of the packets come early, one in a hundred very late", () => {
    const sorted = sample("pareto", jitterNs, n).sort()
    for (const probability of [0.1, 0.5, 0.9, 0.99]) {
      const quantile = Math.min(((1 - probability) ** (-1 / 3) - 1.5) * (4 / 3), 4)
      expect(Math.abs(sorted[Math.floor(probability * n)] / jitterNs - quantile)).toBeLessThan(0.05)
    }
  })

  it("uniform stays within the half-width, with mean 0 and deviation jitter / sqrt(3)", () => {
    const values = sample("uniform", jitterNs, n)
    const { mean, deviation } = moments(values)
    expect(Math.min(...values.subarray(0, 100_000))).toBeGreaterThanOrEqual(-jitterNs)
    expect(Math.max(...values.subarray(0, 100_000))).toBeLessThan(jitterNs)
    expect(Math.abs(mean)).toBeLessThan((5 * jitterNs) / Math.sqrt(3 * n))
    expect(Math.abs((deviation * Math.sqrt(3)) / jitterNs - 1)).toBeLessThan(0.01)
  })

  it("is an integer, rounded as in exact arithmetic, up to the largest jitter", () => {
    const words = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff, 0x1234_5678]
    for (const jitter of [1, 1_000, 999_999_937, 30_000_000_000]) {
      for (const word of words) {
        const uniform = new JitterSource({ u32: () => word })
        uniform.configure(jitter, "uniform")
        expect(uniform.nextNs()).toBe(Number((BigInt(word) * 2n * BigInt(jitter)) >> 32n) - jitter)
        const normal = new JitterSource({ u32: () => word })
        normal.configure(jitter, "normal")
        const entry = BigInt(jitterTable("normal")[word >>> 20])
        expect(normal.nextNs()).toBe(Number((entry * BigInt(jitter) * 2n + 8192n) >> 14n))
      }
    }
  })
})
