import type { Clock } from "@horizon/core/port/clock.ts"
import { expect, test } from "vitest"
import { LiveKernel } from "./live-kernel.ts"

/** A kernel on a clock that a test moves by hand. */
const boot = () => {
  let nowNs = 0
  let alarm = (): void => {}
  let armedNs = Number.POSITIVE_INFINITY
  const clock: Clock["Service"] = {
    nowNs: () => nowNs,
    wallMs: () => 0,
    timer: (handler) => {
      alarm = () => handler(nowNs)
      return { arm: (atNs) => void (armedNs = atNs), cancel: () => void (armedNs = Number.POSITIVE_INFINITY) }
    }
  }
  const failures: Array<unknown> = []
  const kernel = new LiveKernel({ seed: 1, clock, onFailure: (error) => failures.push(error) })
  /** Moves the clock, lets the timer fire if it is due, and everything run that follows at once. */
  const moveTo = async (toNs: number): Promise<void> => {
    nowNs = toNs
    if (armedNs <= nowNs) {
      armedNs = Number.POSITIVE_INFINITY
      alarm()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { kernel, failures, moveTo, armedNs: () => armedNs, setClock: (toNs: number) => void (nowNs = toNs) }
}

test("events run when the clock has come to them, late ones at the time at which they were due", async () => {
  const { kernel, moveTo, armedNs } = boot()
  const ran: Array<string> = []
  kernel.callAt(1_000, () => {
    ran.push(`a ${kernel.nowNs}`)
    kernel.callAt(kernel.nowNs + 500, () => ran.push(`b ${kernel.nowNs}`))
    kernel.callAt(kernel.nowNs + 9_000, () => ran.push(`c ${kernel.nowNs}`))
  })
  expect(armedNs()).toBe(1_000)
  await moveTo(999)
  expect(ran).toEqual([])
  await moveTo(3_000)
  expect(ran).toEqual(["a 1000", "b 1500"])
  expect([kernel.nowNs, armedNs()]).toEqual([3_000, 10_000])
  expect([kernel.takeWorstNs(), kernel.takeWorstNs(), kernel.late.max]).toEqual([2_000, 0, 2_000])
})

test("what comes from outside happens at the clock's time, behind what is due before and late", async () => {
  const { kernel, setClock, moveTo } = boot()
  const ran: Array<string> = []
  kernel.callAt(1_000, () => ran.push(`due ${kernel.nowNs}`))
  setClock(4_000)
  kernel.enterCall(() => ran.push(`entered ${kernel.nowNs}`))
  expect(ran, "nothing runs while the caller is on the stack").toEqual([])
  await moveTo(4_500)
  expect(ran).toEqual(["due 1000", "entered 4000"])
})

test("who only reads the time gets the clock's, as far as no event is due before", () => {
  const { kernel, setClock } = boot()
  kernel.callAt(5_000, () => {})
  setClock(3_000)
  kernel.advance()
  expect(kernel.nowNs).toBe(3_000)
  setClock(7_000)
  kernel.advance()
  expect(kernel.nowNs).toBe(5_000)
})

test("after an event that throws nothing runs any more, and the error is told once", async () => {
  const { kernel, failures, moveTo } = boot()
  let later = 0
  kernel.callAt(1_000, () => {
    throw new Error("broken")
  })
  kernel.callAt(2_000, () => later++)
  await moveTo(1_500)
  await moveTo(3_000)
  expect(failures.map(String)).toEqual(["Error: broken"])
  expect(later).toBe(0)
})

test("work that never ends lets the event loop turn", async () => {
  const { kernel, setClock } = boot()
  let ran = 0
  let clockNs = 0
  const again = (): void => {
    ran++
    // Each event takes longer than the time to the next.
    setClock((clockNs += 1_000))
    if (ran < 100_000) kernel.callAt(kernel.nowNs + 10, again)
  }
  kernel.enterCall(again)
  let turns = 0
  while (turns < 5) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    turns++
  }
  expect(ran).toBeGreaterThan(1)
  kernel.stop()
  const before = ran
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(ran).toBe(before)
})
