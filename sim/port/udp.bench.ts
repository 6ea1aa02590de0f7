/**
 * How many datagrams a second go through two simulated sockets, batches and all: `node sim/port/udp.bench.ts [payload bytes]`.
 */

import { Udp, type UdpSocket } from "@horizon/core/port/udp.ts"
import { parseAddress } from "@horizon/core/wire/address.ts"
import { Effect } from "effect"
import { drive } from "../kernel/drive.ts"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { Network } from "../net/network.ts"
import { layerUdp } from "./udp.ts"

const BATCHES = 50_000
const BATCH = 32

const payloadBytes = Number(process.argv[2] ?? 1200)
const kernel = new Kernel({ seed: 1 })
const network = new Network(kernel, {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { a: { subnet: "lan", up: { delayUs: 20_000 } }, b: { subnet: "lan" } },
  routers: {}
})

const open = (name: string, use: (socket: UdpSocket) => void): void => {
  const owner = new Process({ kernel, name, wall: new WallClock(kernel, 0) })
  const bound = Effect.gen(function* () {
    const udp = yield* Udp
    use(yield* udp.bind({ port: 7 }))
    yield* Effect.never
  })
  owner.fork(Effect.scoped(bound).pipe(Effect.provide(layerUdp(network.host(name), owner))))
  drive(owner, Effect.yieldNow)
}

let received = 0
open("b", (socket) =>
  socket.onBatch((_, count) => {
    received += count
  })
)
open("a", (socket) => {
  for (let slot = 0; slot < BATCH; slot++) {
    socket.tx.length[slot] = payloadBytes
    socket.tx.port[slot] = 7
    parseAddress("10.0.0.2", socket.tx.address, slot * 4)
  }
  const send = kernel.register(() => socket.send(BATCH))
  for (let i = 0; i < BATCHES; i++) kernel.at(i * 320_000, send, 0, 0)
})
const before = performance.now()
kernel.run(BATCHES * 320_000 + 1e9)
const seconds = (performance.now() - before) / 1000
console.log(
  `${payloadBytes}-byte payloads, batches of ${BATCH}: ${Math.round(received / seconds).toLocaleString("en")} datagrams/s, ` +
    `${Math.round(kernel.events / seconds).toLocaleString("en")} events/s`
)
