/**
 * Receivers and senders of bench/net/udp-program.ts on any layer of the Udp port, with a handler that does nothing: what the layer itself
 * costs. A program for one layer is a line that calls `receive` or `send` with it.
 */

import { Udp } from "@horizon/core/port/udp.ts"
import { type Endpoint, parseAddress } from "@horizon/core/wire/address.ts"
import { type DatagramBatch, Outbox } from "@horizon/core/wire/batch.ts"
import { Effect, type Layer } from "effect"
import {
  endpointOption,
  numberOption,
  offloadOption,
  runProgram,
  Stopwatch,
  sayReady,
  sayResult,
  untilStopped
} from "./udp-process.ts"

/** Counts until SIGTERM. */
export const receive = (layer: Layer.Layer<Udp>, mode: string): Promise<void> =>
  runProgram(
    layer,
    Effect.gen(function* () {
      const udp = yield* Udp
      const { address, port } = endpointOption("bind")
      const socket = yield* udp.bind({ address, port, ...offloadOption() })
      const watch = new Stopwatch()
      socket.onBatch((nowNs) => watch.tick(nowNs))
      sayReady(socket.local.port)
      yield* untilStopped
      const { packetsIn, bytesIn, dropsIn } = socket.stats()
      sayResult({ role: "recv", mode, packets: packetsIn, bytes: bytesIn, drops: dropsIn, ...watch.read() })
    })
  )

/** Batches of one turn of the event loop: what a gateway sends after a full batch that it has received. */
const TURN_BATCHES = 16

/** Sends batches as fast as the layer takes them. */
export const send = (layer: Layer.Layer<Udp>, mode: string): Promise<void> =>
  runProgram(
    layer,
    Effect.gen(function* () {
      const udp = yield* Udp
      const socket = yield* udp.bind({ port: 0, address: "0.0.0.0", ...offloadOption() })
      fill(socket.tx, endpointOption("to"), numberOption("size", 200))
      const packetsMax = numberOption("packets", Number.POSITIVE_INFINITY)
      const cpu = process.cpuUsage()
      const startMs = performance.now()
      const endMs = startMs + numberOption("seconds", 1) * 1000
      let given = 0
      yield* Effect.callback<void>((resume) => {
        const turn = (): void => {
          for (let batch = 0; batch < TURN_BATCHES; batch++) {
            const count = Math.min(socket.tx.capacity, packetsMax - given)
            socket.send(count)
            given += count
          }
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
      sayResult({ role: "send", mode, packets: packetsOut, bytes: bytesOut, drops: dropsOut, ...time })
    })
  )

/** Fills all slots, packed one behind the other as an outbox packs them. */
const fill = (tx: DatagramBatch, to: Endpoint, sizeBytes: number): void => {
  const outbox = new Outbox(tx, () => {})
  for (let count = 0; count < tx.capacity; count++) {
    const slot = outbox.next()
    tx.port[slot] = to.port
    parseAddress(to.address, tx.address, slot * 4)
    outbox.commit(sizeBytes)
  }
}
