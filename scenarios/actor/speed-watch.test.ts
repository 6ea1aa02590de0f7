import { expect, test } from "vitest"
import { SpeedWatch } from "./speed-watch.ts"

const MAX_MM_S = 6000

/** Sees a straight run of `seconds` at `mmS`, from `tick` on; how often the watch complained. */
const run = (watch: SpeedWatch, tick: number, seconds: number, mmS: number): number => {
  let complaints = 0
  for (let i = 0; i <= seconds * 30; i++) {
    if (!watch.see(tick + 2 * i, (i * mmS * 1000) / 30, 0, MAX_MM_S, 60)) complaints++
  }
  return complaints
}

test("one who runs at the greatest speed for a minute is never too fast", () => {
  const watch = new SpeedWatch()
  expect(run(watch, 100, 60, MAX_MM_S)).toBe(0)
  expect(watch.checked).toBe(12)
})

test("one who runs at one and a half times the greatest speed is too fast in every window", () => {
  const watch = new SpeedWatch()
  expect(run(watch, 100, 60, 9000)).toBe(12)
  expect(watch.coveredUm).toBeGreaterThan(watch.allowedUm)
})

test("half a second caught up at once is allowed, two seconds are not", () => {
  const catchUp = (seconds: number): boolean => {
    const watch = new SpeedWatch()
    watch.see(0, 0, 0, MAX_MM_S, 60)
    for (let tick = 2; tick < 300; tick += 2) watch.see(tick, tick * 100_000, 0, MAX_MM_S, 60)
    return watch.see(300, 300 * 100_000 + seconds * 6_000_000, 0, MAX_MM_S, 60)
  }
  expect([catchUp(0.5), catchUp(2)]).toEqual([true, false])
})

test("a new session begins a new window: the way from the last place to the spawn does not count", () => {
  const watch = new SpeedWatch()
  run(watch, 0, 4, MAX_MM_S)
  watch.reset()
  expect(watch.see(10, 900_000_000, 0, MAX_MM_S, 60)).toBe(true)
  for (let tick = 12; tick <= 312; tick += 2) expect(watch.see(tick, 900_000_000, 0, MAX_MM_S, 60)).toBe(true)
  expect(watch.checked).toBe(1)
})
