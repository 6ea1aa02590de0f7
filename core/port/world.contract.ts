/**
 * What a port's contract suite asks of the world that it runs in. A suite is written as Effects, so the same suite runs in
 * virtual time (the simulator drives its kernel until the Effect has ended) and in real time (the runtime waits for it).
 */

import type { Scope } from "effect"
import { Effect } from "effect"

/** A fresh instance of the world, made for one test. */
export interface ContractInstance {
  /** Runs a test to its end: at once in the simulator, as a promise elsewhere. Failures and defects are thrown. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => A | Promise<A>
}

/** One layer under contract. */
export interface ContractWorld<I extends ContractInstance> {
  /** For the test report: `simulated`, `node`, … */
  readonly name: string
  /** Called once for each test. */
  readonly open: () => I | Promise<I>
}

/** Makes a test body of an Effect that gets the fresh instance. */
export const inWorld =
  <I extends ContractInstance>(world: ContractWorld<I>) =>
  <E>(body: (instance: I) => Effect.Effect<void, E, Scope.Scope>) =>
  async (): Promise<void> => {
    const instance = await world.open()
    await instance.run(body(instance))
  }

/**
 * Waits until `condition` holds, looking every 5 ms of the world's time for at most `limitMs`; whether it came to hold. The
 * caller asserts, so that a failure shows the values.
 */
export const eventually = (condition: () => boolean, limitMs = 5_000): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 5) {
      if (condition()) return true
      yield* Effect.sleep(5)
    }
    return condition()
  })
