import { udpContract } from "@horizon/core/port/udp.contract.ts"
import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { loadNative } from "@horizon/native/native.ts"
import { Effect, Layer, type Scope } from "effect"
import { describe, expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { dyingOfDefects } from "./defect.ts"
import { layerNativeUdp } from "./udp-native.ts"

const loaded = loadNative()
const why = "missing" in loaded ? loaded.missing : ""

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))
const arena = new Arena()
const layer = "module" in loaded ? Layer.provide(layerNativeUdp(loaded.module, arena), layerClock) : Layer.empty
const withUdp = <A, E>(body: (udp: Udp["Service"]) => Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  run(Effect.flatMap(Udp, body).pipe(Effect.provide(layer as Layer.Layer<Udp>)))

describe.skipIf(why !== "")(`native module${why === "" ? "" : `: ${why}`}`, () => {
  udpContract({
    name: "native",
    open: () => {
      const end = { layer: layer as Layer.Layer<Udp>, address: "127.0.0.1" }
      return { run, a: end, b: end }
    }
  })

  const put = (socket: UdpSocket, slot: number, to: UdpSocket, bytes: Uint8Array, ecn = 0): void => {
    socket.tx.slab.set(bytes, socket.tx.offset(slot))
    socket.tx.length[slot] = bytes.length
    parseAddress(to.local.address, socket.tx.address, slot * 4)
    socket.tx.port[slot] = to.local.port
    socket.tx.ecn[slot] = ecn
  }
  const until = (done: () => boolean) =>
    Effect.gen(function* () {
      for (let i = 0; i < 200 && !done(); i++) yield* Effect.sleep(5)
      expect(done()).toBe(true)
    })

  test("a run of equal datagrams crosses the kernel as one message, and arrives as it was, with its ECN bits", () =>
    withUdp((udp) =>
      Effect.gen(function* () {
        const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        const heard: Array<Array<number>> = []
        const ecn = new Set<number>()
        to.onBatch((_, count) => {
          for (let i = 0; i < count; i++) {
            heard.push([...to.rx.view(i)])
            ecn.add(to.rx.ecn[i])
          }
        })
        const sent = Array.from({ length: 100 }, (_, i) =>
          Uint8Array.from({ length: i === 99 ? 7 : 500 }, (_, k) => i + k)
        )
        for (const [slot, bytes] of sent.entries()) put(from, slot, to, bytes, 2)
        from.send(sent.length)
        yield* until(() => heard.length >= sent.length)
        expect(heard).toEqual(sent.map((bytes) => [...bytes]))
        expect([...ecn]).toEqual([2])
        const figures = from.figures?.()
        expect(figures).toMatchObject({ sendCalls: 1, gsoOn: 1, messagesSegmented: 2 })
        expect(to.figures?.().messagesCoalesced).toBeGreaterThan(0)
      })
    ))

  test("more coalesced datagrams than a batch has slots come in several batches, none lost", () =>
    withUdp((udp) =>
      Effect.gen(function* () {
        const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        const to = yield* udp.bind({ address: "127.0.0.1", port: 0, slots: 5 })
        const heard: Array<number> = []
        to.onBatch((_, count) => {
          expect(count).toBeLessThanOrEqual(5)
          for (let i = 0; i < count; i++) heard.push(to.rx.slab[to.rx.offset(i)])
        })
        for (let slot = 0; slot < 64; slot++) put(from, slot, to, Uint8Array.of(slot, 1, 2, 3))
        from.send(64)
        yield* until(() => heard.length >= 64)
        expect(heard).toEqual(Array.from({ length: 64 }, (_, i) => i))
      })
    ))

  test("workers that share a port get the datagrams of their own connections, and one client's HELLOs meet one worker", () =>
    withUdp((udp) =>
      Effect.gen(function* () {
        const first = yield* udp.bind({ address: "127.0.0.1", port: 0, workers: 3 })
        const { port } = first.local
        const others = yield* Effect.forEach([1, 2], () => udp.bind({ address: "127.0.0.1", port, workers: 3 }))
        const heard: Array<Array<number>> = [[], [], []]
        for (const [worker, socket] of [first, ...others].entries()) {
          socket.onBatch((_, count) => {
            for (let i = 0; i < count; i++) heard[worker].push(socket.rx.slab[socket.rx.offset(i) + 1])
          })
        }
        const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        // One by one: what is sent as one message is steered as one.
        const send = (datagram: Uint8Array): void => {
          put(from, 0, first, datagram)
          from.send(1)
        }
        for (let number = 0; number < 30; number++) {
          const datagram = new Uint8Array(64)
          datagram.set([number % 3, number, 0, 1])
          send(datagram)
        }
        yield* until(() => heard.flat().length >= 30)
        for (const [worker, numbers] of heard.entries())
          expect(numbers).toEqual(Array.from({ length: 10 }, (_, i) => i * 3 + worker))
        for (let client = 1; client <= 30; client++) {
          const hello = new Uint8Array(64)
          hello.fill(client, 30, 34)
          hello[14] = 1
          for (let repeats = 0; repeats < 3; repeats++) send(hello)
        }
        yield* until(() => heard.flat().length >= 120)
        for (const numbers of heard) expect((numbers.length - 10) % 3).toBe(0)
        expect(heard.filter((numbers) => numbers.length > 10).length).toBeGreaterThan(1)
      })
    ))

  test("with timestamps every datagram says how long it had waited", () =>
    withUdp((udp) =>
      Effect.gen(function* () {
        const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        const to = yield* udp.bind({ address: "127.0.0.1", port: 0, timestamps: true })
        const waitedNs: Array<number> = []
        to.onBatch((_, count) => {
          for (let i = 0; i < count; i++) waitedNs.push(to.waitedNs![i])
        })
        // The kernel begins to take times a little after it was asked.
        yield* Effect.sleep(100)
        put(from, 0, to, Uint8Array.of(1))
        from.send(1)
        const end = performance.now() + 20
        while (performance.now() < end);
        yield* until(() => waitedNs.length > 0)
        expect(waitedNs[0]).toBeGreaterThan(19e6)
        expect(waitedNs[0]).toBeLessThan(2e9)
      })
    ))

  test("a socket that is closed by its own handler, in the middle of a batch, says nothing more and gives its room back", () =>
    withUdp((udp) =>
      Effect.gen(function* () {
        const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
        for (let round = 0; round < 50; round++) {
          let batches = 0
          yield* Effect.scoped(
            Effect.gen(function* () {
              const to = yield* udp.bind({ address: "127.0.0.1", port: 0, slots: 2 })
              to.onBatch(() => {
                batches++
                ;(to as unknown as { close: () => void }).close()
              })
              for (let slot = 0; slot < 64; slot++) put(from, slot, to, Uint8Array.of(slot))
              from.send(64)
              yield* until(() => batches > 0)
            })
          )
          yield* Effect.sleep(1)
          expect(batches).toBe(1)
        }
        const fresh = arena.batch(1, 1)
        expect(fresh.from).toBeLessThan(32 * 1024 * 1024)
        arena.release(fresh)
      })
    ))

  test("what a handler throws kills its node, and the process goes on", async () => {
    const node = Effect.gen(function* () {
      const udp = yield* Udp
      const to = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      to.onBatch(() => {
        throw new Error("a bug in a handler")
      })
      const from = yield* udp.bind({ address: "127.0.0.1", port: 0 })
      put(from, 0, to, Uint8Array.of(1))
      from.send(1)
      return yield* Effect.never
    }).pipe(Effect.provide(layer as Layer.Layer<Udp>))
    const exit = await run(Effect.exit(dyingOfDefects(Effect.scoped(node))))
    expect(String(exit)).toContain("a bug in a handler")
  })
})
