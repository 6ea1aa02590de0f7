/**
 * Open-loop load: operations are due at times fixed in advance, whatever the system under test does. An operation that could
 * not start in time is measured from when it was due, so a stall shows in the latencies instead of thinning out the load
 * (coordinated omission).
 */

import { Clock } from "@horizon/core/port/clock.ts"
import type { Scope } from "effect"
import { Effect } from "effect"

export interface OpenLoop {
  /** Nanoseconds (node monotonic time) at which the first operation is due. */
  readonly firstNs: number
  readonly periodNs: number
  /** Operations in all; `Infinity` = until the scope closes. */
  readonly count: number
  /** Called once per operation, at or after `intendedNs`, in order. */
  readonly operate: (index: number, intendedNs: number, nowNs: number) => void
}

/** Runs the load on the node's timer until the scope closes. No fiber and no allocation per operation. */
export const openLoop = (load: OpenLoop): Effect.Effect<void, never, Clock | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock
    let next = 0
    const due = (): number => load.firstNs + next * load.periodNs
    const timer = clock.timer((nowNs) => {
      while (next < load.count && due() <= nowNs) {
        load.operate(next, due(), nowNs)
        next++
      }
      if (next < load.count) timer.arm(due())
    })
    timer.arm(due())
    yield* Effect.addFinalizer(() => Effect.sync(() => timer.cancel()))
  })
