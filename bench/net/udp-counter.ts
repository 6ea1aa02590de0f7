/**
 * Receivers and senders of bench/net/udp-program.ts on any layer of the Udp port, with a handler that does nothing: what the layer itself
 * costs. A program for one layer is a line that calls `receive` or `send` with it.
 */

import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseAddress, parseEndpoint } from "@horizon/core/wire/address.ts"
import { Effect, type Layer } from "effect"
import type { UdpResult } from "./udp-program.ts"

/** Counts until SIGTERM. */
export const receive = (layer: Layer.Layer<Udp>, mode: string): Promise<void> =>
  program(
    layer,
    Effect.gen(function* () {
      const udp = yield* Udp
      const bind = endpointOf("bind")
      const socket = yield* udp.bind({ address: bind.address, port: bind.port })
      const count = counting(socket)
      console.log(JSON.stringify({ ready: true, port: socket.local.port }))
      yield* untilStopped
      const { packetsIn, bytesIn, dropsIn } = socket.stats()
      print({ role: "recv", mode, packets: packetsIn, bytes: bytesIn, drops: dropsIn, ...count() })
    })
  )

/** Sends batches as fast as the layer takes them, a turn of the event loop after each. */
export const send = (layer: Layer.Layer<Udp>, mode: string): Promise<void> =>
  program(
    layer,
    Effect.gen(function* () {
      const udp = yield* Udp
      const socket = yield* udp.bind({ port: 0, address: "0.0.0.0" })
      fill(socket, Number(option("size") ?? 200))
      const packetsMax = Number(option("packets") ?? Number.POSITIVE_INFINITY)
      const cpu = process.cpuUsage()
      const startMs = performance.now()
      const endMs = startMs + Number(option("seconds") ?? 1) * 1000
      let given = 0
      yield* Effect.callback<void>((resume) => {
        const turn = (): void => {
          const count = Math.min(socket.tx.capacity, packetsMax - given)
          socket.send(count)
          given += count
          if (given < packetsMax && performance.now() < endMs) setImmediate(turn)
          else resume(Effect.void)
        }
        turn()
      })
      const seconds = (performance.now() - startMs) / 1000
      const used = process.cpuUsage(cpu)
      // What the system took of the last batch is only known a turn later.
      yield* Effect.sleep(5)
      const { packetsOut, bytesOut, dropsOut } = socket.stats()
      const time = { seconds, userSeconds: used.user / 1e6, systemSeconds: used.system / 1e6 }
      print({ role: "send", mode, packets: packetsOut, bytes: bytesOut, drops: dropsOut, ...time })
    })
  )

const program = (layer: Layer.Layer<Udp>, body: Effect.Effect<void, unknown, Udp | Scope>): Promise<void> =>
  Effect.runPromise(Effect.scoped(body).pipe(Effect.provide(layer)) as Effect.Effect<void, unknown>)

type Scope = import("effect").Scope.Scope

/** Puts the empty handler in place; gives what passed from the first batch to the last. */
const counting = (socket: UdpSocket): (() => Pick<UdpResult, "seconds" | "userSeconds" | "systemSeconds">) => {
  let firstNs = 0
  let lastNs = 0
  let cpu = process.cpuUsage()
  socket.onBatch((nowNs) => {
    if (firstNs === 0) {
      firstNs = nowNs
      cpu = process.cpuUsage()
    }
    lastNs = nowNs
  })
  return () => {
    const { user, system } = process.cpuUsage(cpu)
    return { seconds: (lastNs - firstNs) / 1e9, userSeconds: user / 1e6, systemSeconds: system / 1e6 }
  }
}

const fill = (socket: UdpSocket, sizeBytes: number): void => {
  const to = endpointOf("to")
  for (let slot = 0; slot < socket.tx.capacity; slot++) {
    socket.tx.length[slot] = sizeBytes
    socket.tx.port[slot] = to.port
    parseAddress(to.address, socket.tx.address, slot * 4)
  }
}

const untilStopped = Effect.callback<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

const print = (result: UdpResult): void => console.log(JSON.stringify(result))

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

const endpointOf = (name: string) => {
  const endpoint = parseEndpoint(option(name) ?? "")
  if (endpoint === undefined) throw new Error(`--${name} must be address:port, not ${option(name) ?? "missing"}`)
  return endpoint
}
