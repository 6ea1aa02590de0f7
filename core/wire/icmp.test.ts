import fc from "fast-check"
import { expect, test } from "vitest"
import {
  echoReplyInPlace,
  isEchoReply,
  isEchoRequest,
  mayAnswerWithError,
  UNREACHABLE_BYTES_MAX,
  writeHostUnreachable
} from "./icmp.ts"
import { internetChecksum, ipv4Destination, ipv4Source, isIpv4Packet } from "./ipv4.ts"
import { ipv4Packet, pingPacket } from "./ipv4-packet.fixture.ts"

test("a reply is a sound packet back to where the request came from, with the same data", () => {
  const address = fc.nat(0xffffffff)
  fc.assert(
    fc.property(
      address,
      address,
      fc.nat(0xffff),
      fc.uint8Array({ maxLength: 64 }),
      (source, destination, sequence, data) => {
        const packet = pingPacket(source, destination, sequence, data)
        expect(isIpv4Packet(packet, 0, packet.length) && isEchoRequest(packet, 0, packet.length)).toBe(true)
        echoReplyInPlace(packet, 0, packet.length)
        expect(isIpv4Packet(packet, 0, packet.length) && isEchoReply(packet, 0, packet.length)).toBe(true)
        expect([ipv4Source(packet, 0), ipv4Destination(packet, 0)]).toEqual([destination, source])
        expect([...packet.subarray(28)]).toEqual([...data])
      }
    )
  )
})

test("a damaged echo request, a fragment of one and another protocol are no echo requests", () => {
  const ping = pingPacket(1, 2, 3, new Uint8Array(8))
  const changed = (at: number, value: number): Uint8Array => {
    const copy = ping.slice()
    copy[at] ^= value
    return copy
  }
  expect(isEchoRequest(ping, 0, ping.length)).toBe(true)
  for (const packet of [changed(30, 1), changed(6, 0x20), changed(7, 1), changed(9, 16), changed(20, 8)])
    expect(isEchoRequest(packet, 0, packet.length)).toBe(false)
})

test("a host-unreachable answer quotes header and eight bytes of the packet, also with the longest header", () => {
  const packet = new Uint8Array(100)
  packet.set(ipv4Packet(0x0a000001, 0x0a000002, new Uint8Array(80).fill(5)))
  packet[0] = 0x4f
  const target = new Uint8Array(UNREACHABLE_BYTES_MAX)
  const length = writeHostUnreachable(target, 0x0a0000fe, packet, 0, packet.length)
  expect(length).toBe(UNREACHABLE_BYTES_MAX)
  expect(isIpv4Packet(target, 0, length)).toBe(true)
  expect(internetChecksum(target, 20, length - 20)).toBe(0)
  expect([...target.subarray(28)]).toEqual([...packet.subarray(0, 68)])
})

test("only pings and what is no ICMP may be answered by an error, and no later fragment", () => {
  const udp = ipv4Packet(1, 2, new Uint8Array(8))
  const fragment = udp.slice()
  fragment[7] = 1
  const error = ipv4Packet(1, 2, new Uint8Array([3, 1, 0, 0, 0, 0, 0, 0]), 1)
  const cut = ipv4Packet(1, 2, new Uint8Array(0), 1)
  const ping = pingPacket(1, 2, 3, new Uint8Array(8))
  expect([udp, ping, fragment, error, cut].map((packet) => mayAnswerWithError(packet, 0, packet.length))).toEqual([
    true,
    true,
    false,
    false,
    false
  ])
})
