/** Small talk for network tests: hosts that send short texts and remember what they hear. */

import type { Topology } from "@horizon/core/lab/topology.ts"
import { formatV4, parseV4 } from "@horizon/core/wire/address.ts"
import { Kernel } from "../kernel/kernel.ts"
import { quotedDestination, quotedDestinationPort, quotedSource, quotedSourcePort } from "./icmp.ts"
import { Network, type NetworkOptions } from "./network.ts"
import { PROTOCOL } from "./packet.ts"

/** One line for each thing heard: `from address:port text`. */
export type Heard = Array<string>

export const lab = (topology: Partial<Topology>, options: NetworkOptions & { readonly seed?: number } = {}) => {
  const kernel = new Kernel({ seed: options.seed ?? 1 })
  const network = new Network(kernel, { subnets: {}, hosts: {}, routers: {}, ...topology }, options)
  const { pool } = network

  /** Opens a port on a host; UDP unless told. */
  const open = (name: string, port: number, protocol: number = PROTOCOL.udp): Heard => {
    const heard: Heard = []
    network.host(name).listen(protocol, port, (packet) => {
      const text = [...pool.payload(packet)].map((byte) => String.fromCharCode(byte)).join("")
      heard.push(`${formatV4(pool.source[packet])}:${pool.sourcePort[packet]} ${text}`)
    })
    return heard
  }

  /** Remembers the ICMP errors about what a host sent from a port. */
  const errors = (name: string, port: number, protocol: number = PROTOCOL.udp): Heard => {
    const heard: Heard = []
    network.host(name).onIcmp(protocol, port, (kind, packet) => {
      const quote = `${formatV4(quotedSource(pool, packet))}:${quotedSourcePort(pool, packet)}>${formatV4(quotedDestination(pool, packet))}:${quotedDestinationPort(pool, packet)}`
      heard.push(`${formatV4(pool.source[packet])} ${kind.toString(16)} ${quote}`)
    })
    return heard
  }

  /** Sends a text from a port of a host to `address:port`. */
  const say = (name: string, fromPort: number, to: string, text: string, protocol: number = PROTOCOL.udp): void => {
    const [address, port] = to.split(":")
    const packet = pool.alloc(text.length)
    if (packet < 0) return
    for (let i = 0; i < text.length; i++) pool.slab[pool.offset(packet) + i] = text.charCodeAt(i)
    pool.destination[packet] = parseV4(address)!
    pool.sourcePort[packet] = fromPort
    pool.destinationPort[packet] = Number(port)
    pool.protocol[packet] = protocol
    network.host(name).send(packet)
  }

  const run = (ms: number): void => kernel.run(kernel.nowNs + Math.round(ms * 1e6))
  const dropped = (): Record<string, number> => Object.fromEntries(network.counters.droppedBy)
  return { kernel, network, pool, open, errors, say, run, dropped }
}
