import { expect, test, vi } from "vitest"
import { StallWatch } from "./stall-watch.ts"

test("a machine that stands still is noticed, with how long and when; one that is merely late is not", () => {
  vi.useFakeTimers()
  try {
    let nowMs = 0
    const watch = new StallWatch(() => nowMs)
    const pass = (ms: number): void => {
      nowMs += ms
      vi.advanceTimersByTime(50)
    }
    for (let i = 0; i < 20; i++) pass(50 + (i % 2) * 200)
    expect(watch.caveats()).toEqual([])
    pass(1_650)
    pass(550)
    expect(watch.caveats()).toHaveLength(1)
    expect(watch.caveats()[0]).toMatch(/stood still for 2\.1 s in all, 1\.6 s of them at 3\.0 s of the run/)
    watch.stop()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})
