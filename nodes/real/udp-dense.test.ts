import { spawn } from "node:child_process"
import { once } from "node:events"
import { Udp } from "@horizon/core/port/udp.ts"
import { loadNative } from "@horizon/native/native.ts"
import { Effect, Layer, type Scope } from "effect"
import { expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { layerClock } from "./clock.ts"
import { layerNativeUdp } from "./udp-native.ts"

const loaded = loadNative()
const why = "missing" in loaded ? `: ${loaded.missing}` : ""

/** Single datagrams as densely as one process sends them, each with its number; then says how many. */
const SENDER = `
  const socket = require("node:dgram").createSocket("udp4")
  const [port, milliseconds] = process.argv.slice(1).map(Number)
  const until = Date.now() + milliseconds
  let sent = 0
  const burst = () => {
    for (let i = 0; i < 8; i++) {
      const bytes = Buffer.alloc(200)
      bytes.writeUInt32BE(sent++)
      socket.send(bytes, port, "127.0.0.1", i === 7 ? next : undefined)
    }
  }
  const next = () => {
    if (Date.now() < until) return burst()
    console.log(sent)
    socket.close()
  }
  burst()
`

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

test.skipIf(why !== "")(
  `a dense stream of single datagrams is read by a timer, each datagram once and in order; afterwards each wakes again${why}`,
  { retry: 2 },
  () =>
    run(
      Effect.gen(function* () {
        const { bind } = yield* Udp
        const socket = yield* bind({ address: "127.0.0.1", port: 0 })
        let heard = 0
        let disordered = 0
        let last = -1
        socket.onBatch((_, count) => {
          const { rx } = socket
          for (let i = 0; i < count; i++) {
            const at = rx.offset(i)
            const number = new DataView(rx.slab.buffer, rx.slab.byteOffset + at).getUint32(0)
            if (number <= last) disordered++
            last = number
            heard++
          }
        })
        const figure = (name: string) => socket.figures?.()[name] ?? Number.NaN
        const sent = yield* Effect.promise(() => send(socket.local.port, 1_000))
        yield* Effect.sleep(50)
        expect(disordered).toBe(0)
        expect(heard + socket.stats().dropsIn).toBe(sent)
        const paced = figure("wakesPaced")
        expect(paced).toBeGreaterThan(100)

        yield* Effect.promise(() => send(socket.local.port, 0))
        yield* Effect.sleep(50)
        expect(figure("wakesPaced")).toBe(paced)
        expect(last).toBe(7)
      }).pipe(Effect.provide(Layer.provide(layer(), layerClock)))
    )
)

const layer = () => {
  if ("missing" in loaded) throw new Error(loaded.missing)
  return layerNativeUdp(loaded.module, new Arena())
}

const send = async (port: number, milliseconds: number): Promise<number> => {
  const child = spawn(process.execPath, ["-e", SENDER, String(port), String(milliseconds)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text
  })
  await once(child, "close")
  return Number(said)
}
