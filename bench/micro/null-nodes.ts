/** Kernel and link with nothing behind them: two hosts, the sender and the receiver do nothing. */

import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { PROTOCOL } from "@horizon/sim/net/packet.ts"
import type { SpeedFigure } from "./speed-figure.ts"

const PACKETS = 1_000_000
const BURST = 32
const BURST_EVERY_NS = 320_000
const LINK = { delayUs: 20_000, jitterUs: 1_000, lossPpm: 10_000, rateBps: 1_000_000_000 }

export const measureNullNodes = async (): Promise<SpeedFigure> => {
  const kernel = new Kernel({ seed: 1 })
  const network = new Network(kernel, {
    subnets: { net: { cidr: "10.0.0.0/24" } },
    hosts: { a: { subnet: "net", up: LINK, down: LINK }, b: { subnet: "net", up: LINK, down: LINK } },
    routers: {}
  })
  const [a, b, { pool }] = [network.host("a"), network.host("b"), network]
  b.listen(PROTOCOL.udp, 9, () => {})
  let left = PACKETS
  const burst = kernel.register(() => {
    for (let i = 0; i < BURST && left > 0; i++, left--) {
      const packet = pool.alloc(64)
      pool.destination[packet] = b.address
      pool.sourcePort[packet] = 9
      pool.destinationPort[packet] = 9
      pool.protocol[packet] = PROTOCOL.udp
      a.send(packet)
    }
    if (left > 0) kernel.at(kernel.nowNs + BURST_EVERY_NS, burst, 0, 0)
  })
  kernel.at(0, burst, 0, 0)
  const started = performance.now()
  kernel.run((PACKETS / BURST) * BURST_EVERY_NS + 1e9)
  const wall = (performance.now() - started) / 1000
  const packetsPerSecond = PACKETS / wall
  return {
    work: "kernel and link, null nodes (1 % loss, jitter)",
    eventsPerSecond: kernel.events / wall,
    packetsPerSecond,
    ratio: kernel.nowNs / 1e9 / wall,
    must: 300_000,
    unit: "packets/s",
    value: packetsPerSecond
  }
}
