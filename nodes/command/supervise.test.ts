import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { expect, test } from "vitest"
import { supervise } from "./supervise.ts"

const inTestTime = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect).pipe(Effect.provide(TestClock.layer())))

test("a node that served and then crashes starts again after growing pauses", () =>
  inTestTime(
    Effect.gen(function* () {
      let lives = 0
      const said: Array<string> = []
      const info = yield* supervise({
        name: "gateway",
        life: (onReady) =>
          Effect.suspend(() => {
            lives++
            onReady({ life: lives })
            return Effect.andThen(Effect.sleep(1), Effect.die(new Error("a bug")))
          }),
        say: (line) => said.push(line),
        nowMs: () => 0
      })
      expect(info).toEqual({ life: 1 })
      yield* TestClock.adjust("10 seconds")
      expect(lives).toBe(5)
      expect(said.slice(0, 2)).toEqual([
        "gateway crashed: a bug; it starts again in 0.5 s",
        "gateway crashed: a bug; it starts again in 1 s"
      ])
    })
  ))

test("a node that never came up is a failure, and is not tried again", () =>
  inTestTime(
    Effect.gen(function* () {
      let lives = 0
      const node = supervise({
        name: "broker",
        life: () =>
          Effect.suspend(() => {
            lives++
            return Effect.fail("port in use")
          }),
        say: () => {},
        nowMs: () => 0
      })
      expect(yield* Effect.flip(node)).toBe("port in use")
      yield* TestClock.adjust("1 minute")
      expect(lives).toBe(1)
    })
  ))

test("the end of the scope stops the node and runs its finalizers", () =>
  inTestTime(
    Effect.gen(function* () {
      const log: Array<string> = []
      const scope = yield* Scope.make()
      const node = supervise({
        name: "game",
        life: (onReady) =>
          Effect.ensuring(
            Effect.suspend(() => {
              onReady({})
              return Effect.never
            }),
            Effect.sync(() => log.push("stopped"))
          ),
        say: (line) => log.push(line),
        nowMs: () => 0
      })
      yield* Scope.provide(node, scope)
      yield* Scope.close(scope, Exit.void)
      expect(log).toEqual(["stopped"])
    })
  ))
