import { read16, read32 } from "@horizon/core/wire/big-endian.ts"
import { internetChecksum, ipv4Destination, ipv4Source, ipv4TotalBytes } from "@horizon/core/wire/ipv4.ts"
import { expect, test } from "vitest"
import { ecnOf, isIpv4Frame, markCe, putTooBig, TOO_BIG_BYTES_MAX } from "./ether.ts"
import { arp, DESTINATION, frame, headerIsSound, SOURCE } from "./frames.fixture.ts"

test("only whole frames with IPv4 in them are taken for packets", () => {
  expect(isIpv4Frame(frame(40, 1), 0, 54)).toBe(true)
  expect(isIpv4Frame(frame(40, 1), 0, 33)).toBe(false)
  expect(isIpv4Frame(arp(), 0, 42)).toBe(false)
})

test("a mark of congestion sets both bits, and the header's checksum stays right", () => {
  const bytes = frame(60, 1, 2)
  expect(ecnOf(bytes, 0)).toBe(2)
  markCe(bytes, 0)
  expect(ecnOf(bytes, 0)).toBe(3)
  expect(headerIsSound(bytes, 0)).toBe(true)
})

test("the answer to what is too long goes back to its sender, names the MTU, quotes the packet and has right checksums", () => {
  const long = frame(1_500, 1)
  const into = new Uint8Array(TOO_BIG_BYTES_MAX + 8)
  const length = putTooBig(into, 4, long, 0, 1_400)
  const [ether, packet] = [4, 18]
  expect(into.subarray(ether, ether + 12)).toEqual(Uint8Array.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]))
  expect([ipv4Source(into, packet), ipv4Destination(into, packet)]).toEqual([DESTINATION, SOURCE])
  expect(ipv4TotalBytes(into, packet)).toBe(length - 14)
  expect(headerIsSound(into, ether)).toBe(true)
  const icmp = packet + 20
  expect([into[icmp], into[icmp + 1], read16(into, icmp + 6)]).toEqual([3, 4, 1_400])
  expect(internetChecksum(into, icmp, length - 34)).toBe(0)
  expect(into.subarray(icmp + 8, icmp + 36)).toEqual(long.subarray(14, 42))
  expect(read32(into, icmp + 8 + 12)).toBe(SOURCE)
})
