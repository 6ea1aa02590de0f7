/** Looks into every datagram on the simulated network for text that was only ever said inside a tunnel. */

import { PLAINTEXT_MARKER } from "@horizon/scenarios/actor/tunnel-member.ts"
import type { Network, Tap } from "@horizon/sim/net/network.ts"
import { PROTOCOL } from "@horizon/sim/net/packet.ts"

const MARKER = Buffer.from(PLAINTEXT_MARKER)

export class LeakWatch {
  checked = 0
  found = 0
  readonly tap: Tap

  constructor(network: Network, report: (sentence: string) => void) {
    const { pool } = network
    this.tap = (point, packet, where) => {
      if (point !== "sent" || pool.protocol[packet] !== PROTOCOL.udp) return
      this.checked++
      const { slab } = pool
      const bytes = Buffer.from(slab.buffer, slab.byteOffset + pool.offset(packet), pool.length[packet])
      if (bytes.indexOf(MARKER) < 0) return
      this.found++
      if (this.found === 1) report(`a datagram from ${where} carries tunnel traffic in the clear`)
    }
  }
}
