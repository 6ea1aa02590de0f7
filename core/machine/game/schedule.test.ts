import fc from "fast-check"
import { expect, test } from "vitest"
import { CATCH_UP_MAX, TickSchedule } from "./schedule.ts"

const START_NS = 123_456_789

test("over ten minutes every 60 Hz deadline is start + n/60 s to the nanosecond: rounding never adds up", () => {
  const schedule = new TickSchedule(START_NS, 60)
  for (let tick = 0; tick <= 36_000; tick++) {
    expect(schedule.nextDeadline()).toBe(START_NS + Number((BigInt(tick) * 1_000_000_000n) / 60n))
    expect(schedule.due(schedule.nextDeadline() - 1)).toBe(0)
    expect(schedule.due(schedule.nextDeadline())).toBe(1)
    expect(schedule.skipped).toBe(0)
    schedule.done()
  }
  expect(schedule.nextDeadline()).toBe(START_NS + 600_016_666_666)
})

test("a deadline is exact after a year", () => {
  const year = 365 * 86_400
  expect(new TickSchedule(0, 60).deadline((year * 60) / 4 + 1)).toBe((year / 4) * 1e9 + 16_666_666)
})

test("lateness of each tick does not move the deadlines of the next", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 16_000_000 }), { maxLength: 200 }), (latenesses) => {
      const schedule = new TickSchedule(0, 60)
      for (const [tick, late] of latenesses.entries()) {
        expect(schedule.nextDeadline()).toBe(Math.floor((tick * 1e9) / 60))
        expect(schedule.due(schedule.nextDeadline() + late)).toBe(1)
        expect(schedule.lateNs).toBe(late)
        schedule.done()
      }
    })
  )
})

test("after a pause at most four ticks are run, the older ones are skipped, and the tick after is on time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 600_000_000_000 }), (first, pauseNs) => {
      const schedule = new TickSchedule(0, 60, first)
      const nowNs = schedule.nextDeadline() + pauseNs
      let newest = first
      while (newest - first < 5 && schedule.deadline(newest + 1) <= nowNs) newest++
      const due = schedule.due(nowNs)
      expect(schedule.lateNs).toBe(pauseNs)
      expect(due).toBe(Math.min(CATCH_UP_MAX, newest - first + 1))
      for (let i = 0; i < due; i++) schedule.done()
      expect(schedule.nextDeadline()).toBeGreaterThan(nowNs)
      expect(schedule.deadline(schedule.next - 1)).toBeLessThanOrEqual(nowNs)
      expect(schedule.next).toBe(first + due + schedule.skipped)
    }),
    { numRuns: 1000 }
  )
})

test("nothing is due before the start", () => {
  const schedule = new TickSchedule(1_000, 60)
  expect(schedule.due(999)).toBe(0)
  expect(schedule.due(1_000)).toBe(1)
})

test("a rate that is no rate is a bug of the caller", () => {
  for (const rate of [0, -1, 1.5, 1001]) expect(() => new TickSchedule(0, rate)).toThrow("tick rate")
})
