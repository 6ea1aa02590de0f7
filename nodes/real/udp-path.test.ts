/** The native socket on a path whose MTU is below what it is given to send. */

import { execFileSync } from "node:child_process"
import { Udp } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { loadNative } from "@horizon/native/native.ts"
import { Effect, Layer } from "effect"
import { expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { inOwnNamespace } from "./own-namespace.fixture.ts"
import { layerNativeUdp } from "./udp-native.ts"

const loaded = loadNative()

await inOwnNamespace(import.meta.filename, "missing" in loaded ? loaded.missing : "", () => {
  if ("missing" in loaded) return
  const layer = Layer.provide(layerNativeUdp(loaded.module, new Arena()), layerClock)

  test("datagrams above the MTU of their way arrive one by one, and those that fit still leave in one message", async () => {
    execFileSync("ip", ["link", "set", "lo", "mtu", "1280"])
    const heard: Array<number> = []
    const program = Effect.gen(function* () {
      const udp = yield* Udp
      const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      to.onBatch((_, count) => {
        for (let i = 0; i < count; i++) heard.push(to.rx.length[i])
      })
      const send = function* (bytes: number, count: number) {
        for (let slot = 0; slot < count; slot++) {
          from.tx.length[slot] = bytes
          from.tx.port[slot] = to.local.port
          parseAddress(to.local.address, from.tx.address, slot * 4)
        }
        const before = heard.length
        from.send(count)
        for (let i = 0; i < 200 && heard.length < before + count; i++) yield* Effect.sleep(5)
        expect(heard.slice(before)).toEqual(new Array(count).fill(bytes))
      }
      yield* send(1400, 20)
      expect(from.figures?.()).toMatchObject({ gsoOn: 1, messagesSegmented: 0, offloadErrors: 0 })
      yield* send(1000, 20)
      expect(from.figures?.()).toMatchObject({ gsoOn: 1, messagesSegmented: 1, offloadErrors: 0 })
      expect(from.stats()).toMatchObject({ packetsOut: 40, dropsOut: 0 })
    })
    await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(layer)))
  })
})
