import { Udp, UdpError, type UdpSocket } from "@horizon/core/port/udp.ts"
import { putV4 } from "@horizon/core/wire/address.ts"
import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { layerUdp } from "@horizon/real/udp.ts"
import { Effect, Layer } from "effect"
import { expect, test } from "vitest"
import { layerTunnelUdp, TunnelAddress } from "./tunnel-udp.ts"

/** Runs with a socket that follows an address, on the real layer, whose addresses are 127.x here. */
const following = (
  work: (socket: UdpSocket, address: TunnelAddress) => Effect.Effect<void, unknown, Udp>
): Promise<void> => {
  const address = new TunnelAddress()
  const real = Layer.provideMerge(layerUdp, layerClock)
  const program = Effect.gen(function* () {
    const below = yield* Udp
    const tunnel = yield* Effect.provide(Udp, layerTunnelUdp(address))
    const socket = yield* tunnel.bind({ port: 0 })
    yield* Effect.provideService(work(socket, address), Udp, below)
  })
  return Effect.runPromise(Effect.scoped(Effect.provide(program, real)))
}

const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 200 && !holds(); i++) yield* Effect.sleep(5)
    expect(holds()).toBe(true)
  })

const put = (batch: DatagramBatch, text: string, to: UdpSocket): void => {
  batch.slab.set(Buffer.from(text), batch.offset(0))
  batch.length[0] = text.length
  putV4(batch.address, 0, 0x7f4d0001)
  batch.port[0] = to.local.port
}

/** Listens at 127.77.0.1; what it hears and from where. */
const listener = Effect.gen(function* () {
  const udp = yield* Udp
  const socket = yield* udp.bind({ address: "127.77.0.1", port: 0 })
  const heard: Array<string> = []
  socket.onBatch((_, count) => {
    for (let i = 0; i < count; i++) {
      const at = socket.rx.offset(i)
      const words = Buffer.from(socket.rx.slab.subarray(at, at + socket.rx.length[i])).toString()
      heard.push(`${words} from ${(socket.rx.address[4 * i + 3] >>> 0).toString(16)}`)
      // Answers.
      socket.tx.slab.set(socket.rx.slab.subarray(at, at + socket.rx.length[i]), socket.tx.offset(0))
      socket.tx.length[0] = socket.rx.length[i]
      socket.tx.copyPeer(0, socket.rx, i)
      socket.send(1)
    }
  })
  return { socket, heard }
})

test("a socket sends from the tunnel address, follows it, and sends nothing while there is none", () =>
  following((socket, address) =>
    Effect.gen(function* () {
      const { heard, socket: peer } = yield* listener
      const answers: Array<string> = []
      socket.onBatch((_, count) => {
        for (let i = 0; i < count; i++) {
          const at = socket.rx.offset(i)
          answers.push(Buffer.from(socket.rx.slab.subarray(at, at + socket.rx.length[i])).toString())
        }
      })
      const say = (text: string): void => {
        put(socket.tx, text, peer)
        socket.send(1)
      }
      say("too early")
      address.set("127.77.0.2")
      yield* until(() => socket.local.address === "127.77.0.2")
      say("first")
      yield* until(() => answers.length === 1)
      address.set("127.77.0.3")
      yield* until(() => socket.local.address === "127.77.0.3")
      say("second")
      yield* until(() => answers.length === 2)
      address.set(undefined)
      yield* until(() => socket.local.address === "0.0.0.0")
      say("too late")
      yield* Effect.sleep(20)
      expect(heard).toEqual(["first from 7f4d0002", "second from 7f4d0003"])
      expect(answers).toEqual(["first", "second"])
      expect(socket.stats()).toMatchObject({ packetsOut: 2, packetsIn: 2, dropsOut: 2 })
    }).pipe(Effect.scoped)
  ))

test("batches of another size below lose nothing", async () => {
  const address = new TunnelAddress()
  const sent: Array<string> = []
  const [rx, tx] = [new DatagramBatch(100), new DatagramBatch(3)]
  let deliver: (nowNs: number, count: number) => void = () => {}
  const text = (batch: DatagramBatch, index: number): string =>
    Buffer.from(batch.slab.subarray(batch.offset(index), batch.offset(index) + batch.length[index])).toString()
  const put = (batch: DatagramBatch, index: number, words: string): void => {
    batch.slab.set(Buffer.from(words), batch.offset(index))
    batch.length[index] = words.length
  }
  const below = Layer.succeed(Udp, {
    bind: () =>
      Effect.succeed({
        local: { address: "10.77.0.2", port: 1 },
        rx,
        tx,
        onBatch: (handler) => {
          deliver = handler
        },
        send: (count) => {
          for (let i = 0; i < count; i++) sent.push(text(tx, i))
        },
        stats: () => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 })
      })
  })
  address.set("10.77.0.2")
  await Effect.runPromise(
    Effect.gen(function* () {
      const udp = yield* Udp
      const socket = yield* udp.bind({ port: 7007, slots: 8 })
      const received: Array<string> = []
      socket.onBatch((_, count) => {
        for (let i = 0; i < count; i++) received.push(text(socket.rx, i))
      })
      yield* until(() => socket.local.address === "10.77.0.2")
      for (let i = 0; i < 8; i++) put(socket.tx, i, `out ${i}`)
      socket.send(8)
      for (let i = 0; i < 100; i++) put(rx, i, `in ${i}`)
      deliver(0, 100)
      expect(sent).toEqual(Array.from({ length: 8 }, (_, i) => `out ${i}`))
      expect(received).toEqual(Array.from({ length: 100 }, (_, i) => `in ${i}`))
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(layerTunnelUdp(address), below)))
  )
})

test("an address that the system does not have yet is tried until it has it", async () => {
  const address = new TunnelAddress()
  let attempts = 0
  const below = Layer.succeed(Udp, {
    bind: (options) =>
      Effect.suspend(() =>
        ++attempts < 3
          ? Effect.fail(new UdpError({ reason: "address-not-available", message: "not yet" }))
          : Effect.succeed({
              local: { address: options.address ?? "", port: options.port },
              rx: new DatagramBatch(),
              tx: new DatagramBatch(),
              onBatch: () => {},
              send: () => {},
              stats: () => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 })
            })
      )
  })
  address.set("10.77.0.2")
  await Effect.runPromise(
    Effect.gen(function* () {
      const udp = yield* Udp
      const socket = yield* udp.bind({ port: 7007 })
      yield* until(() => socket.local.address === "10.77.0.2")
      expect(socket.local.port).toBe(7007)
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(layerTunnelUdp(address), below)))
  )
  expect(attempts).toBe(3)
})
