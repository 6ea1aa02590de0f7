/**
 * What every `Tun` layer must do, seen from both sides of the device: the node's, which reads and writes IP packets, and an application's on
 * the same host, which uses UDP sockets on the tunnel's address. The suite has an IPv4 encoder and decoder of its own, so that
 * no layer is held to its own idea of a packet. A real host also sends packets of its own accord; they are passed over.
 */

import type { Layer, Scope } from "effect"
import { Effect, Result } from "effect"
import { describe, expect, test } from "vitest"
import { parseV4, putV4 } from "../wire/address.ts"
import { Tun, type TunDevice, type TunOpen } from "./tun.ts"
import { Udp, type UdpSocket } from "./udp.ts"
import { type ContractInstance, type ContractWorld, eventually, inWorld } from "./world.contract.ts"

export interface TunInstance extends ContractInstance {
  readonly tun: Layer.Layer<Tun>
  /** UDP on the same host, for sockets bound to the tunnel's address. */
  readonly udp: Layer.Layer<Udp>
}

interface Datagram {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly ecn?: number
  readonly data: ReadonlyArray<number>
}

const OWN = "10.77.0.5"
const PEER = "10.77.3.9"
const OPEN = { name: "hzcontract0", cidr: `${OWN}/16`, mtuBytes: 1280 } satisfies TunOpen

const sum16 = (bytes: ReadonlyArray<number>): number => {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum % 0x10000)
  return 0xffff - sum
}
const be16 = (value: number): ReadonlyArray<number> => [value >> 8, value & 255]
const be32 = (text: string): ReadonlyArray<number> => text.split(".").map(Number)

/** An IPv4 packet with a UDP datagram in it. */
const encode = (datagram: Datagram): Array<number> => {
  const length = 8 + datagram.data.length
  const ports = [...be16(datagram.sourcePort), ...be16(datagram.destinationPort)]
  const addresses = [...be32(datagram.source), ...be32(datagram.destination)]
  const udpSum = sum16([...addresses, 0, 17, ...be16(length), ...ports, ...be16(length), 0, 0, ...datagram.data])
  const udp = [...ports, ...be16(length), ...be16(udpSum === 0 ? 0xffff : udpSum), ...datagram.data]
  const head = [0x45, datagram.ecn ?? 0, ...be16(20 + length), 0x12, 0x34, 0x40, 0, 64, 17]
  return [...head, ...be16(sum16([...head, 0, 0, ...addresses])), ...addresses, ...udp]
}

/** The UDP datagram in an IPv4 packet, or `undefined` if it is something else or a checksum does not fit. */
const decode = (packet: ReadonlyArray<number>): Datagram | undefined => {
  const header = (packet[0] & 15) * 4
  if (packet[0] >> 4 !== 4 || packet[9] !== 17 || sum16(packet.slice(0, header)) !== 0) return undefined
  const udp = packet.slice(header, packet[2] * 256 + packet[3])
  const addresses = packet.slice(12, 20)
  const hasSum = udp[6] !== 0 || udp[7] !== 0
  if (hasSum && sum16([...addresses, 0, 17, ...be16(udp.length), ...udp]) !== 0) return undefined
  return {
    source: addresses.slice(0, 4).join("."),
    destination: addresses.slice(4).join("."),
    sourcePort: udp[0] * 256 + udp[1],
    destinationPort: udp[2] * 256 + udp[3],
    ecn: packet[1] & 3,
    data: udp.slice(8)
  }
}

/** Collects what a device or a socket hands over. */
const collectPackets = (device: TunDevice) => {
  const packets: Array<ReadonlyArray<number>> = []
  const counts: Array<number> = []
  device.onBatch((_, count) => {
    counts.push(count)
    for (let i = 0; i < count; i++) packets.push([...device.rx.view(i)])
  })
  return { packets, counts, to: (port: number) => packets.map(decode).filter((one) => one?.destinationPort === port) }
}

const collectDatagrams = (socket: UdpSocket) => {
  const datagrams: Array<{ from: string; port: number; data: ReadonlyArray<number> }> = []
  socket.onBatch((_, count) => {
    for (let i = 0; i < count; i++) {
      const { address, port } = socket.rx.peer(i)
      datagrams.push({ from: address, port, data: [...socket.rx.view(i)] })
    }
  })
  return datagrams
}

const sendTo = (
  socket: UdpSocket,
  address: string,
  port: number,
  ...payloads: ReadonlyArray<ReadonlyArray<number>>
): void => {
  payloads.forEach((data, i) => {
    socket.tx.slab.set(data, socket.tx.offset(i))
    socket.tx.length[i] = data.length
    putV4(socket.tx.address, i * 4, parseV4(address)!)
    socket.tx.port[i] = port
    socket.tx.ecn[i] = 0
  })
  socket.send(payloads.length)
}

const write = (device: TunDevice, ...packets: ReadonlyArray<ReadonlyArray<number>>): void => {
  packets.forEach((packet, i) => {
    device.tx.slab.set(packet, device.tx.offset(i))
    device.tx.length[i] = packet.length
  })
  device.send(packets.length)
}

const bytes = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => (i * 13) & 255)

export const tunContract = (world: ContractWorld<TunInstance>): void => {
  const withTunnel = <E>(body: (device: TunDevice, udp: Udp["Service"]) => Effect.Effect<void, E, Scope.Scope>) =>
    inWorld(world)((instance) =>
      Effect.gen(function* () {
        const device = yield* Tun.use((tun) => tun.open(OPEN))
        yield* body(device, yield* Udp)
      }).pipe(Effect.provide([instance.tun, instance.udp]))
    )

  describe(`Tun, ${world.name}`, () => {
    test(
      "a device has the wanted MTU, a name, and zero counters",
      withTunnel((device) =>
        Effect.sync(() => {
          expect(device.mtuBytes).toBe(1280)
          expect(device.name.length).toBeGreaterThan(0)
          expect([device.stats().packetsOut, device.stats().bytesOut, device.stats().dropsOut]).toEqual([0, 0, 0])
        })
      )
    )

    test(
      "what an application sends to the tunnel's prefix is read as intact IP packets, in order",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const seen = collectPackets(device)
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          sendTo(socket, PEER, 7000, bytes(0), bytes(1), bytes(100), bytes(1252))
          expect(yield* eventually(() => seen.to(7000).length === 4)).toBe(true)
          expect(seen.to(7000)).toEqual(
            [0, 1, 100, 1252].map((length) => ({
              source: OWN,
              sourcePort: 5000,
              destination: PEER,
              destinationPort: 7000,
              ecn: 0,
              data: bytes(length)
            }))
          )
          expect(device.stats().packetsIn).toBeGreaterThanOrEqual(4)
          expect(socket.stats()).toMatchObject({ packetsOut: 4, dropsOut: 0 })
        })
      )
    )

    test(
      "what the node writes reaches the application's socket, with the sender's address and port",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          const packets = [0, 1, 2, 333, 1252].map((length) =>
            encode({ source: PEER, sourcePort: 7000, destination: OWN, destinationPort: 5000, data: bytes(length) })
          )
          write(device, ...packets)
          expect(yield* eventually(() => got.length === 5)).toBe(true)
          expect(got).toEqual([0, 1, 2, 333, 1252].map((length) => ({ from: PEER, port: 7000, data: bytes(length) })))
          expect(device.stats()).toMatchObject({
            packetsOut: 5,
            bytesOut: packets.reduce((sum, packet) => sum + packet.length, 0),
            dropsOut: 0
          })
        })
      )
    )

    test(
      "an application's question is answered through the node within one exchange of batches",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          device.onBatch((_, count) => {
            const replies: Array<Array<number>> = []
            for (let i = 0; i < count; i++) {
              const question = decode([...device.rx.view(i)])
              if (question?.destinationPort !== 7000) continue
              replies.push(
                encode({
                  source: question.destination,
                  sourcePort: question.destinationPort,
                  destination: question.source,
                  destinationPort: question.sourcePort,
                  data: [...question.data].reverse()
                })
              )
            }
            write(device, ...replies)
          })
          for (let i = 0; i < 200; i += 10) {
            sendTo(socket, PEER, 7000, ...Array.from({ length: 10 }, (_, k) => [1, 2, i + k]))
            yield* Effect.sleep(1)
          }
          expect(yield* eventually(() => got.length === 200)).toBe(true)
          expect(got.map(({ data }) => data[0])).toEqual(Array.from({ length: 200 }, (_, i) => i))
        })
      )
    )

    test(
      "a burst of equal datagrams of several flows reaches each socket whole and in order",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const sockets = yield* Effect.forEach([5000, 5001, 5002], (port) => udp.bind({ address: OWN, port }))
          const got = sockets.map(collectDatagrams)
          const data = (i: number): ReadonlyArray<number> => [i, ...bytes(i % 20 === 19 ? 50 : 499)]
          const packets = Array.from({ length: 60 }, (_, i) =>
            encode({ source: PEER, sourcePort: 7, destination: OWN, destinationPort: 5000 + (i % 3), data: data(i) })
          )
          write(device, ...packets)
          expect(yield* eventually(() => got.every((datagrams) => datagrams.length === 20))).toBe(true)
          for (const [k, datagrams] of got.entries())
            expect(datagrams.map((one) => one.data)).toEqual(Array.from({ length: 20 }, (_, i) => data(i * 3 + k)))
          expect(device.stats()).toMatchObject({ packetsOut: 60, dropsOut: 0 })
        })
      )
    )

    test(
      "a burst of equal datagrams from an application is read as one packet each, whole and in order",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const seen = collectPackets(device)
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const sent = Array.from({ length: 40 }, (_, i) => [i, ...bytes(i === 39 ? 70 : 800)])
          sendTo(socket, PEER, 7000, ...sent)
          expect(yield* eventually(() => seen.to(7000).length === 40)).toBe(true)
          expect(seen.to(7000).map((datagram) => datagram?.data)).toEqual(sent)
        })
      )
    )

    test(
      "a datagram that was damaged on its way is not mended by the burst that it comes in",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          const packets = Array.from({ length: 12 }, (_, i) =>
            encode({ source: PEER, sourcePort: 7, destination: OWN, destinationPort: 5000, data: [i, ...bytes(300)] })
          )
          for (const i of [0, 5, 6, 11]) packets[i][200] ^= 1
          write(device, ...packets)
          expect(yield* eventually(() => got.length >= 8)).toBe(true)
          yield* Effect.sleep(20)
          expect(got.map(({ data }) => data[0])).toEqual([1, 2, 3, 4, 7, 8, 9, 10])
        })
      )
    )

    test(
      "what has no bytes and what is longer than the MTU is dropped and counted",
      withTunnel((device) =>
        Effect.sync(() => {
          write(device, [], new Array<number>(OPEN.mtuBytes + 1).fill(0x45))
          expect(device.stats()).toMatchObject({ packetsOut: 0, dropsOut: 2 })
        })
      )
    )

    test(
      "an ECN mark that the network set does not disturb the delivery",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          write(
            device,
            encode({ source: PEER, sourcePort: 7, destination: OWN, destinationPort: 5000, ecn: 3, data: [9] })
          )
          expect(yield* eventually(() => got.length === 1)).toBe(true)
        })
      )
    )

    test(
      "the host answers a ping that comes through the tunnel",
      withTunnel((device) =>
        Effect.gen(function* () {
          const seen = collectPackets(device)
          const echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1, ...bytes(57)]
          const icmp = [8, 0, ...be16(sum16(echo)), ...echo.slice(4)]
          const head = [0x45, 0, ...be16(20 + icmp.length), 0, 1, 0x40, 0, 64, 1]
          const addresses = [...be32(PEER), ...be32(OWN)]
          write(device, [...head, ...be16(sum16([...head, 0, 0, ...addresses])), ...addresses, ...icmp])
          const replies = () =>
            seen.packets.filter((packet) => packet[0] === 0x45 && packet[9] === 1 && packet[20] === 0)
          expect(yield* eventually(() => replies().length === 1)).toBe(true)
          const [reply] = replies()
          expect([reply.slice(12, 16), reply.slice(16, 20)]).toEqual([be32(OWN), be32(PEER)])
          expect(sum16(reply.slice(20))).toBe(0)
          expect(reply.slice(24)).toEqual(echo.slice(4))
        })
      )
    )

    test(
      "a broadcast of the prefix and a limited broadcast go both ways when the socket may broadcast",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const seen = collectPackets(device)
          const socket = yield* udp.bind({ port: 5000, broadcast: true })
          const got = collectDatagrams(socket)
          sendTo(socket, "10.77.255.255", 7000, [1])
          expect(yield* eventually(() => seen.to(7000).length === 1)).toBe(true)
          expect(seen.to(7000)[0]?.destination).toBe("10.77.255.255")
          for (const destination of ["10.77.255.255", "255.255.255.255"])
            write(device, encode({ source: PEER, sourcePort: 7, destination, destinationPort: 5000, data: [2] }))
          expect(yield* eventually(() => got.length === 2)).toBe(true)
          expect(got.every(({ from }) => from === PEER)).toBe(true)
        })
      )
    )

    test(
      "whatever bytes the node writes, nothing is thrown and the device works on",
      withTunnel((device, udp) =>
        Effect.gen(function* () {
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          const good = encode({ source: PEER, sourcePort: 7, destination: OWN, destinationPort: 5000, data: bytes(20) })
          const changed = (at: number, value: number) => good.map((byte, i) => (i === at ? value : byte))
          write(
            device,
            [],
            [0x45],
            good.slice(0, 19),
            good.slice(0, 27),
            changed(0, 0x41),
            changed(2, 0xff),
            changed(10, good[10] ^ 1),
            changed(30, good[30] ^ 1),
            new Array<number>(1280).fill(255)
          )
          write(device, good)
          expect(yield* eventually(() => got.length > 0)).toBe(true)
          yield* Effect.sleep(20)
          expect(got).toEqual([{ from: PEER, port: 7, data: bytes(20) }])
        })
      )
    )

    test(
      "a name that cannot be one and a malformed address are refused with a sentence",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const tun = yield* Tun
          for (const change of [
            { name: "" },
            { name: "sixteen-letters-" },
            { cidr: "10.0.0.1" },
            { cidr: "10.0.0.256/8" }
          ]) {
            const error = yield* Effect.flip(tun.open({ ...OPEN, ...change }))
            expect(error.message.length).toBeGreaterThan(20)
          }
        }).pipe(Effect.provide(instance.tun))
      )
    )

    test(
      "an interface for Ethernet frames asks for addresses (ARP) and carries IP in frames, or is refused with a sentence",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const tun = yield* Tun
          const udp = yield* Udp
          const opened = yield* Effect.result(tun.open({ ...OPEN, kind: "tap" }))
          if (Result.isFailure(opened)) {
            expect(opened.failure.reason).toBe("unsupported")
            expect(opened.failure.message).toContain(OPEN.name)
            return
          }
          const device = opened.success
          expect(device.mtuBytes).toBe(OPEN.mtuBytes)
          const { packets: frames } = collectPackets(device)
          const socket = yield* udp.bind({ address: OWN, port: 5000 })
          const got = collectDatagrams(socket)
          sendTo(socket, PEER, 7000, bytes(1252))
          const ofType = (type: number) => frames.filter((frame) => frame[12] * 256 + frame[13] === type)
          expect(yield* eventually(() => ofType(0x0806).length > 0)).toBe(true)
          const [request] = ofType(0x0806)
          expect([request.slice(28, 32), request.slice(38, 42)]).toEqual([be32(OWN), be32(PEER)])
          const [host, peer] = [request.slice(6, 12), [2, 0, 0, 0, 0, 9]]
          const answer = [...request.slice(14, 20), 0, 2, ...peer, ...be32(PEER), ...host, ...be32(OWN)]
          write(device, [...host, ...peer, 0x08, 0x06, ...answer])
          expect(yield* eventually(() => ofType(0x0800).length > 0)).toBe(true)
          const [frame] = ofType(0x0800)
          expect([frame.slice(0, 6), frame.slice(6, 12), frame.length]).toEqual([peer, host, 14 + 1280])
          expect(decode(frame.slice(14))).toMatchObject({ source: OWN, destination: PEER, data: bytes(1252) })
          const back = [1, 2, 3].map((i) =>
            encode({ source: PEER, sourcePort: 7, destination: OWN, destinationPort: 5000, data: [i, ...bytes(1251)] })
          )
          write(device, ...back.map((packet) => [...host, ...peer, 0x08, 0x00, ...packet]))
          expect(yield* eventually(() => got.length === 3)).toBe(true)
          expect(got.map(({ data }) => data[0])).toEqual([1, 2, 3])
          write(device, new Array<number>(14 + 4 + OPEN.mtuBytes + 1).fill(0))
          expect(device.stats()).toMatchObject({ packetsOut: 4, dropsOut: 1 })
        }).pipe(Effect.provide([instance.tun, instance.udp]))
      )
    )

    test(
      "an interface without an address is opened for others to give it one, or refused with a sentence",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const tun = yield* Tun
          const { cidr: _, ...options } = OPEN
          const opened = yield* Effect.result(tun.open(options))
          if (Result.isSuccess(opened)) return expect(opened.success.name).toBe(OPEN.name)
          expect(opened.failure.reason).toBe("unsupported")
          expect(opened.failure.message).toContain(OPEN.name)
        }).pipe(Effect.provide(instance.tun))
      )
    )

    test(
      "a device that was closed can be opened again, and what was sent meanwhile does not appear in it",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const tun = yield* Tun
          const udp = yield* Udp
          const lifetime = (port: number) =>
            Effect.scoped(
              Effect.gen(function* () {
                const device = yield* tun.open(OPEN)
                const seen = collectPackets(device)
                const socket = yield* udp.bind({ address: OWN, port: 5000 })
                sendTo(socket, PEER, port, [1])
                expect(yield* eventually(() => seen.to(port).length === 1)).toBe(true)
                return seen
              })
            )
          yield* lifetime(7000)
          const second = yield* lifetime(7001)
          expect(second.to(7000)).toEqual([])
        }).pipe(Effect.provide([instance.tun, instance.udp]))
      )
    )

    test(
      "a second device of the same name is refused while the first is open",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const tun = yield* Tun
          yield* tun.open(OPEN)
          const error = yield* Effect.flip(tun.open(OPEN))
          expect(error.reason).toBe("name-in-use")
          expect(error.message).toContain(OPEN.name)
        }).pipe(Effect.provide(instance.tun))
      )
    )
  })
}
