import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { DROP } from "../../wire/drop.ts"
import { ReplayWindow } from "./replay-window.ts"

const TWO_32 = 2 ** 32

/** The same by a set of all sequences ever committed. */
class NaiveWindow {
  private readonly seen = new Set<number>()
  private highest = -1
  private readonly positions: number
  constructor(positions: number) {
    this.positions = positions
  }
  check(sequence: number): number {
    if (sequence <= Math.max(0, this.highest) - this.positions) return DROP.old
    return this.seen.has(sequence) ? DROP.replay : DROP.none
  }
  commit(sequence: number): boolean {
    this.seen.add(sequence)
    const newest = sequence > this.highest
    this.highest = Math.max(this.highest, sequence)
    return newest
  }
}

const split = (sequence: number): [number, number] => [Math.floor(sequence / TWO_32), sequence % TWO_32]

describe("ReplayWindow", () => {
  it.each([64, 128, 1024, 8192])("of %i positions judges every sequence as a set of all of them would", (positions) => {
    const step = fc.oneof(
      fc.integer({ min: -3, max: 5 }),
      fc.integer({ min: -positions - 5, max: positions + 5 }),
      fc.integer({ min: -3 * positions, max: 3 * positions })
    )
    const start = fc.constantFrom(0, TWO_32 - 40, 3 * TWO_32 - 1, 2 ** 52)
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 200 }), (from, steps) => {
        const window = new ReplayWindow(positions)
        const naive = new NaiveWindow(positions)
        let sequence = from
        for (const by of steps) {
          sequence = Math.max(0, sequence + by)
          const expected = naive.check(sequence)
          expect(window.check(...split(sequence))).toBe(expected)
          if (expected === DROP.none) expect(window.commit(...split(sequence))).toBe(naive.commit(sequence))
        }
      }),
      { numRuns: 60 }
    )
  })

  it("takes the whole window in any order, each position once", () => {
    const window = new ReplayWindow(64)
    expect(window.commit(0, 63)).toBe(true)
    for (let i = 62; i >= 0; i--) {
      expect(window.check(0, i)).toBe(DROP.none)
      expect(window.commit(0, i)).toBe(false)
      expect(window.check(0, i)).toBe(DROP.replay)
    }
    window.commit(0, 64)
    expect(window.check(0, 0)).toBe(DROP.old)
    expect(window.check(0, 1)).toBe(DROP.replay)
  })

  it("is not moved by checking", () => {
    const window = new ReplayWindow(64)
    window.commit(0, 5)
    expect(window.check(0x3fffffff, 0xffffffff)).toBe(DROP.none)
    expect(window.check(0, 4)).toBe(DROP.none)
  })

  it("works up to the last sequences, where a double is no longer exact", () => {
    const window = new ReplayWindow(64)
    window.commit(0x3fffffff, 0xffffff00)
    expect(window.check(0x3fffffff, 0xffffff00)).toBe(DROP.replay)
    expect(window.check(0x3fffffff, 0xfffffeff)).toBe(DROP.none)
    expect(window.check(0x3fffffff, 0xffffff01)).toBe(DROP.none)
    expect(window.check(0x3fffffff, 0xfffffec0)).toBe(DROP.old)
    expect(window.check(0, 0)).toBe(DROP.old)
  })

  it("refuses sizes that it does not have", () => {
    for (const positions of [0, 32, 63, 96, 16384]) expect(() => new ReplayWindow(positions)).toThrow()
  })
})
