import { Clock } from "@horizon/core/port/clock.ts"
import { Udp } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Cause, Effect, Exit, Layer, type Scope } from "effect"
import { expect, test } from "vitest"
import { layerClock } from "./clock.ts"
import { dyingOfDefects } from "./defect.ts"
import { layerUdp } from "./udp.ts"

const ports = Layer.provideMerge(layerUdp, layerClock)

const endOf = async (node: Effect.Effect<void, unknown, Clock | Udp | Scope.Scope>): Promise<unknown> => {
  const exit = await Effect.runPromiseExit(dyingOfDefects(Effect.scoped(Effect.provide(node, ports))))
  return Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? Cause.squash(exit.cause) : exit
}

test("a node dies of what a timer's handler throws, and its finalizers run", async () => {
  const bug = new Error("a bug on a timer")
  let finalized = false
  const end = await endOf(
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => (finalized = true)))
      const clock = yield* Clock
      const timer = clock.timer(() => {
        throw bug
      })
      timer.arm(clock.nowNs())
      yield* Effect.never
    })
  )
  expect(end).toBe(bug)
  expect(finalized).toBe(true)
})

test("a node dies of what the receiver of a socket throws", async () => {
  const bug = new Error("a bug on a packet")
  const end = await endOf(
    Effect.gen(function* () {
      const udp = yield* Udp
      const socket = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      socket.onBatch(() => {
        throw bug
      })
      parseAddress("127.0.0.1", socket.tx.address, 0)
      socket.tx.port[0] = socket.local.port
      socket.tx.length[0] = 4
      socket.send(1)
      yield* Effect.never
    })
  )
  expect(end).toBe(bug)
})
