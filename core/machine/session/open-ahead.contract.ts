/** A session whose datagrams are sealed and opened in batches does byte for byte what one does that works packet by packet. */

import { describe, expect, it } from "vitest"
import type { Crypto } from "../../crypto/crypto.ts"
import { parseAddress } from "../../wire/address.ts"
import { DatagramBatch } from "../../wire/batch.ts"
import { DROP } from "../../wire/drop.ts"
import { Dice, SessionLab } from "./session.fixture.ts"
import { CLOSE } from "./session.ts"

const PACKETS = 120

/** A server with two clients; what the clients have sealed, shuffled, doubled and damaged the same way for the same seed. */
const traffic = (lab: SessionLab, seed: number) => {
  const clients = [lab.addClient(), lab.addClient()]
  for (const client of clients) lab.establish(client)
  lab.run(lab.nowNs + 1e6)
  lab.network = () => []
  const before = lab.sent.length
  for (let i = 0; i < PACKETS; i++) {
    const payload = Uint8Array.of(0x45, i, seed)
    clients[i % 2].machine.send(lab.nowNs, 4, payload, 0, payload.length)
    if (i === PACKETS / 2) clients[1].machine.close(lab.nowNs, CLOSE.normal)
    lab.collect(clients[i % 2])
  }
  lab.collect(clients[1])
  const dice = new Dice(seed)
  return lab.sent.slice(before).flatMap((flight) => {
    const bytes = flight.bytes.slice()
    const fate = dice.below(10)
    if (fate === 0) bytes[dice.below(bytes.length)] ^= 1 << dice.below(8)
    return fate === 1
      ? []
      : fate === 2
        ? [
            { ...flight, bytes },
            { ...flight, bytes: bytes.slice() }
          ]
        : [{ ...flight, bytes }]
  })
}

const serve = (lab: SessionLab, seed: number, together: number) => {
  const flights = traffic(lab, seed)
  const batch = new DatagramBatch(64)
  for (let first = 0; first < flights.length; first += together) {
    const part = flights.slice(first, first + together)
    for (const [slot, { bytes, from }] of part.entries()) {
      batch.slab.set(bytes, batch.offset(slot))
      batch.length[slot] = bytes.length
      parseAddress(from.address, batch.address, slot * 4)
      batch.port[slot] = from.port
    }
    if (together > 1) lab.server.machine.prepare(batch, 0, part.length)
    for (let slot = 0; slot < part.length; slot++) lab.server.machine.handleDatagram(lab.nowNs, batch, slot)
    lab.collect(lab.server)
  }
  const { received, events, machine } = lab.server
  return { received, events, drops: [...machine.drops], sent: lab.sent.map(({ bytes }) => [...bytes]) }
}

/** `together` is the same cryptography as `apart`, and has batches. */
export const openAheadContract = (apart: Crypto, together: Crypto, seeds: number): void => {
  describe(`datagrams opened ahead with ${together.name}`, () => {
    it.each([2, 7, 64])(
      "%i at a time are received, dropped and answered as one by one, whatever happened to them",
      (count) => {
        for (let seed = 1; seed <= seeds; seed++) {
          const expected = serve(new SessionLab(apart), seed, 1)
          expect(serve(new SessionLab(together), seed, count)).toEqual(expected)
          expect(expected.received.length).toBeGreaterThan(PACKETS / 2)
          expect(expected.drops[DROP.forged] + expected.drops[DROP.replay]).toBeGreaterThan(0)
        }
      }
    )

    it("that a second copy of a datagram in the same batch is a replay", () => {
      const lab = new SessionLab(together)
      const client = lab.addClient()
      lab.establish(client)
      lab.network = () => []
      client.machine.send(lab.nowNs, 4, Uint8Array.of(0x45), 0, 1)
      lab.collect(client)
      const { bytes, from } = lab.sent.at(-1)!
      const batch = new DatagramBatch(2)
      for (const slot of [0, 1]) {
        batch.slab.set(bytes, batch.offset(slot))
        batch.length[slot] = bytes.length
        parseAddress(from.address, batch.address, slot * 4)
        batch.port[slot] = from.port
      }
      const before = lab.server.received.length
      lab.server.machine.prepare(batch, 0, 2)
      for (const slot of [0, 1]) lab.server.machine.handleDatagram(lab.nowNs, batch, slot)
      expect(lab.server.received.length).toBe(before + 1)
      expect(lab.server.machine.drops[DROP.replay]).toBe(1)
    })
  })
}
