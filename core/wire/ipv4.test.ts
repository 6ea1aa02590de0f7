import { expect, test } from "vitest"
import {
  IPV4,
  IPV4_HEADER_BYTES,
  internetChecksum,
  ipv4Destination,
  ipv4Protocol,
  ipv4Source,
  isFragment,
  isIpv4Packet,
  isLaterFragment,
  isMulticast,
  sealIpv4Header,
  TTL_DEFAULT,
  writeIpv4Header
} from "./ipv4.ts"

test("the checksum is that of the example in RFC 1071, also with an odd byte at the end", () => {
  const example = new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])
  expect(internetChecksum(example, 0, 8)).toBe(0xddf2 ^ 0xffff)
  expect(internetChecksum(new Uint8Array([9, 0x00, 0x01, 0xf2]), 1, 3)).toBe(0xf201 ^ 0xffff)
})

test("a header from the wire is accepted, and with any one bit of it changed it is not", () => {
  // A UDP packet of 115 bytes from 192.168.0.1 to 192.168.0.199.
  const header = "45000073000040004011b861c0a80001c0a800c7"
  const packet = new Uint8Array(0x73)
  for (let i = 0; i < 20; i++) packet[i] = Number.parseInt(header.slice(2 * i, 2 * i + 2), 16)
  expect(isIpv4Packet(packet, 0, packet.length)).toBe(true)
  expect([ipv4Source(packet, 0), ipv4Destination(packet, 0)]).toEqual([0xc0a80001, 0xc0a800c7])
  for (let bit = 0; bit < 160; bit++) {
    const changed = packet.slice()
    changed[bit >> 3] ^= 1 << (bit & 7)
    expect(isIpv4Packet(changed, 0, changed.length)).toBe(false)
  }
})

test("224.0.0.0/4 is multicast and its neighbours are not", () => {
  expect([0xdfffffff, 0xe0000000, 0xefffffff, 0xf0000000].map(isMulticast)).toEqual([false, true, true, false])
})

test("the sum that a checksum begins with counts as if its words stood before the bytes", () => {
  const bytes = new Uint8Array([0xff, 0xff, 0x12, 0x34, 0xab])
  expect(internetChecksum(bytes, 2, 3, 0xffff)).toBe(internetChecksum(bytes, 0, 5))
  expect(internetChecksum(new Uint8Array(0xffff).fill(0xff), 0, 0xffff, 0x4fffb)).toBe(0x00ff)
})

test("a header that is written and sealed is sound, also after one of its fields was set", () => {
  const packet = new Uint8Array(28).fill(0xee)
  writeIpv4Header(packet, 4, 24, 17, 0xc0000201, 0xffffffff)
  sealIpv4Header(packet, 4, IPV4_HEADER_BYTES)
  expect(isIpv4Packet(packet, 4, 24)).toBe(true)
  expect([ipv4Protocol(packet, 4), ipv4Source(packet, 4), ipv4Destination(packet, 4)]).toEqual([
    17, 0xc0000201, 0xffffffff
  ])
  expect([isFragment(packet, 4), isLaterFragment(packet, 4), packet[4 + IPV4.ttl]]).toEqual([false, false, TTL_DEFAULT])
  packet[4 + IPV4.fragment] = 0x20
  expect([isIpv4Packet(packet, 4, 24), isFragment(packet, 4), isLaterFragment(packet, 4)]).toEqual([false, true, false])
  sealIpv4Header(packet, 4, IPV4_HEADER_BYTES)
  expect(isIpv4Packet(packet, 4, 24)).toBe(true)
})
