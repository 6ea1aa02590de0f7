import { createSocket } from "node:dgram"
import { once } from "node:events"
import { udpContract } from "@horizon/core/port/udp.contract.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Effect, Layer, type Scope } from "effect"
import { expect, test } from "vitest"
import { layerClock } from "./clock.ts"
import { layerUdp } from "./udp.ts"

const layer = Layer.provide(layerUdp, layerClock)
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))
const withUdp = <A, E>(body: (udp: Udp["Service"]) => Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  run(Effect.flatMap(Udp, body).pipe(Effect.provide(layer)))

udpContract({
  name: "node",
  open: () => ({ run, a: { layer, address: "127.0.0.1" }, b: { layer, address: "127.0.0.1" } })
})

const put = (socket: UdpSocket, slot: number, address: string, port: number, text: string): void => {
  const bytes = new TextEncoder().encode(text)
  socket.tx.slab.set(bytes, socket.tx.offset(slot))
  socket.tx.length[slot] = bytes.length
  parseAddress(address, socket.tx.address, slot * 4)
  socket.tx.port[slot] = port
}

test("a socket on every address speaks IPv4 and IPv6, and shows IPv4 peers in their own form", () =>
  withUdp((udp) =>
    Effect.gen(function* () {
      const all = yield* udp.bind({ port: 0 })
      const peers: Array<string> = []
      all.onBatch((_, count) => {
        for (let i = 0; i < count; i++) {
          peers.push(all.rx.peer(i).address)
          all.tx.copyPeer(0, all.rx, i)
          all.tx.length[0] = 2
          all.send(1)
        }
      })
      for (const address of ["127.0.0.1", "::1"]) {
        const one = yield* udp.bind({ address, port: 0 })
        let answers = 0
        one.onBatch((_, count) => {
          answers += count
          expect(one.rx.peer(0)).toEqual({ address, port: all.local.port })
        })
        put(one, 0, address, all.local.port, "hi")
        one.send(1)
        for (let i = 0; i < 100 && answers === 0; i++) yield* Effect.sleep(5)
        expect(answers).toBe(1)
      }
      expect(peers).toEqual(["127.0.0.1", "::1"])
    })
  ))

test("datagrams that arrive in one turn of the event loop come as one batch", () =>
  withUdp((udp) =>
    Effect.gen(function* () {
      const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      const batches: Array<number> = []
      to.onBatch((_, count) => batches.push(count))
      for (let i = 0; i < 16; i++) put(from, i, "127.0.0.1", to.local.port, "x")
      from.send(16)
      for (let i = 0; i < 100 && batches.length === 0; i++) yield* Effect.sleep(5)
      expect(batches).toEqual([16])
    })
  ))

test("a datagram to a broadcast address leaves only a socket that was bound for it", () =>
  withUdp((udp) =>
    Effect.gen(function* () {
      for (const broadcast of [true, false]) {
        const socket = yield* udp.bind({ address: "127.0.0.1", port: 0, broadcast })
        put(socket, 0, "127.255.255.255", 9, "x")
        socket.send(1)
        yield* Effect.sleep(20)
        expect(socket.stats()).toMatchObject(
          broadcast ? { packetsOut: 1, dropsOut: 0 } : { packetsOut: 0, dropsOut: 1 }
        )
      }
    })
  ))

test("what the kernel throws away because nobody reads is counted as dropped", () =>
  withUdp((udp) =>
    Effect.gen(function* () {
      const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      let heard = 0
      to.onBatch((_, count) => {
        heard += count
      })
      const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      let sent = 0
      // The event loop does not turn in between, so the receive buffer must overflow.
      for (let round = 0; round < 400; round++) {
        for (let i = 0; i < 64; i++) put(from, i, "127.0.0.1", to.local.port, "y".repeat(1200))
        from.send(64)
        sent += 64
      }
      for (let i = 0; i < 400 && heard + to.stats().dropsIn < sent; i++) yield* Effect.sleep(5)
      const { dropsIn, packetsIn } = to.stats()
      expect(dropsIn).toBeGreaterThan(0)
      expect(packetsIn + dropsIn).toBe(sent)
    })
  ))

test("a datagram longer than a slot, from outside, is dropped and counted", () =>
  withUdp((udp) =>
    Effect.gen(function* () {
      const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      to.onBatch(() => {})
      const outside = createSocket("udp4")
      outside.send(new Uint8Array(5000), to.local.port, "127.0.0.1", () => outside.close())
      yield* Effect.promise(() => once(outside, "close"))
      for (let i = 0; i < 100 && to.stats().dropsIn === 0; i++) yield* Effect.sleep(5)
      expect(to.stats()).toMatchObject({ packetsIn: 0, dropsIn: 1 })
    })
  ))

test("text that is no address is refused with what to give instead", async () => {
  const error = await withUdp((udp) => Effect.flip(udp.bind({ address: "localhost", port: 0 })))
  expect(error.reason).toBe("address-not-available")
  expect(error.message).toContain('"localhost"')
})
