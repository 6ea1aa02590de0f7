/**
 * Where a bug goes that shows itself in a handler of the packet path: outside every fiber, called by Node's event loop. The node
 * that the handler belongs to must die of it, as of any other bug, and not the process with all its other nodes.
 */

import { Context, Deferred, Effect } from "effect"

/** Takes what a handler threw. By default it is thrown on, and ends the process. */
export const Defects = Context.Reference<(cause: unknown) => void>("horizon/Defects", {
  defaultValue: () => (cause) => {
    throw cause
  }
})

/** `node`, which dies of what its handlers throw. */
export const dyingOfDefects = <A, E, R>(node: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const defect = yield* Deferred.make<never>()
    const take = (cause: unknown): void => {
      Deferred.doneUnsafe(defect, Effect.die(cause))
    }
    return yield* Effect.raceFirst(Effect.provideService(node, Defects, take), Deferred.await(defect))
  })
