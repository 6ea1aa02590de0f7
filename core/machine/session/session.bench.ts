/**
 * Handshakes and packets a second, one core, both ends in one process, with each cryptography. Run: node core/machine/session/session.bench.ts
 */

import { nodeCrypto } from "../../../nodes/real/crypto.ts"
import type { Crypto } from "../../crypto/crypto.ts"
import { nobleCrypto } from "../../crypto/noble.ts"
import { stubCrypto } from "../../crypto/stub.ts"
import { DatagramBatch, Outbox } from "../../wire/batch.ts"
import { putHelloCookie } from "../../wire/handshake.ts"
import { connectionIdAt } from "../../wire/header.ts"
import { RecordLayer } from "./record-layer.ts"
import { SessionLab } from "./session.fixture.ts"

const RUN_MS = 700

/** Calls `work` for the time of one measurement after a warm-up; operations a second. */
const rate = (work: () => void): number => {
  let count = 0
  for (const phaseMs of [RUN_MS / 3, RUN_MS]) {
    count = 0
    const end = performance.now() + phaseMs
    while (performance.now() < end) {
      for (let i = 0; i < 16; i++) work()
      count += 16
    }
  }
  return Math.round((count * 1000) / RUN_MS)
}

/** Complete handshakes: all six datagrams, both ends, tickets included. */
const handshakes = (crypto: Crypto): number => {
  const lab = new SessionLab(crypto)
  const client = lab.addClient()
  let count = 0
  const end = performance.now() + RUN_MS
  while (performance.now() < end) {
    lab.establish(client)
    count++
  }
  return Math.round((count * 1000) / RUN_MS)
}

/** Packets through both endpoints: sealed by the client into its outbox, opened in place by the server. */
const packets = (crypto: Crypto, payloadBytes: number): number => {
  const lab = new SessionLab(crypto)
  const client = lab.addClient({ datagramBytesMax: 1500 })
  lab.establish(client)
  lab.collect(client)
  const server = lab.server.machine
  const payload = new Uint8Array(payloadBytes).fill(0x45)
  const rx = new DatagramBatch(64)
  client.socket = (batch, count) => {
    for (let i = 0; i < count; i++) {
      rx.slab.set(batch.slab.subarray(batch.offset(i), batch.offset(i) + batch.length[i]), rx.offset(i))
      rx.length[i] = batch.length[i]
      rx.address.set([0, 0, 0xffff, 0x0a000101], i * 4)
      rx.port[i] = 5000
      server.handleDatagram(lab.nowNs, rx, i)
    }
  }
  lab.server.received.push = () => 0
  return rate(() => client.machine.send(lab.nowNs, 4, payload, 0, payloadBytes))
}

/** The record layer alone. */
const records = (crypto: Crypto, payloadBytes: number): number => {
  const key = (value: number) => crypto.aead("chacha20-poly1305", new Uint8Array(32).fill(value))
  const never = (): boolean => false
  const sender = new RecordLayer(7, key(1), key(2), 64, never)
  const receiver = new RecordLayer(7, key(2), key(1), 64, never)
  const payload = new Uint8Array(payloadBytes).fill(0x45)
  const batch = new DatagramBatch(1)
  const outbox = new Outbox(batch, () => {})
  return rate(() => {
    outbox.flush()
    const at = batch.offset(outbox.next())
    const length = sender.seal(4, payload, 0, payloadBytes, outbox, at)
    if (receiver.open(batch.slab, at, length) !== 0 || connectionIdAt(batch.slab, at) !== 7) throw new Error("open")
  })
}

/** HELLOs with made-up cookies that the server turns away with a RETRY: what a flood costs. */
const floods = (crypto: Crypto): number => {
  const lab = new SessionLab(crypto)
  const client = lab.addClient()
  lab.network = () => []
  client.machine.connect(0)
  lab.collect(client)
  const hello = lab.sent[0].bytes.slice()
  putHelloCookie(hello, hello, 0)
  const { machine } = lab.server
  lab.server.socket = () => {}
  return rate(() => lab.hand(machine, client.address, hello))
}

console.log("crypto           handshakes/s   bytes   endpoints packets/s   record layer packets/s")
for (const crypto of [nobleCrypto, nodeCrypto, stubCrypto]) {
  const shakes = handshakes(crypto)
  for (const bytes of [64, 200, 1200]) {
    const cells = [crypto.name.padEnd(16), `${shakes}`.padStart(12), `${bytes}`.padStart(7)]
    console.log(...cells, `${packets(crypto, bytes)}`.padStart(21), `${records(crypto, bytes)}`.padStart(24))
  }
}

for (const crypto of [nobleCrypto, nodeCrypto])
  console.log(`${crypto.name}: ${floods(crypto)} bogus HELLO/s turned away`)
