/** A session between two machines in one process, each behind its shell, as nodes have them. */

import { assert } from "@horizon/core/assert.ts"
import type { Crypto, Identity } from "@horizon/core/crypto/crypto.ts"
import { makeClientEndpoint } from "@horizon/core/machine/session/client.ts"
import { makeServerEndpoint } from "@horizon/core/machine/session/server.ts"
import type { ClientEndpoint, ServerEndpoint, SessionHandler } from "@horizon/core/machine/session/session.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { Endpoint } from "@horizon/core/wire/address.ts"
import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { carry, MemorySocket, stillClock } from "./memory-socket.ts"
import { clientOptions, device, serverOptions } from "./session-ends.ts"

/** Slots of the native layer's sockets. */
const RX_SLOTS = 2_048
const TX_SLOTS = 128

export const SERVER: Endpoint = { address: "10.0.0.1", port: 7000 }

/** One machine with its shell on a socket in memory. */
export interface Station<Machine> {
  readonly socket: MemorySocket
  readonly shell: SessionShell
  readonly machine: Machine
}

const CLOCK = stillClock()

export const serverStation = (crypto: Crypto, handler: SessionHandler): Station<ServerEndpoint> => {
  const socket = new MemorySocket(SERVER, new DatagramBatch(RX_SLOTS), new DatagramBatch(TX_SLOTS))
  const shell = new SessionShell(socket, CLOCK, crypto.batches)
  const machine = makeServerEndpoint(serverOptions(crypto), shell.outbox, handler)
  shell.drive(machine, () => {})
  return { socket, shell, machine }
}

/** A client of `SERVER`, at an address of its own for each number below 65,536. */
export const clientStation = (
  crypto: Crypto,
  number: number,
  identity: Identity = device(crypto, number)
): Station<ClientEndpoint> => {
  const local = { address: `10.${1 + (number >>> 8)}.${number & 255}.1`, port: 5000 }
  const socket = new MemorySocket(local, new DatagramBatch(TX_SLOTS), new DatagramBatch(TX_SLOTS))
  const shell = new SessionShell(socket, CLOCK, crypto.batches)
  const machine = makeClientEndpoint(clientOptions(crypto, identity, SERVER), shell.outbox, { onData: () => {} })
  shell.drive(machine, () => {})
  return { socket, shell, machine }
}

/** Lets a client connect. Returns the time that the server has taken, in milliseconds; its session is then the newest. */
export const connect = (client: Station<ClientEndpoint>, server: Station<ServerEndpoint>): number => {
  let serverMs = 0
  server.socket.comesFrom(client.socket.local)
  client.socket.comesFrom(SERVER)
  server.socket.onSend = (count) => {
    carry(server.socket.tx, count, client.socket.rx, 0)
    answered = count
  }
  client.socket.onSend = (count) => {
    carry(client.socket.tx, count, server.socket.rx, 0)
    asked = count
  }
  let asked = 0
  let answered = 0
  client.shell.act((nowNs) => client.machine.connect(nowNs))
  for (let flights = 0; flights < FLIGHTS_MAX && asked > 0; flights++) {
    const count = asked
    asked = 0
    const startMs = performance.now()
    server.socket.deliver(CLOCK.nowNs(), count)
    serverMs += performance.now() - startMs
    const back = answered
    answered = 0
    if (back > 0) client.socket.deliver(CLOCK.nowNs(), back)
  }
  assert(client.machine.state === "established", "a handshake over a wire that loses nothing succeeds")
  return serverMs
}

/** HELLO, HELLO with the cookie, CONFIRM. */
const FLIGHTS_MAX = 3
