/** Full handshakes a second that a server answers on one core: cookie, key agreement, signatures, ticket. The client's part is not counted. */

import type { Crypto } from "@horizon/core/crypto/crypto.ts"
import { CLOSE } from "@horizon/core/machine/session/session.ts"
import { clientStation, connect, serverStation } from "../pipeline/memory-session.ts"
import { device } from "../pipeline/session-ends.ts"

/** Handshakes that are not measured: code has to get warm. */
const WARM_UP = 8
/** Devices that come in turn; a device that comes again has left before. */
const DEVICES = 64

export const handshakesPerSecond = (crypto: Crypto, seconds: number): number => {
  const server = serverStation(crypto, { onData: () => {} })
  const devices = Array.from({ length: DEVICES }, (_, number) => device(crypto, number))
  let serverMs = 0
  let measured = 0
  const endMs = performance.now() + seconds * 1000
  for (let number = 0; performance.now() < endMs || measured === 0; number++) {
    const client = clientStation(crypto, number % ADDRESSES, devices[number % DEVICES])
    const ms = connect(client, server)
    server.shell.act((nowNs) => server.machine.closeAll(nowNs, CLOSE.normal))
    if (number < WARM_UP) continue
    serverMs += ms
    measured++
  }
  return measured / (serverMs / 1000)
}

/** Of clients, so that none is refused because one network asks too often. */
const ADDRESSES = 65_536
