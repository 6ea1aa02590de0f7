/**
 * How many packets a second pass from host to host on one core, kernel, links, switch and digest included: `node
 * sim/net/network.bench.ts [payload bytes]`. The sender and the receiver do nothing, so this is the simulator's own cost.
 */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { Network } from "./network.ts"
import { PROTOCOL } from "./packet.ts"

const WARM_UP_PACKETS = 500_000
const PACKETS = 3_000_000
const BURST = 32

const run = (name: string, link: Partial<LinkSpec>, payloadBytes: number, routers: number): void => {
  const kernel = new Kernel({ seed: 1 })
  const subnets: Record<string, { cidr: string }> = {}
  const routerSpecs: Record<string, { subnets: Array<string> }> = {}
  for (let i = 0; i <= routers; i++) subnets[`s${i}`] = { cidr: `10.0.${i}.0/24` }
  for (let i = 0; i < routers; i++) routerSpecs[`r${i}`] = { subnets: [`s${i}`, `s${i + 1}`] }
  const network = new Network(kernel, {
    subnets,
    hosts: { a: { subnet: "s0", up: link, down: link }, b: { subnet: `s${routers}`, up: link, down: link } },
    routers: routerSpecs
  })
  const a = network.host("a")
  const b = network.host("b")
  const { pool } = network
  let received = 0
  b.listen(PROTOCOL.udp, 9, () => {
    received++
  })
  let left = 0
  const burst = kernel.register(() => {
    for (let i = 0; i < BURST && left > 0; i++, left--) {
      const packet = pool.alloc(payloadBytes)
      pool.destination[packet] = b.address
      pool.sourcePort[packet] = 9
      pool.destinationPort[packet] = 9
      pool.protocol[packet] = PROTOCOL.udp
      a.send(packet)
    }
    if (left > 0) kernel.at(kernel.nowNs + 320_000, burst, 0, 0)
  })
  const pass = (count: number): void => {
    left = count
    kernel.at(kernel.nowNs, burst, 0, 0)
    kernel.run(kernel.nowNs + (count / BURST) * 320_000 + 1e9)
  }
  pass(WARM_UP_PACKETS)
  const [eventsBefore, receivedBefore, before] = [kernel.events, received, performance.now()]
  pass(PACKETS)
  const seconds = (performance.now() - before) / 1000
  const packets = Math.round((received - receivedBefore) / seconds).toLocaleString("en")
  const events = Math.round((kernel.events - eventsBefore) / seconds).toLocaleString("en")
  console.log(`${name.padEnd(44)} ${packets.padStart(10)} packets/s ${events.padStart(11)} events/s`)
}

const payloadBytes = Number(process.argv[2] ?? 64)
console.log(`${payloadBytes}-byte payloads`)
run("perfect links", {}, payloadBytes, 0)
run("20 ms each way", { delayUs: 20_000 }, payloadBytes, 0)
run(
  "20 ms, jitter 1 ms, 1 % loss, 1 Gbit/s",
  { delayUs: 20_000, jitterUs: 1000, lossPpm: 10_000, rateBps: 1e9 },
  payloadBytes,
  0
)
run(
  "20 ms, CoDel at 1 Gbit/s",
  {
    delayUs: 20_000,
    rateBps: 1e9,
    queue: { kind: "codel", packetsMax: 1000, bytesMax: 1_500_000, targetUs: 5000, intervalUs: 100_000, ecn: true }
  },
  payloadBytes,
  0
)
run("20 ms and 3 routers", { delayUs: 20_000 }, payloadBytes, 3)
