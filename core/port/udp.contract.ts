/** What every `Udp` layer must do. */

import { Context, Effect, Layer, type Scope } from "effect"
import { describe, expect, test } from "vitest"
import { parseAddress } from "../wire/address.ts"
import { Udp, type UdpError, type UdpSocket } from "./udp.ts"
import { type ContractInstance, type ContractWorld, eventually, inWorld } from "./world.contract.ts"

/** Where a test binds: its own address, and the port as seen from there. On one machine both ends may be the same. */
export interface UdpEnd {
  readonly layer: Layer.Layer<Udp>
  /** IPv4 address of this end, reachable from the other. */
  readonly address: string
}

export interface UdpInstance extends ContractInstance {
  /** Sends most of the time. */
  readonly a: UdpEnd
  /** Receives most of the time. */
  readonly b: UdpEnd
}

/** A datagram as a test remembers it. */
interface Received {
  readonly bytes: Uint8Array
  readonly address: string
  readonly port: number
}

/** A bound socket and what has come to it. */
interface Ear {
  readonly socket: UdpSocket
  readonly heard: Array<Received>
  /** Sizes of the batches. */
  readonly batches: Array<number>
}

type Test = (a: EndOf, b: EndOf) => Effect.Effect<void, UdpError, Scope.Scope>

interface EndOf {
  readonly address: string
  readonly udp: Udp["Service"]
  /** Binds a port (0 = any) on this end's address and remembers what arrives. */
  readonly open: (port?: number, slots?: number) => Effect.Effect<Ear, UdpError, Scope.Scope>
}

export const udpContract = (world: ContractWorld<UdpInstance>): void => {
  const both = (body: Test) =>
    inWorld(world)((instance) =>
      Effect.gen(function* () {
        yield* body(yield* endOf(instance.a), yield* endOf(instance.b))
      })
    )

  describe(`Udp, ${world.name}`, () => {
    test("datagrams of 0, 1, 1,200 and 1,472 bytes arrive whole, with the sender's address and port", both(roundTrip))
    test("an answer to the peer of a received slot reaches the sender", both(answer))
    test("one send of many datagrams, more than a batch of the receiver holds, arrives in order", both(order))
    test("one send goes to as many peers as its slots name", both(manyPeers))
    test("port 0 binds a free port that is told in `local`, another one each time", both(ephemeral))
    test("a port that is taken is refused with address-in-use and a message that names it", both(inUse))
    test("an address that is not the host's is refused with address-not-available", both(notAvailable))
    test("the end of the scope gives the port back and silences the socket", both(closing))
    test("a datagram longer than its slot is counted as a drop and disturbs nothing", both(oversize))
    test("sending to a closed port does not break the socket", both(closedPort))
    test("what the counters say adds up on both sides", both(counters))
    test("1,000 datagrams, ten each millisecond, all arrive", both(paced))
  })
}

const endOf = (end: UdpEnd): Effect.Effect<EndOf, never, Scope.Scope> =>
  Effect.map(Layer.build(end.layer), (context) => {
    const udp = Context.get(context, Udp)
    return { address: end.address, udp, open: (port = 0, slots = 64) => listen(udp, end.address, port, slots) }
  })

const listen = (
  udp: Udp["Service"],
  address: string,
  port: number,
  slots: number
): Effect.Effect<Ear, UdpError, Scope.Scope> =>
  Effect.map(udp.bind({ address, port, slots }), (socket) => {
    const ear: Ear = { socket, heard: [], batches: [] }
    socket.onBatch((_, count) => {
      ear.batches.push(count)
      for (let i = 0; i < count; i++) ear.heard.push({ bytes: socket.rx.view(i).slice(), ...socket.rx.peer(i) })
    })
    return ear
  })

/** Fills slot `slot` of what a socket sends. */
const fill = (from: UdpSocket, slot: number, to: UdpSocket, bytes: Uint8Array): void => {
  from.tx.slab.set(bytes, from.tx.offset(slot))
  from.tx.length[slot] = bytes.length
  parseAddress(to.local.address, from.tx.address, slot * 4)
  from.tx.port[slot] = to.local.port
}

const send = (from: UdpSocket, to: UdpSocket, ...payloads: ReadonlyArray<Uint8Array>): void => {
  for (const [slot, bytes] of payloads.entries()) fill(from, slot, to, bytes)
  from.send(payloads.length)
}

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 31) + seed)

/** A number of two bytes as a payload, and back. */
const numbered = (n: number): Uint8Array => Uint8Array.of(n >>> 8, n)
const numberOf = ({ bytes }: Received): number => (bytes[0] << 8) | bytes[1]

const roundTrip: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open()
    expect(to.socket.local.address).toBe(b.address)
    for (const [index, length] of [0, 1, 1200, 1472].entries()) {
      send(from.socket, to.socket, pattern(length, index))
      yield* eventually(() => to.heard.length > index)
      expect(to.heard[index]).toEqual({
        bytes: pattern(length, index),
        address: a.address,
        port: from.socket.local.port
      })
    }
  })

const answer: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.udp.bind({ address: b.address, port: 0 })
    to.onBatch((_, count) => {
      for (let i = 0; i < count; i++) {
        to.tx.copyPeer(i, to.rx, i)
        to.tx.slab.set(to.rx.view(i), to.tx.offset(i))
        to.tx.length[i] = to.rx.length[i]
      }
      to.send(count)
    })
    send(from.socket, to, pattern(100, 7))
    yield* eventually(() => from.heard.length > 0)
    expect(from.heard).toEqual([{ bytes: pattern(100, 7), address: b.address, port: to.local.port }])
  })

const order: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open(0, 8)
    const numbers = Array.from({ length: 20 }, (_, i) => i)
    send(from.socket, to.socket, ...numbers.map(numbered))
    yield* eventually(() => to.heard.length >= 20)
    expect(to.heard.map(numberOf)).toEqual(numbers)
    expect(to.batches.every((count) => count >= 1 && count <= 8)).toBe(true)
  })

const manyPeers: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const ears = yield* Effect.forEach([0, 1, 2], () => b.open())
    for (const [slot, ear] of ears.entries()) fill(from.socket, slot, ear.socket, numbered(slot))
    from.socket.send(3)
    yield* eventually(() => ears.every((ear) => ear.heard.length > 0))
    expect(ears.map((ear) => ear.heard.map(numberOf))).toEqual([[0], [1], [2]])
  })

const ephemeral: Test = (a) =>
  Effect.gen(function* () {
    const ears = yield* Effect.forEach([1, 2, 3, 4], () => a.open())
    const ports = ears.map((ear) => ear.socket.local.port)
    expect(ports.every((port) => Number.isInteger(port) && port >= 1024 && port <= 65_535)).toBe(true)
    expect(new Set(ports).size).toBe(4)
  })

/** The error of a bind that must not succeed. */
const refused = <A>(bind: Effect.Effect<A, UdpError, Scope.Scope>): Effect.Effect<UdpError, never, Scope.Scope> =>
  Effect.orDie(Effect.flip(bind))

const inUse: Test = (a) =>
  Effect.gen(function* () {
    const first = yield* a.open()
    const { port } = first.socket.local
    const error = yield* refused(a.open(port))
    expect(error.reason).toBe("address-in-use")
    expect(error.message).toContain(String(port))
  })

/** An address of the documentation range (RFC 5737), which nobody has, and text that is no address. */
const notAvailable: Test = (a) =>
  Effect.gen(function* () {
    for (const address of ["192.0.2.77", "not-an-address"]) {
      const error = yield* refused(a.udp.bind({ address, port: 0 }))
      expect(error.reason).toBe("address-not-available")
      expect(error.message).toContain(address)
    }
  })

const closing: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const first = yield* Effect.scoped(
      Effect.gen(function* () {
        const ear = yield* b.open()
        send(from.socket, ear.socket, numbered(1))
        yield* eventually(() => ear.heard.length > 0)
        return ear
      })
    )
    const second = yield* b.open(first.socket.local.port)
    send(from.socket, second.socket, numbered(2))
    yield* eventually(() => second.heard.length > 0)
    send(first.socket, from.socket, numbered(3))
    yield* Effect.sleep(20)
    expect(first.heard.map(numberOf)).toEqual([1])
    expect(second.heard.map(numberOf)).toEqual([2])
    expect(from.heard).toEqual([])
  })

const oversize: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open()
    fill(from.socket, 0, to.socket, numbered(1))
    fill(from.socket, 1, to.socket, numbered(2))
    from.socket.tx.length[1] = from.socket.tx.slotBytes + 1
    fill(from.socket, 2, to.socket, numbered(3))
    from.socket.send(3)
    yield* eventually(() => to.heard.length >= 2 && from.socket.stats().packetsOut === 2)
    expect(to.heard.map(numberOf)).toEqual([1, 3])
    expect(from.socket.stats()).toMatchObject({ packetsOut: 2, bytesOut: 4, dropsOut: 1 })
  })

const closedPort: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open()
    const gone = yield* Effect.scoped(b.open())
    for (let i = 0; i < 3; i++) {
      send(from.socket, gone.socket, numbered(99))
      yield* Effect.sleep(10)
    }
    send(from.socket, to.socket, numbered(1))
    yield* eventually(() => to.heard.length > 0)
    expect(to.heard.map(numberOf)).toEqual([1])
    send(to.socket, from.socket, numbered(2))
    yield* eventually(() => from.heard.length > 0)
    expect(from.heard.map(numberOf)).toEqual([2])
  })

const counters: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open()
    const zero = { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 }
    expect(from.socket.stats()).toEqual(zero)
    send(from.socket, to.socket, pattern(10, 0), pattern(0, 0), pattern(300, 0))
    yield* eventually(() => to.heard.length >= 3 && from.socket.stats().packetsOut === 3)
    send(to.socket, from.socket, pattern(5, 0))
    yield* eventually(() => from.heard.length >= 1 && to.socket.stats().packetsOut === 1)
    expect(from.socket.stats()).toEqual({ ...zero, packetsOut: 3, bytesOut: 310, packetsIn: 1, bytesIn: 5 })
    expect(to.socket.stats()).toEqual({ ...zero, packetsIn: 3, bytesIn: 310, packetsOut: 1, bytesOut: 5 })
  })

const paced: Test = (a, b) =>
  Effect.gen(function* () {
    const from = yield* a.open()
    const to = yield* b.open()
    for (let first = 0; first < 1000; first += 10) {
      send(from.socket, to.socket, ...Array.from({ length: 10 }, (_, i) => numbered(first + i)))
      yield* Effect.sleep(1)
    }
    yield* eventually(() => to.heard.length >= 1000)
    expect(to.heard.map(numberOf)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    expect(to.socket.stats().dropsIn).toBe(0)
  })
