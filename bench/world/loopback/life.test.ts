import type { Topology } from "@horizon/core/lab/topology.ts"
import { clockContract } from "@horizon/core/port/clock.contract.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Deferred, Effect, type Exit, Layer } from "effect"
import { expect, test } from "vitest"
import { sleep, testGround, until } from "./ground.fixture.ts"

const ALONE: Topology = {
  subnets: { lan: { cidr: "10.9.0.0/24" } },
  hosts: { host: { subnet: "lan" } },
  routers: {}
}

clockContract({
  name: "loopback",
  open: async () => {
    const { live } = await testGround(ALONE)
    return { run: (effect) => Effect.runPromise(Effect.scoped(effect)), layer: live("node").layerClock() }
  }
})

const ticking = (steps: Array<number>, last: () => void = () => {}): Effect.Effect<void> =>
  Effect.ensuring(
    Effect.forever(
      Effect.andThen(
        Effect.sleep(2),
        Effect.sync(() => steps.push(performance.now()))
      )
    ),
    Effect.sync(last)
  )

test("a life that is paused takes no step and hears no timer, and goes on where it stood", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const steps: Array<number> = []
  const rings: Array<number> = []
  const program = Effect.gen(function* () {
    const clock = yield* Clock
    const timer = clock.timer((nowNs) => {
      rings.push(nowNs)
      timer.arm(nowNs + 2e6)
    })
    timer.arm(clock.nowNs())
    yield* ticking(steps)
  })
  life.start(life.layerClock(), program, () => {})
  await until(() => steps.length > 3 && rings.length > 3)
  life.process.pause()
  await sleep(5)
  const before = [steps.length, rings.length]
  const pausedNs = life.nowNs()
  await sleep(60)
  expect([steps.length, rings.length]).toEqual(before)
  life.process.resume()
  await until(() => steps.length > before[0] + 3 && rings.length > before[1] + 3)
  expect(steps.length).toBeGreaterThan(before[0] + 3)
  // Time has gone on meanwhile.
  expect(rings[before[1]]).toBeGreaterThan(pausedNs + 59e6)
})

test("a fiber that is resumed from outside while its life is paused waits at the gate", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const news = Deferred.makeUnsafe<string>()
  const heard: Array<string> = []
  let waits = false
  const program = Effect.gen(function* () {
    waits = true
    heard.push(yield* Deferred.await(news))
    yield* Effect.never
  })
  life.start(Layer.empty, program, () => {})
  await until(() => waits)
  life.process.pause()
  Deferred.doneUnsafe(news, Effect.succeed("news"))
  await sleep(20)
  expect(heard).toEqual([])
  life.process.resume()
  await until(() => heard.length > 0)
  expect(heard).toEqual(["news"])
})

test("a life that is killed runs nothing any more, no finalizer either, and then its ports are closed", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const steps: Array<number> = []
  const log: Array<string> = []
  const port = Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => log.push("port opened")),
      () => Effect.sync(() => log.push("port closed"))
    )
  )
  const ended = (): void => void log.push("ended")
  life.start(
    port,
    ticking(steps, () => log.push("finalizer")),
    ended
  )
  await until(() => steps.length > 3)
  await life.kill()
  const before = steps.length
  await sleep(30)
  expect(steps).toHaveLength(before)
  expect(log).toEqual(["port opened", "port closed"])
})

test("a life that is asked to stop runs its finalizers and says how it ended", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const steps: Array<number> = []
  const log: Array<string> = []
  const exit = new Promise<Exit.Exit<void, unknown>>((resolve) => {
    life.start(
      Layer.empty,
      ticking(steps, () => log.push("finalizer")),
      resolve
    )
  })
  await until(() => steps.length > 3)
  life.stop()
  expect((await exit)._tag).toBe("Failure")
  expect(log).toEqual(["finalizer"])
})

test("a life that is asked to stop before it began does not begin", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  let ran = false
  const exit = new Promise<Exit.Exit<void, unknown>>((resolve) => {
    life.start(
      Layer.effectDiscard(Effect.sleep(20)),
      Effect.sync(() => void (ran = true)),
      resolve
    )
  })
  life.stop()
  expect((await exit)._tag).toBe("Success")
  expect(ran).toBe(false)
})

test("ports that cannot be opened end a life with their cause", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const exit = await new Promise<Exit.Exit<void, unknown>>((resolve) => {
    life.start(Layer.effectDiscard(Effect.fail("no such device")), Effect.never, resolve)
  })
  expect(String(exit)).toContain("no such device")
})

test("the wall clock of a host jumps and drifts for all that a node can ask, the monotonic one does not", async () => {
  const { live } = await testGround(ALONE)
  const life = live("node")
  const { wall } = life.process
  const asked = await new Promise<ReadonlyArray<number>>((resolve) => {
    const program = Effect.gen(function* () {
      const clock = yield* Clock
      const startNs = clock.nowNs()
      const before = [clock.wallMs(), yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)]
      wall.step(-3_600_000)
      const after = [clock.wallMs(), yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)]
      wall.drift(-500_000)
      yield* Effect.sleep(40)
      resolve([...before, ...after, clock.wallMs(), (clock.nowNs() - startNs) / 1e6])
    })
    life.start(life.layerClock(), program, () => {})
  })
  const [port, effect, portStepped, effectStepped, drifted, tookMs] = asked
  expect(Math.abs(port - Date.now())).toBeLessThan(2_000)
  expect(Math.abs(effect - port)).toBeLessThan(100)
  expect(portStepped - port).toBeLessThan(-3_599_000)
  expect(effectStepped - effect).toBeLessThan(-3_599_000)
  expect(tookMs).toBeGreaterThanOrEqual(39)
  // Half as fast.
  expect(drifted - effectStepped).toBeLessThan(0.75 * tookMs)
})
