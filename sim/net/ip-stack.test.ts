import { parseV4 } from "@horizon/core/wire/address.ts"
import fc from "fast-check"
import { expect, test } from "vitest"
import { checkIpHeader, checkUdp, IP_DROP, IP_DROP_NAMES } from "./ip-packet.ts"
import { IpStack } from "./ip-stack.ts"
import { PacketRing } from "./packet-ring.ts"

const OWN = parseV4("10.77.0.5")!
const PEER = parseV4("10.77.0.9")!

const boot = (prefixBits = 16) => {
  const ring = new PacketRing(8)
  const stack = new IpStack(ring)
  stack.configure({ address: OWN, prefixBits, mtuBytes: 1280 })
  const got: Array<{ source: number; port: number; ecn: number; data: ReadonlyArray<number> }> = []
  const bind = (port: number, address = 0) =>
    stack.bind(
      address,
      port,
      (source, sourcePort, ecn, bytes, at, length) => {
        got.push({ source, port: sourcePort, ecn, data: [...bytes.subarray(at, at + length)] })
        return true
      },
      () => true
    )
  return { ring, stack, got, bind }
}

/** The packet that a peer's stack makes of a datagram for this host. */
const packetTo = (port: number, data: ReadonlyArray<number>, ecn = 0): Uint8Array => {
  const ring = new PacketRing(1)
  const peer = new IpStack(ring)
  peer.configure({ address: PEER, prefixBits: 16, mtuBytes: 1280 })
  peer.sendUdp(7000, OWN, port, ecn, false, Uint8Array.from(data), 0, data.length)
  return ring.slots.view(0).slice()
}

/** Makes the header checksum fit again. */
const seal = (packet: Uint8Array): Uint8Array => {
  packet[10] = packet[11] = 0
  let sum = 0
  for (let i = 0; i < (packet[0] & 15) * 4; i += 2) sum += packet[i] * 256 + packet[i + 1]
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = ~(sum + (sum >>> 16)) & 0xffff
  packet[10] = sum >>> 8
  packet[11] = sum & 255
  return packet
}

const change = (packet: Uint8Array, at: number, ...values: ReadonlyArray<number>): Uint8Array => {
  const changed = packet.slice()
  changed.set(values, at)
  return changed
}

test("a packet put together by hand passes, and every single flipped bit in header or datagram is noticed", () => {
  // 192.168.0.1:1025 to 192.168.0.2:53, 4 bytes of data, no UDP checksum.
  const plain = seal(
    Uint8Array.from([
      0x45, 0, 0, 0x20, 0x1c, 0x46, 0x40, 0, 0x40, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 2, 0x04, 0x01, 0, 0x35, 0,
      0x0c, 0, 0, 0x61, 0x62, 0x63, 0x64
    ])
  )
  expect([checkIpHeader(plain, 0, plain.length), checkUdp(plain, 0)]).toEqual([0, 0])
  const packet = packetTo(5000, [1, 2, 3, 4, 5])
  for (let bit = 0; bit < packet.length * 8; bit++) {
    const flipped = change(packet, bit >> 3, packet[bit >> 3] ^ (1 << (bit & 7)))
    expect(checkIpHeader(flipped, 0, flipped.length) !== 0 || checkUdp(flipped, 0) !== 0).toBe(true)
  }
})

test("the checksum is that of the example in RFC 1071", () => {
  // 00 01 f2 03 f4 f5 f6 f7 sums to ddf2: its complement in a header makes the whole sum to zero.
  const header = new Uint8Array(20)
  header.set([0x45, 0x00, 0x00, 0x14])
  header.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 12)
  expect([...seal(header).subarray(10, 12)]).toEqual([0xdc, 0xf8])
  expect(checkIpHeader(header, 0, 20)).toBe(IP_DROP.none)
})

test("datagrams arrive at the socket of their port, with source, ECN bits and data", () => {
  const { stack, got, bind } = boot()
  bind(5000)
  expect(stack.handlePacket(packetTo(5000, [1, 2, 3], 3), 0, 31)).toBe(IP_DROP.none)
  const padded = new Uint8Array(64)
  padded.set(packetTo(5000, [9]), 10)
  expect(stack.handlePacket(padded, 10, 54)).toBe(IP_DROP.none)
  expect(got).toEqual([
    { source: PEER, port: 7000, ecn: 3, data: [1, 2, 3] },
    { source: PEER, port: 7000, ecn: 0, data: [9] }
  ])
})

test("options are skipped, and a datagram without a checksum is taken", () => {
  const { stack, got, bind } = boot()
  bind(5000)
  const plain = packetTo(5000, [7])
  const optioned = new Uint8Array(plain.length + 4)
  optioned.set(plain.subarray(0, 20))
  optioned.set([1, 1, 1, 0], 20)
  optioned.set(plain.subarray(20), 24)
  optioned[0] = 0x46
  optioned[3] += 4
  expect(stack.handlePacket(seal(optioned), 0, optioned.length)).toBe(0)
  expect(stack.handlePacket(change(plain, 26, 0, 0), 0, plain.length)).toBe(0)
  expect(got.map(({ data }) => data)).toEqual([[7], [7]])
})

test("each kind of bad packet is counted under its own name", () => {
  const { stack, ring, bind } = boot()
  bind(5000)
  bind(5001, parseV4("10.77.0.6")!)
  stack.bind(
    0,
    5002,
    () => false,
    () => true
  )
  const good = packetTo(5000, [1, 2, 3, 4])
  const icmp = seal(change(good, 9, 1))
  const cases: ReadonlyArray<readonly [Uint8Array, number]> = [
    [good.subarray(0, 19), IP_DROP.short],
    [good.subarray(0, 31), IP_DROP.short],
    [seal(change(good, 0, 0x44)), IP_DROP.short],
    [seal(change(good, 2, 0, 19)), IP_DROP.short],
    [change(good, 0, 0x65), IP_DROP.version],
    [change(good, 8, 1), IP_DROP.headerChecksum],
    [seal(change(good, 6, 0x20)), IP_DROP.fragment],
    [seal(change(good, 7, 1)), IP_DROP.fragment],
    [seal(change(good, 16, 10, 77, 0, 7)), IP_DROP.notForUs],
    [seal(change(good, 12, 10, 77, 0, 5)), IP_DROP.badSource],
    [seal(change(good, 12, 0, 0, 0, 0)), IP_DROP.badSource],
    [seal(change(good, 12, 224, 0, 0, 1)), IP_DROP.badSource],
    [seal(change(good, 12, 10, 77, 255, 255)), IP_DROP.badSource],
    [seal(change(good, 9, 6)), IP_DROP.protocol],
    [seal(change(good, 2, 0, 27)), IP_DROP.transportShort],
    [change(good, 24, 0, 7), IP_DROP.transportShort],
    [change(good, 24, 0, 13), IP_DROP.transportShort],
    [change(good, 28, 9), IP_DROP.transportChecksum],
    [seal(change(icmp, 2, 0, 27)), IP_DROP.transportShort],
    [icmp, IP_DROP.transportChecksum],
    [packetTo(6000, []), IP_DROP.noListener],
    [packetTo(5001, []), IP_DROP.noListener],
    [packetTo(5002, []), IP_DROP.full]
  ]
  const expected = new Uint32Array(IP_DROP_NAMES.length)
  for (const [packet, code] of cases) {
    expect([...packet, IP_DROP_NAMES[stack.handlePacket(packet, 0, packet.length)]].at(-1)).toBe(IP_DROP_NAMES[code])
    expected[code]++
  }
  expect(stack.drops).toEqual(expected)
  expect(ring.count).toBe(2)
})

test("whatever bytes come, the stack neither throws nor delivers what does not check", () => {
  const { stack, got, bind } = boot()
  bind(5000)
  const good = packetTo(5000, [1, 2, 3, 4])
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.array(fc.tuple(fc.nat(31), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (noise, edits) => {
        stack.handlePacket(noise, 0, noise.length)
        const edited = good.slice()
        for (const [at, value] of edits) edited[at] = value
        const before = got.length
        stack.handlePacket(edited, 0, edited.length)
        if (got.length > before) expect(checkIpHeader(edited, 0, edited.length) + checkUdp(edited, 0)).toBe(0)
      }
    ),
    { numRuns: 500, seed: 3 }
  )
})

test("a ping is answered from the pinged address with the same data, other ICMP and broadcast pings are not", () => {
  const { stack, ring } = boot()
  const echo = packetTo(5000, [])
  const ping = new Uint8Array(20 + 13)
  ping.set(echo)
  ping.set([8, 0, 0, 0, 0, 1, 0, 2, 9, 8, 7, 6, 5], 20)
  ping[3] = 33
  ping[9] = 1
  let sum = 0
  for (let i = 20; i < 33; i += 2) sum += ping[i] * 256 + (ping[i + 1] ?? 0)
  ping[22] = (~sum >>> 8) & 255
  ping[23] = ~sum & 255
  seal(ping)
  expect(stack.handlePacket(ping, 0, 33)).toBe(0)
  const reply = ring.slots.view(0)
  expect([...reply.subarray(12, 20)]).toEqual([10, 77, 0, 5, 10, 77, 0, 9])
  expect([reply[20], ...reply.subarray(24)]).toEqual([0, 0, 1, 0, 2, 9, 8, 7, 6, 5])
  expect(stack.handlePacket(seal(change(ping, 16, 10, 77, 255, 255)), 0, 33)).toBe(IP_DROP.protocol)
  const answer = change(ping, 20, 0)
  answer[22] = (answer[22] + 8) & 255
  expect(stack.handlePacket(answer, 0, 33)).toBe(IP_DROP.protocol)
  for (let i = 0; i < 7; i++) stack.handlePacket(ping, 0, 33)
  expect(stack.handlePacket(ping, 0, 33)).toBe(IP_DROP.full)
  expect(stack.handlePacket(packetTo(9, []), 0, 28)).toBe(IP_DROP.noListener)
  expect(ring.refused).toBe(2)
})

test("an interface that is down takes and sends nothing", () => {
  const { stack, bind } = boot()
  bind(5000)
  stack.configure(undefined)
  expect(stack.handlePacket(packetTo(5000, []), 0, 28)).toBe(IP_DROP.notForUs)
  expect(stack.sendUdp(5000, PEER, 1, 0, false, new Uint8Array(1), 0, 1)).toBe(false)
})

test("a point-to-point prefix has no broadcast address, and prefix 0 takes every unicast address", () => {
  const { stack: narrow } = boot(31)
  const send = (stack: IpStack, to: string, broadcast = false) =>
    stack.sendUdp(1, parseV4(to)!, 1, 0, broadcast, new Uint8Array(1), 0, 1)
  expect([send(narrow, "10.77.0.4"), send(narrow, "10.77.0.5"), send(narrow, "10.77.0.6")]).toEqual([true, true, false])
  const { stack: wide } = boot(0)
  expect([send(wide, "8.8.8.8"), send(wide, "255.255.255.255"), send(wide, "255.255.255.255", true)]).toEqual([
    true,
    false,
    true
  ])
})

test("a full queue drops what is sent as a device does, without a word to the sender", () => {
  const { stack, ring } = boot()
  for (let i = 0; i < 10; i++) expect(stack.sendUdp(1, PEER, 1, 0, false, new Uint8Array(1), 0, 1)).toBe(true)
  expect([ring.count, ring.refused]).toEqual([8, 2])
})

test("free ports are given in turn and run out", () => {
  const { stack, bind } = boot()
  const first = stack.freePort()
  expect(stack.freePort()).toBe(first + 1)
  for (let port = 32_768; port <= 60_999; port++) bind(port)
  expect(stack.freePort()).toBe(0)
  expect(bind(40_000)).toBeUndefined()
})

test("a UDP checksum that comes out as zero is sent as all ones", () => {
  const { stack, ring } = boot()
  for (let i = 0; i < 0x10000; i++) {
    stack.sendUdp(5000, PEER, 7000, 0, false, Uint8Array.from([i >>> 8, i & 255]), 0, 2)
    const packet = ring.slots.view(0)
    if (packet[26] === 0xff && packet[27] === 0xff) {
      expect(checkUdp(packet, 0)).toBe(0)
      return
    }
    ring.clear()
  }
  expect.unreachable("one of all 16-bit values makes the sum zero")
})
