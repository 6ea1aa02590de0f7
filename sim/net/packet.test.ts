import { internetChecksum, TTL_DEFAULT } from "@horizon/core/wire/ipv4.ts"
import { expect, test } from "vitest"
import { hashBytes, hashWords } from "../kernel/digest.ts"
import {
  ICMP,
  icmpKind,
  icmpMtuBytes,
  quotedDestination,
  quotedDestinationPort,
  quotedProtocol,
  quotedSource,
  quotedSourcePort,
  setQuotedDestination,
  setQuotedSource,
  writeIcmpError
} from "./icmp.ts"
import { NO_ORIGIN, PACKET_BYTES_MAX, PacketPool, PROTOCOL } from "./packet.ts"

test("the pool doubles up to its limit, keeps what is in it, and then refuses and counts", () => {
  const pool = new PacketPool(1000)
  const ids = Array.from({ length: 1000 }, (_, i) => {
    const id = pool.alloc(4)
    pool.source[id] = i
    pool.slab[pool.offset(id)] = i
    return id
  })
  expect(new Set(ids).size).toBe(1000)
  expect(ids.every((id, i) => pool.source[id] === i && pool.payload(id)[0] === (i & 255))).toBe(true)
  expect(pool.alloc(1)).toBe(-1)
  expect(pool.copy(ids[0])).toBe(-1)
  expect([pool.used, pool.usedMax, pool.exhausted]).toEqual([1000, 1000, 2])
  pool.free(ids[500])
  expect(pool.alloc(1)).toBe(ids[500])
  for (const id of ids) pool.free(id)
  expect([pool.used, pool.usedMax]).toEqual([0, 1000])
  expect(() => pool.free(0)).toThrow(/freed once/)
})

test("the words of the slab are its bytes, also after the pool has grown", () => {
  const pool = new PacketPool(1000)
  for (let i = 0; i < 300; i++) pool.alloc(4)
  pool.slab.set([1, 2, 3, 4], pool.offset(299))
  expect(pool.words[pool.offset(299) / 4]).toBe(0x04030201)
})

test("hashing a payload by words gives what hashing it by bytes gives, at every length", () => {
  const pool = new PacketPool()
  pool.alloc(0)
  const id = pool.alloc(PACKET_BYTES_MAX)
  for (let i = 0; i < PACKET_BYTES_MAX; i++) pool.slab[pool.offset(id) + i] = Math.imul(i, 167) >> 3
  for (let length = 0; length <= 64; length++)
    expect(hashWords(pool.words, pool.offset(id) / 4, pool.slab, length)).toBe(
      hashBytes(pool.slab, pool.offset(id), length)
    )
})

test("a fresh packet has none of what its predecessor had", () => {
  const pool = new PacketPool()
  const old = pool.alloc(10)
  for (const column of [pool.source, pool.ecn, pool.ttl, pool.origin, pool.damaged]) column[old] = 1
  pool.free(old)
  const fresh = pool.alloc(20)
  expect(fresh).toBe(old)
  expect([pool.source[fresh], pool.ecn[fresh], pool.ttl[fresh], pool.origin[fresh], pool.damaged[fresh]]).toEqual([
    0,
    0,
    TTL_DEFAULT,
    NO_ORIGIN,
    0
  ])
  expect(() => pool.alloc(PACKET_BYTES_MAX + 1)).toThrow(/fits its slot/)
})

test("the bytes of a packet on the wire include the headers of its protocol", () => {
  const pool = new PacketPool()
  const id = pool.alloc(100)
  const bytes = Object.values(PROTOCOL).map((protocol) => {
    pool.protocol[id] = protocol
    return pool.bytes(id)
  })
  expect(bytes).toEqual([120, 140, 128])
})

const quoting = () => {
  const pool = new PacketPool()
  const original = pool.alloc(1472)
  pool.source[original] = 0xc0a80102
  pool.destination[original] = 0xcb007101
  pool.sourcePort[original] = 40_000
  pool.destinationPort[original] = 65_535
  pool.protocol[original] = PROTOCOL.udp
  const error = pool.alloc(36)
  writeIcmpError(pool, error, ICMP.fragmentationNeeded, original, 1400)
  const quote = () => [
    quotedProtocol(pool, error),
    quotedSource(pool, error),
    quotedSourcePort(pool, error),
    quotedDestination(pool, error),
    quotedDestinationPort(pool, error)
  ]
  // A block with its own checksum inside sums to zero.
  const sums = () => [
    internetChecksum(pool.slab, pool.offset(error), 36),
    internetChecksum(pool.slab, pool.offset(error) + 8, 20)
  ]
  return { pool, error, quote, sums }
}

test("an ICMP error quotes the packet that it is about, with right checksums", () => {
  const { pool, error, quote, sums } = quoting()
  expect([icmpKind(pool, error), icmpMtuBytes(pool, error)]).toEqual([ICMP.fragmentationNeeded, 1400])
  expect([...pool.payload(error).subarray(0, 2)]).toEqual([3, 4])
  expect(quote()).toEqual([17, 0xc0a80102, 40_000, 0xcb007101, 65_535])
  // Total length of the quoted packet: 1,472 + 28.
  expect([...pool.payload(error).subarray(10, 12)]).toEqual([1500 >> 8, 1500 & 255])
  expect(sums()).toEqual([0, 0])
})

test("both ends of the quotation can be rewritten and the checksums follow", () => {
  const { pool, error, quote, sums } = quoting()
  setQuotedSource(pool, error, 0x0a000001, 1)
  setQuotedDestination(pool, error, 0x0a000002, 2)
  expect(quote()).toEqual([17, 0x0a000001, 1, 0x0a000002, 2])
  expect(sums()).toEqual([0, 0])
})
