/**
 * The secure receive pipeline without a socket: what a gateway does with each datagram from the moment that it lies in its slab. Shell,
 * header, session, replay window, opening and the handler, on batches as the native layer brings them.
 */

import { assert } from "@horizon/core/assert.ts"
import type { Crypto } from "@horizon/core/crypto/crypto.ts"
import { CHANNEL } from "@horizon/core/machine/session/session.ts"
import { SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"
import { clientStation, connect, serverStation } from "./memory-session.ts"
import { carry } from "./memory-socket.ts"

/** Packets a second that one core receives, for payloads of `payloadBytes`, over `seconds` of receiving. */
export const receiveInMemory = (crypto: Crypto, payloadBytes: number, seconds: number): number => {
  let heard = 0
  const server = serverStation(crypto, { onData: () => heard++ })
  const client = clientStation(crypto, 1)
  connect(client, server)
  const { rx } = server.socket
  let filled = 0
  client.socket.onSend = (count) => {
    carry(client.socket.tx, count, rx, filled)
    filled += count
  }
  const payload = new Uint8Array(payloadBytes).fill(0x45)
  const batch = (): number => {
    filled = 0
    client.shell.act((nowNs) => {
      for (let i = 0; i < rx.capacity; i++) client.machine.send(nowNs, CHANNEL.tunnel, payload, 0, payloadBytes)
    })
    const startMs = performance.now()
    server.socket.deliver(Math.floor(startMs * 1e6), filled)
    return performance.now() - startMs
  }
  packSlots(rx.start, payloadBytes + SEALED_OVERHEAD_BYTES)
  for (let warmMs = 0; warmMs < WARM_UP_MS; ) warmMs += batch()
  heard = 0
  let batches = 0
  let totalMs = 0
  for (; totalMs < seconds * 1000; batches++) totalMs += batch()
  assert(heard === batches * rx.capacity, "every datagram of the session reaches the handler")
  return heard / (totalMs / 1000)
}

const WARM_UP_MS = 100

/** Datagrams of one peer lie one behind the other, as the kernel leaves them when it coalesces. */
const packSlots = (start: Uint32Array, bytes: number): void => {
  for (let slot = 0; slot < start.length; slot++) start[slot] = slot * bytes
}
