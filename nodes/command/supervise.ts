/** Keeps a node running: a node that served and then fails is started again, with growing pauses; one that never came up is not. */

import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** What the node said when it was ready. */
export type ReadyInfo = Readonly<Record<string, string | number>>

export interface Supervised<E> {
  readonly name: string
  /** One life of the node; calls `onReady` when it serves. */
  readonly life: (onReady: (info: ReadyInfo) => void) => Effect.Effect<void, E>
  /** Said when a life has ended and the next one is waited for. */
  readonly say: (line: string) => void
  /** Monotonic. */
  readonly nowMs: () => number
}

const PAUSE_MS_MIN = 500
const PAUSE_MS_MAX = 30_000
/** A life that lasted so long starts the pauses anew. */
const STEADY_MS = 60_000

/**
 * Starts the node in the scope and waits until it serves for the first time. Its failure before that is the failure of this
 * Effect: a port in use or a damaged file is not cured by trying again.
 */
export const supervise = <E>(node: Supervised<E>): Effect.Effect<ReadyInfo, E, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* Deferred.make<ReadyInfo, E>()
    yield* Effect.forkScoped(lives(node, first))
    return yield* Deferred.await(first)
  })

const lives = <E>(node: Supervised<E>, first: Deferred.Deferred<ReadyInfo, E>): Effect.Effect<void> =>
  Effect.gen(function* () {
    let pauseMs = PAUSE_MS_MIN
    for (;;) {
      const beganMs = node.nowMs()
      const exit = yield* Effect.exit(node.life((info) => Deferred.doneUnsafe(first, Effect.succeed(info))))
      if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
      if (!(yield* Deferred.isDone(first))) {
        const cause = Exit.isFailure(exit) ? exit.cause : Cause.die(new Error(`${node.name} ended before it served`))
        yield* Deferred.failCause(first, cause)
        return
      }
      if (node.nowMs() - beganMs >= STEADY_MS) pauseMs = PAUSE_MS_MIN
      node.say(`${node.name} ${ending(exit)}; it starts again in ${pauseMs / 1000} s`)
      yield* Effect.sleep(pauseMs)
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
    }
  })

const ending = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "ended without being asked to"
  const error = Cause.squash(exit.cause)
  const what = error instanceof Error ? error.message : String(error)
  return `${Cause.hasDies(exit.cause) ? "crashed" : "failed"}: ${what.split("\n")[0]}`
}
