/** Runs one effect of a simulated process to its end, in virtual time: what a test of a single part wants instead of a world. */

import { assert } from "@horizon/core/assert.ts"
import { Cause, Effect, Exit, type Scope } from "effect"
import type { Process } from "./process.ts"

/** Its value; its failure or defect is thrown. `limitNs` of virtual time, one hour if left out, bounds the wait. */
export const drive = <A, E>(process: Process, effect: Effect.Effect<A, E, Scope.Scope>, limitNs = 3_600e9): A => {
  const fiber = process.fork(Effect.scoped(effect))
  const { kernel } = process
  kernel.runUntil(() => fiber.pollUnsafe() !== undefined, kernel.nowNs + limitNs)
  const exit = fiber.pollUnsafe()
  assert(exit !== undefined, `the effect of ${process.name} has ended after ${limitNs} ns of virtual time`)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
