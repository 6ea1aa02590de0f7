import { ACCEPT, ACCEPT_BYTES, putAcceptClear } from "@horizon/core/wire/handshake.ts"
import { PLAINTEXT_MARKER } from "@horizon/scenarios/actor/tunnel-member.ts"
import { expect, test } from "vitest"
import { sealed, udpFrame } from "./frames.fixture.ts"
import { datagramsIn, type WireFinding, WireWatch } from "./wire-watch.ts"

const SERVER = "198.51.100.2:8421"
const CLIENT = "192.168.1.2:40000"
const ID = 0x01000100

const watching = () => {
  const findings: Array<WireFinding> = []
  const watch = new WireWatch("ada", "192.168.1.2", (finding) => findings.push(finding))
  const pass = (source: string, destination: string, ...payloads: ReadonlyArray<Buffer>): void => {
    for (const payload of payloads)
      watch.take({ wallNs: 5, bytes: udpFrame(source, destination, payload), whole: true })
  }
  /** A session begins, as the wire shows it. */
  const accept = (random: number): void => {
    const datagram = new Uint8Array(ACCEPT_BYTES)
    putAcceptClear(datagram, 1, 1, ID, new Uint8Array(16), new Uint8Array(16).fill(random), new Uint8Array(32))
    expect(datagram[ACCEPT.zero]).toBe(0)
    pass(SERVER, CLIENT, Buffer.from(datagram))
  }
  return { watch, findings, pass, accept }
}

test("two different datagrams under one nonce are found, and said once", () => {
  const { accept, findings, pass, watch } = watching()
  accept(1)
  pass(CLIENT, SERVER, sealed(ID, 0, "a"), sealed(ID, 1, "b"), sealed(ID, 2 ** 33, "far"))
  pass(SERVER, CLIENT, sealed(ID, 0, "answer"), sealed(ID, 1, "answer"))
  expect([watch.sealed, watch.nonceReuses]).toEqual([3, 0])
  pass(CLIENT, SERVER, sealed(ID, 1, "c"), sealed(ID, 2 ** 33, "d"))
  expect(watch.nonceReuses).toBe(2)
  expect(findings).toEqual([
    {
      id: "nonce-reuse",
      wallNs: 5,
      sentence: `${CLIENT} sealed two different datagrams of connection ${ID} with sequence number 1, seen at the interface of ada`
    }
  ])
})

test("a reuse is found across a move to another address, and at the server's end too", () => {
  const { accept, pass, watch } = watching()
  accept(1)
  pass(CLIENT, SERVER, sealed(ID, 7, "a"))
  pass("192.168.1.2:50000", SERVER, sealed(ID, 7, "b"))
  expect(watch.nonceReuses).toBe(1)
  pass(SERVER, CLIENT, sealed(ID, 7, "c"))
  pass(SERVER, "203.0.113.1:2", sealed(ID, 7, "d"))
  expect(watch.nonceReuses).toBe(2)
})

test("what links do is no reuse: the same datagram twice, or with a bit of it turned", () => {
  const { accept, pass, watch } = watching()
  accept(1)
  const datagram = sealed(ID, 3, "a")
  const damaged = Buffer.from(datagram)
  damaged[datagram.length - 3] ^= 4
  damaged[20] ^= 4
  pass(CLIENT, SERVER, datagram, datagram, damaged)
  expect(watch.nonceReuses).toBe(0)
})

test("other directions, epochs, servers and sessions have other keys", () => {
  const { accept, pass, watch } = watching()
  accept(1)
  pass(CLIENT, SERVER, sealed(ID, 3, "a"), sealed(ID, 3, "b", 1))
  pass(CLIENT, "198.51.100.3:8421", sealed(ID, 3, "c"))
  accept(1)
  expect(watch.nonceReuses).toBe(0)
  // The gateway has started anew and gives the same number to a new session.
  accept(2)
  pass(CLIENT, SERVER, sealed(ID, 3, "d"))
  expect(watch.nonceReuses).toBe(0)
  // The ACCEPT of the session that stands, once more, forgets nothing.
  accept(2)
  pass(CLIENT, SERVER, sealed(ID, 3, "e"))
  expect(watch.nonceReuses).toBe(1)
})

test("datagrams that an interface takes in one piece are told apart", () => {
  const parts = [5, 6, 7, 8].map((sequence) => sealed(ID, sequence, "bulk", 0, sequence === 8 ? 50 : 400))
  expect(datagramsIn(Buffer.concat(parts))).toEqual(parts)
  expect(datagramsIn(parts[0])).toEqual([parts[0]])
  expect(datagramsIn(Buffer.from("hello"))).toHaveLength(1)
  const { accept, pass, watch } = watching()
  accept(1)
  pass(CLIENT, SERVER, Buffer.concat(parts))
  expect(watch.sealed).toBe(4)
  pass(CLIENT, SERVER, sealed(ID, 7, "other", 0, 400))
  expect(watch.nonceReuses).toBe(1)
})

test("words from inside a tunnel are found in any frame, and said once", () => {
  const { findings, pass, watch } = watching()
  pass(CLIENT, "10.77.0.3:7007", Buffer.from("harmless"))
  expect([watch.frames, watch.leaks]).toEqual([1, 0])
  pass(CLIENT, "10.77.0.3:7007", Buffer.from(`ping ${PLAINTEXT_MARKER}`), Buffer.from(PLAINTEXT_MARKER))
  expect(watch.leaks).toBe(2)
  expect(findings).toEqual([
    {
      id: "plaintext-leak",
      wallNs: 5,
      sentence: `a packet from ${CLIENT} to 10.77.0.3:7007 carries tunnel traffic in the clear at the interface of ada`
    }
  ])
  // Frames without a datagram are searched as well.
  watch.take({ wallNs: 0, bytes: Buffer.from(`x${PLAINTEXT_MARKER}`), whole: false })
  expect([watch.leaks, watch.unjudged]).toEqual([3, 1])
})
