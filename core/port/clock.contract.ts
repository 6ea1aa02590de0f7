/** What every `Clock` layer must do. */

import type { Layer } from "effect"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { Clock } from "./clock.ts"
import { type ContractInstance, type ContractWorld, eventually, inWorld } from "./world.contract.ts"

export interface ClockInstance extends ContractInstance {
  readonly layer: Layer.Layer<Clock>
}

const MS = 1_000_000

export const clockContract = (world: ContractWorld<ClockInstance>): void => {
  const withClock = <E>(body: (clock: Clock["Service"]) => Effect.Effect<void, E>) =>
    inWorld(world)((instance) => Effect.flatMap(Clock, body).pipe(Effect.provide(instance.layer)))

  describe(`Clock, ${world.name}`, () => {
    test(
      "monotonic time is a non-negative integer that never goes back and keeps up with Effect.sleep",
      withClock((clock) =>
        Effect.gen(function* () {
          let lastNs = clock.nowNs()
          const firstNs = lastNs
          expect(lastNs).toBeGreaterThanOrEqual(0)
          for (let i = 0; i < 1000; i++) {
            const nowNs = clock.nowNs()
            expect(Number.isSafeInteger(nowNs)).toBe(true)
            expect(nowNs).toBeGreaterThanOrEqual(lastNs)
            lastNs = nowNs
          }
          yield* Effect.sleep(20)
          // A millisecond of grace: host timers may round down.
          expect(clock.nowNs() - firstNs).toBeGreaterThanOrEqual(19 * MS)
        })
      )
    )

    test(
      "wall time is an integer count of milliseconds that moves on",
      withClock((clock) =>
        Effect.gen(function* () {
          const before = clock.wallMs()
          expect(Number.isSafeInteger(before)).toBe(true)
          yield* Effect.sleep(30)
          expect(clock.wallMs()).toBeGreaterThanOrEqual(before + 25)
        })
      )
    )

    test(
      "a timer fires once, at or after its deadline, with the time at which it fires",
      withClock((clock) =>
        Effect.gen(function* () {
          const fired: Array<number> = []
          const deadlineNs = clock.nowNs() + 20 * MS
          clock.timer((nowNs) => fired.push(nowNs)).arm(deadlineNs)
          yield* eventually(() => fired.length > 0)
          yield* Effect.sleep(50)
          expect(fired).toHaveLength(1)
          expect(fired[0]).toBeGreaterThanOrEqual(deadlineNs)
          expect(fired[0]).toBeLessThanOrEqual(clock.nowNs())
        })
      )
    )

    test(
      "a deadline in the past fires soon, but never from within arm",
      withClock((clock) =>
        Effect.gen(function* () {
          let fired = 0
          yield* Effect.sleep(5)
          clock.timer(() => fired++).arm(0)
          expect(fired).toBe(0)
          expect(yield* eventually(() => fired === 1)).toBe(true)
        })
      )
    )

    test(
      "arming again replaces the deadline, both to later and to earlier",
      withClock((clock) =>
        Effect.gen(function* () {
          const startNs = clock.nowNs()
          const later: Array<number> = []
          const earlier: Array<number> = []
          const a = clock.timer((nowNs) => later.push(nowNs))
          a.arm(startNs + 10 * MS)
          a.arm(startNs + 60 * MS)
          const b = clock.timer((nowNs) => earlier.push(nowNs))
          b.arm(startNs + 10_000 * MS)
          b.arm(startNs + 10 * MS)
          expect(yield* eventually(() => later.length > 0 && earlier.length > 0)).toBe(true)
          yield* Effect.sleep(20)
          expect(later).toHaveLength(1)
          expect(later[0]).toBeGreaterThanOrEqual(startNs + 60 * MS)
          expect(earlier).toHaveLength(1)
          expect(earlier[0]).toBeLessThan(startNs + 5_000 * MS)
        })
      )
    )

    test(
      "a timer may be armed again from its own handler",
      withClock((clock) =>
        Effect.gen(function* () {
          let fired = 0
          const timer = clock.timer((nowNs) => {
            if (++fired < 3) timer.arm(nowNs + 5 * MS)
          })
          timer.arm(clock.nowNs() + 5 * MS)
          expect(yield* eventually(() => fired === 3)).toBe(true)
          yield* Effect.sleep(20)
          expect(fired).toBe(3)
        })
      )
    )

    test(
      "a cancelled timer does not fire, nor one that is armed for Infinity, and both can be armed again",
      withClock((clock) =>
        Effect.gen(function* () {
          let fired = 0
          const cancelled = clock.timer(() => fired++)
          cancelled.arm(clock.nowNs() + 10 * MS)
          cancelled.cancel()
          const disarmed = clock.timer(() => fired++)
          disarmed.arm(clock.nowNs() + 10 * MS)
          disarmed.arm(Number.POSITIVE_INFINITY)
          yield* Effect.sleep(40)
          expect(fired).toBe(0)
          cancelled.arm(clock.nowNs() + 5 * MS)
          disarmed.arm(clock.nowNs() + 5 * MS)
          expect(yield* eventually(() => fired === 2)).toBe(true)
        })
      )
    )
  })
}
