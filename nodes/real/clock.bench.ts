/**
 * How late a timer of 60 deadlines a second is, and what it costs, with Node's timers and with the native module. Run:
 * node nodes/real/clock.bench.ts [seconds]
 */

import { Clock } from "@horizon/core/port/clock.ts"
import { load, loadNative } from "@horizon/native/native.ts"
import { Effect, type Layer } from "effect"
import { layerClockOn } from "./clock.ts"

const STEP_NS = Math.round(1e9 / 60)
const seconds = Number(process.argv[2] ?? 10)

/** Lateness of each deadline, ns, and processor time of this process, in percent of one core. */
const measure = (layer: Layer.Layer<Clock>) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const late: Array<number> = []
    const before = process.cpuUsage()
    const startNs = clock.nowNs()
    let deadlineNs = startNs + STEP_NS
    const timer = clock.timer((nowNs) => {
      late.push(nowNs - deadlineNs)
      deadlineNs += STEP_NS
      timer.arm(deadlineNs)
    })
    timer.arm(deadlineNs)
    yield* Effect.sleep(seconds * 1000)
    timer.cancel()
    const { system, user } = process.cpuUsage(before)
    return { late: late.sort((a, b) => a - b), percent: ((system + user) * 1e5) / (clock.nowNs() - startNs) }
  }).pipe(Effect.provide(layer))

const loaded = loadNative()
if ("missing" in loaded) console.error(loaded.missing)
console.log("timer      deadlines   p50 late us   p99 late us   worst us   processor %")
for (const [name, on] of [
  ["node", load("", "off")] as const,
  ...("module" in loaded ? [["native", loaded] as const] : [])
]) {
  const { late, percent } = await Effect.runPromise(measure(layerClockOn(on)))
  const us = (part: number) => (late[Math.min(late.length - 1, Math.floor(late.length * part))] / 1000).toFixed(0)
  const cells = [`${late.length}`.padStart(9), us(0.5).padStart(13), us(0.99).padStart(13), us(1).padStart(10)]
  console.log(name.padEnd(10), ...cells, percent.toFixed(2).padStart(13))
}
