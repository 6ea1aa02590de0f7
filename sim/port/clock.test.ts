import { type ClockInstance, clockContract } from "@horizon/core/port/clock.contract.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { drive } from "../kernel/drive.ts"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { layerClock } from "./clock.ts"

const boot = () => {
  const kernel = new Kernel({ seed: 1 })
  kernel.run(5e9)
  return new Process({ kernel, name: "node#1", wall: new WallClock(kernel, 1_700_000_000_000) })
}

clockContract({
  name: "simulated",
  open: (): ClockInstance => {
    const process = boot()
    return { run: (effect) => drive(process, effect), layer: layerClock(process) }
  }
})

test("the clock counts from the node's own start and shows its host's wall time", () => {
  const process = boot()
  process.wall.step(250)
  const read = Clock.use((clock) => Effect.sync(() => [clock.nowNs(), clock.wallMs()]))
  expect(drive(process, Effect.provide(Effect.andThen(Effect.sleep(10), read), layerClock(process)))).toEqual([
    10_000_000, 1_700_000_005_260
  ])
})
