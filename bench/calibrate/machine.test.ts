import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { expect, test } from "vitest"
import { MachineWatch, wakeNoise } from "./machine.ts"

const WATCHED_MS = 400

test("processes that are more than the processors wait, and one that sleeps does not", async () => {
  const busy = Array.from({ length: availableParallelism() + 1 }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" })
  )
  const sleeper = spawn("sleep", ["10"], { stdio: "ignore" })
  try {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const [ofBusy, ofSleeper] = [new MachineWatch(), new MachineWatch()]
    const sample = (atMs: number): void => {
      ofBusy.sample(
        atMs,
        busy.map(({ pid }) => pid!)
      )
      ofSleeper.sample(atMs, [sleeper.pid!])
    }
    sample(0)
    await new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
    sample(WATCHED_MS)
    // All together they miss one processor, and more if others are busy too.
    expect(ofBusy.waited(0, WATCHED_MS)).toBeGreaterThan(0.5)
    expect(ofSleeper.waited(0, WATCHED_MS)).toBeLessThan(0.2)
  } finally {
    for (const child of [...busy, sleeper]) child.kill("SIGKILL")
  }
})

test("the samples that enclose a time are those that count, and without any nothing is known", () => {
  expect(new MachineWatch().waited(0, 100)).toBe(0)
  const watch = new MachineWatch()
  watch.sample(0, [])
  expect(watch.waited(0, 100)).toBe(0)
})

test("as many wake-ups are measured as were asked for, none of them early", async () => {
  const late = await wakeNoise(20)
  expect(late.count).toBe(20)
  expect(late.min).toBeGreaterThanOrEqual(0)
})
