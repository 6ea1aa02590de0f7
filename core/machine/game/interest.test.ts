import fc from "fast-check"
import { expect, test } from "vitest"
import { IdSet } from "./id-set.ts"
import { Interest } from "./interest.ts"
import { selectNearest } from "./nearest.ts"

const HALF = 3_000
const ENTER = 500
const LEAVE = 600

const make = (capacity: number, visibleMax = 1_000) =>
  new Interest({ capacity, halfSteps: HALF, enterSteps: ENTER, leaveSteps: LEAVE, visibleMax })

const place = fc.tuple(fc.integer({ min: -HALF, max: HALF }), fc.integer({ min: -HALF, max: HALF }))

test("through any walk, what a viewer sees is what brute force with hysteresis says", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(place, { minLength: 40, maxLength: 40 }), { minLength: 1, maxLength: 5 }),
      (steps) => {
        const interest = make(40)
        const seen = new Map<number, Set<number>>()
        for (const places of steps) {
          for (const [entity, [x, y]] of places.entries()) interest.place(entity, x, y)
          for (const [viewer, [x, y]] of places.entries()) {
            const before = seen.get(viewer) ?? new Set()
            const expected = places.flatMap(([ex, ey], entity) => {
              const distance = Math.sqrt((ex - x) ** 2 + (ey - y) ** 2)
              return entity !== viewer && distance <= (before.has(entity) ? LEAVE : ENTER) ? [entity] : []
            })
            interest.look(viewer)
            expect([...interest.ids.subarray(0, interest.count)].sort((a, b) => a - b)).toEqual(expected)
            for (let entity = 0; entity < 40; entity++) expect(interest.isSeen(entity)).toBe(expected.includes(entity))
            seen.set(viewer, new Set(expected))
          }
        }
      }
    ),
    { numRuns: 60 }
  )
})

test("one who walks to and fro across the radius enters once and does not leave", () => {
  const interest = make(2)
  interest.place(0, 0, 0)
  const counts = [ENTER + 1, ENTER, ENTER + 50, ENTER - 50, LEAVE, ENTER, LEAVE + 1, LEAVE, ENTER].map((x) => {
    interest.place(1, x, 0)
    return interest.look(0)
  })
  expect(counts).toEqual([0, 1, 1, 1, 1, 1, 0, 0, 1])
})

test("an entity that was taken out is not seen, and sees afresh when it comes back", () => {
  const interest = make(2)
  interest.place(0, 0, 0)
  interest.place(1, ENTER, 0)
  expect([interest.look(0), interest.look(1)]).toEqual([1, 1])
  interest.remove(1)
  interest.remove(1)
  expect(interest.look(0)).toBe(0)
  interest.place(1, ENTER + 1, 0)
  expect([interest.look(0), interest.look(1)]).toEqual([0, 0])
})

test("in a crowd the nearest are seen", () => {
  const interest = make(300, 100)
  interest.place(0, 0, 0)
  for (let entity = 1; entity < 300; entity++) interest.place(entity, (entity * 7) % 300, 0)
  expect(interest.look(0)).toBe(100)
  const distances = Array.from({ length: 299 }, (_, i) => (((i + 1) * 7) % 300) ** 2).sort((a, b) => a - b)
  expect([...interest.distances.subarray(0, 100)].sort((a, b) => a - b)).toEqual(distances.slice(0, 100))
})

test("in a world far larger than the sight the neighbours are found too", () => {
  const interest = new Interest({ capacity: 3, halfSteps: 7_500_000, enterSteps: 500, leaveSteps: 600, visibleMax: 3 })
  interest.place(0, 7_500_000, -7_500_000)
  interest.place(1, 7_499_600, -7_499_800)
  interest.place(2, 7_499_400, -7_499_600)
  expect([interest.look(0), interest.look(1), interest.look(2)]).toEqual([1, 2, 1])
})

test("radii that do not fit the wire or each other are a bug of the caller", () => {
  const options = { capacity: 1, halfSteps: HALF, visibleMax: 1 }
  expect(() => new Interest({ ...options, enterSteps: 11, leaveSteps: 10 })).toThrow("enters no farther")
  expect(() => new Interest({ ...options, enterSteps: 10, leaveSteps: 16_384 })).toThrow("relative to the viewer")
})

test("selection puts the wanted smallest first, ties by id, whatever the order before", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 80 }),
      fc.nat(90),
      fc.infiniteStream(fc.nat()),
      (keys, wanted, draws) => {
        const entries = keys.map((key, id) => ({ key, id }))
        const expected = [...entries].sort((a, b) => a.key - b.key || a.id - b.id).slice(0, wanted)
        const shuffled = entries
          .map((entry) => ({ entry, draw: draws.next().value as number }))
          .sort((a, b) => a.draw - b.draw)
        const ids = Uint16Array.from(shuffled, ({ entry }) => entry.id)
        const sorting = Float64Array.from(shuffled, ({ entry }) => entry.key)
        selectNearest(ids, sorting, keys.length, wanted)
        const first = [...ids.subarray(0, wanted)].map((id, i) => ({ key: sorting[i], id }))
        if (wanted < keys.length) expect(first.sort((a, b) => a.key - b.key || a.id - b.id)).toEqual(expected)
        else expect([...ids].sort((a, b) => a - b)).toEqual(entries.map(({ id }) => id))
      }
    ),
    { numRuns: 500 }
  )
})

test("an id set does what a Set does", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("add", "remove", "clear"), fc.nat(9)), { maxLength: 60 }),
      (steps) => {
        const set = new IdSet(10)
        const model = new Set<number>()
        for (const [step, id] of steps) {
          if (step === "add") expect(set.add(id)).toBe(!model.has(id) && model.add(id) === model)
          else if (step === "remove") expect(set.remove(id)).toBe(model.delete(id))
          else {
            set.clear()
            model.clear()
          }
          expect([...set.dense.subarray(0, set.size)].sort()).toEqual([...model].sort())
          for (let each = 0; each < 10; each++) expect(set.has(each)).toBe(model.has(each))
        }
      }
    )
  )
})
