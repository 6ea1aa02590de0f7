import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Deadlines } from "./deadlines.ts"
import { Slots } from "./slots.ts"

const SLOTS = 12

describe("Deadlines", () => {
  it("always knows the earliest, as a plain map would", () => {
    const action = fc.record({
      kind: fc.constantFrom("set", "earlier", "clear"),
      slot: fc.nat(SLOTS - 1),
      atNs: fc.nat(50)
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const deadlines = new Deadlines(SLOTS)
        const model = new Map<number, number>()
        for (const { kind, slot, atNs } of actions) {
          if (kind === "clear") {
            deadlines.clear(slot)
            model.delete(slot)
          } else if (kind === "set") {
            deadlines.set(slot, atNs)
            model.set(slot, atNs)
          } else {
            deadlines.setEarlier(slot, atNs)
            model.set(slot, Math.min(atNs, model.get(slot) ?? Number.POSITIVE_INFINITY))
          }
          const earliest = Math.min(...model.values())
          expect(deadlines.earliestNs()).toBe(earliest)
          if (model.size === 0) expect(deadlines.earliestSlot()).toBe(-1)
          else expect(model.get(deadlines.earliestSlot())).toBe(earliest)
        }
      }),
      { numRuns: 300 }
    )
  })
})

describe("Slots", () => {
  it("give each slot out once, then say that there is none", () => {
    const slots = new Slots(3)
    expect([slots.take(), slots.take(), slots.take(), slots.take()]).toEqual([0, 1, 2, -1])
  })

  it("give the slot out again that has been free for longest, with another generation, never 0", () => {
    const slots = new Slots(2)
    slots.take()
    slots.take()
    slots.release(1)
    slots.release(0)
    expect(slots.take()).toBe(1)
    expect(slots.generation(1)).toBe(2)
    const one = new Slots(1)
    const generations = new Set<number>()
    for (let i = 0; i < 255; i++) {
      generations.add(one.generation(one.take()))
      one.release(0)
    }
    expect(generations.size).toBe(255)
    expect(generations.has(0)).toBe(false)
    expect(one.generation(one.take())).toBe(1)
  })

  it("refuse to take back more than they gave", () => {
    const slots = new Slots(1)
    expect(() => slots.release(0)).toThrow(/once/)
    expect(() => new Slots(0)).toThrow()
  })
})
