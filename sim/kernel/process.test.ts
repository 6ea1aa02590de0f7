import { Deferred, Effect, Fiber, Queue, Random } from "effect"
import { expect, test } from "vitest"
import { Kernel } from "./kernel.ts"
import { Process, WallClock } from "./process.ts"

const boot = (seed = 1) => {
  const kernel = new Kernel({ seed })
  return { kernel, process: new Process({ kernel, name: "a", wall: new WallClock(kernel, 1_000_000) }) }
}

test("a sleeping fiber wakes at exactly its virtual time", () => {
  const { kernel, process } = boot()
  const times: Array<number> = []
  process.fork(
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) {
        yield* Effect.sleep("1 second")
        times.push(kernel.nowNs)
      }
    })
  )
  kernel.run(10e9)
  expect(times).toEqual([1e9, 2e9, 3e9])
  expect(kernel.nowNs).toBe(10e9)
})

test("a chain of ten thousand Deferreds resumes without overflowing the stack", () => {
  const { kernel, process } = boot()
  let seen = 0
  const fiber = process.fork(
    Effect.gen(function* () {
      const links = yield* Effect.forEach(Array.from({ length: 10_000 }), () => Deferred.make<number>())
      for (let i = 0; i + 1 < links.length; i++) {
        yield* Effect.forkChild(Effect.flatMap(Deferred.await(links[i]), (n) => Deferred.succeed(links[i + 1], n + 1)))
      }
      yield* Effect.sleep(1)
      yield* Deferred.succeed(links[0], 0)
      seen = yield* Deferred.await(links[9_999])
    })
  )
  kernel.run(1e9)
  expect(seen).toBe(9_999)
  expect(fiber.pollUnsafe()?._tag).toBe("Success")
})

test("a killed process runs no fiber and no finalizer again", () => {
  const { kernel, process } = boot()
  const log: Array<string> = []
  process.fork(
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => log.push("finalizer")))
      yield* Effect.sleep("1 second")
      log.push("woke")
    }).pipe(Effect.scoped)
  )
  const keep = process.atDeath(() => log.push("closed by itself"))
  process.atDeath(() => log.push("socket closed"))
  keep()
  kernel.run(5e8)
  process.kill()
  process.kill()
  kernel.run(5e9)
  expect(log).toEqual(["socket closed"])
})

test("an interrupted fiber runs its finalizers", () => {
  const { kernel, process } = boot()
  const log: Array<string> = []
  const fiber = process.fork(Effect.never.pipe(Effect.ensuring(Effect.sync(() => log.push("finalizer")))))
  kernel.run(5e8)
  fiber.interruptUnsafe()
  kernel.run(1e9)
  expect(log).toEqual(["finalizer"])
})

test("a paused process runs nothing until it is resumed, then catches up", () => {
  const { kernel, process } = boot()
  const times: Array<number> = []
  process.fork(Effect.sleep("1 second").pipe(Effect.andThen(Effect.sync(() => times.push(kernel.nowNs)))))
  kernel.run(5e8)
  process.pause()
  kernel.run(3e9)
  expect(times).toEqual([])
  process.resume()
  kernel.run(4e9)
  expect(times).toEqual([3e9])
})

test("fibers that talk through a queue interleave the same way for the same seed", () => {
  const run = (seed: number): Array<number> => {
    const kernel = new Kernel({ seed, order: "random", preemptPpm: 100_000 })
    const process = new Process({ kernel, name: "a", wall: new WallClock(kernel, 0) })
    const order: Array<number> = []
    process.fork(
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<number>()
        const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
          Effect.forkChild(
            Effect.forEach([1, 2, 3], (i) => Effect.andThen(Effect.yieldNow, Queue.offer(queue, n * 10 + i)))
          )
        )
        yield* Effect.forEach(fibers, Fiber.join)
        for (let i = 0; i < 12; i++) order.push(yield* Queue.take(queue))
        order.push(yield* Random.nextIntBetween(0, 1000))
      })
    )
    kernel.run(1e9)
    return order
  }
  expect(run(7)).toEqual(run(7))
  expect(run(7)).toHaveLength(13)
  expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => run(seed).join())).size).toBeGreaterThan(1)
})

test("a fiber that spins without waiting is a livelock that names its process", () => {
  const kernel = new Kernel({ seed: 1, livelockSteps: 10_000 })
  const process = new Process({ kernel, name: "spinner", wall: new WallClock(kernel, 0) })
  process.fork(Effect.forever(Effect.yieldNow))
  expect(() => kernel.run(1e9)).toThrow(/spinner keeps running/)
})

test("the wall clock steps and drifts, the monotonic clock does not", () => {
  const { kernel, process } = boot()
  kernel.run(1e9)
  expect(process.wall.nowMs()).toBe(1_001_000)
  process.wall.step(-500)
  expect(process.wall.nowMs()).toBe(1_000_500)
  process.wall.drift(1000)
  kernel.run(11e9)
  expect(process.wall.nowMs()).toBe(1_010_510)
  expect(process.nowNs()).toBe(11e9)
})
