import { AddressPool } from "@horizon/core/machine/tunnel/pool.ts"
import { Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { expect, test } from "vitest"
import { LEASES_KEY, LeaseKeeper } from "./lease-keeper.ts"

const ID = "0".repeat(31)

const start = () => {
  const entries = new Map<string, Uint8Array>()
  let writes = 0
  let failing = false
  const keys = Keys.of({
    where: "a test",
    read: (name) => Effect.sync(() => Option.fromUndefinedOr(entries.get(name))),
    write: (name, bytes) =>
      Effect.suspend(() => {
        writes++
        if (failing) return Effect.fail(new KeysError({ reason: "full", message: "no room" }))
        entries.set(name, bytes)
        return Effect.void
      }),
    remove: () => Effect.void,
    list: Effect.succeed([])
  })
  const life = () => {
    const pool = new AddressPool({
      prefix: { network: 0x0a4d0000, length: 24 },
      leaseNs: 60e9,
      leasesMax: 100,
      faultPoint: () => false
    })
    const clock = { nowNs: () => 0, wallMs: () => 0, timer: () => ({ arm: () => {}, cancel: () => {} }) }
    return { pool, keeper: new LeaseKeeper(pool, keys, clock) }
  }
  return {
    life,
    entries,
    writes: () => writes,
    setFailing: (value: boolean) => {
      failing = value
    }
  }
}
const run = <A>(effect: Effect.Effect<A>): Promise<A> => Effect.runPromise(Effect.provide(effect, TestClock.layer()))

test("what was leased is there in the next life", () =>
  run(
    Effect.gen(function* () {
      const { life } = start()
      const first = life()
      const address = first.pool.acquire("red", `${ID}1`)?.address
      yield* first.keeper.save()
      const second = life()
      yield* second.keeper.restore()
      expect(second.pool.leases().map((lease) => lease.address)).toEqual([address])
    })
  ))

test("changes of one moment are one write, and nothing is written when nothing has changed", () =>
  run(
    Effect.gen(function* () {
      const { life, writes } = start()
      const { pool, keeper } = life()
      yield* Effect.forkChild(keeper.run)
      yield* TestClock.adjust(1_000)
      expect(writes()).toBe(0)
      for (let i = 0; i < 9; i++) {
        pool.acquire("red", `${ID}${i}`)
        keeper.changed()
      }
      yield* TestClock.adjust(1_000)
      expect(writes()).toBe(1)
    })
  ))

test("a write that fails is tried again until it succeeds", () =>
  run(
    Effect.gen(function* () {
      const { life, writes, setFailing, entries } = start()
      const { keeper } = life()
      yield* Effect.forkChild(keeper.run)
      setFailing(true)
      keeper.changed()
      yield* TestClock.adjust(12_000)
      expect([writes(), keeper.failures, entries.has(LEASES_KEY)]).toEqual([3, 3, false])
      setFailing(false)
      yield* TestClock.adjust(12_000)
      expect([writes(), entries.has(LEASES_KEY)]).toEqual([4, true])
    })
  ))

test("a record that cannot be read is left behind, and the gateway starts without leases", () =>
  run(
    Effect.gen(function* () {
      const { life, entries } = start()
      entries.set(LEASES_KEY, new Uint8Array([9, 9, 9]))
      const { pool, keeper } = life()
      yield* keeper.restore()
      expect(pool.size).toBe(0)
    })
  ))
