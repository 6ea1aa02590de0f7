/**
 * ICMP errors (RFC 792, RFC 1191): what hosts and routers answer to a packet that could not get through.
 *
 * The payload of such a packet is a real message: 8 bytes of ICMP, then the IPv4 header and the first 8 bytes of the packet
 * that it is about, so a capture shows it as it is and a NAT has to translate the quotation (RFC 5508 §4).
 */

import type { PacketPool } from "./packet.ts"

/** Type and code in one number: `type * 256 + code`. */
export const ICMP = { portUnreachable: 0x0303, fragmentationNeeded: 0x0304, timeExceeded: 0x0b00 } as const

/** Bytes of an error message: ICMP header, quoted IPv4 header, quoted ports. */
export const ICMP_ERROR_BYTES = 36

const QUOTE = 8
const QUOTED_PORTS = QUOTE + 20

/** Writes into `packet` (of `ICMP_ERROR_BYTES` payload) an error about `original`; `mtuBytes` for `fragmentationNeeded`. */
export const writeIcmpError = (
  pool: PacketPool,
  packet: number,
  kind: number,
  original: number,
  mtuBytes: number
): void => {
  const { slab } = pool
  const at = pool.offset(packet)
  slab.fill(0, at, at + ICMP_ERROR_BYTES)
  put16(slab, at, kind)
  put16(slab, at + 6, mtuBytes)
  const quote = at + QUOTE
  slab[quote] = 0x45
  slab[quote + 1] = pool.ecn[original]
  put16(slab, quote + 2, pool.bytes(original))
  slab[quote + 6] = 0x40
  slab[quote + 8] = pool.ttl[original]
  slab[quote + 9] = pool.protocol[original]
  put32(slab, quote + 12, pool.source[original])
  put32(slab, quote + 16, pool.destination[original])
  put16(slab, at + QUOTED_PORTS, pool.sourcePort[original])
  put16(slab, at + QUOTED_PORTS + 2, pool.destinationPort[original])
  put16(slab, at + QUOTED_PORTS + 4, pool.bytes(original) - 20)
  seal(slab, at)
}

/** `ICMP` kind of an error packet. */
export const icmpKind = (pool: PacketPool, packet: number): number => get16(pool.slab, pool.offset(packet))

/** Next-hop MTU of a `fragmentationNeeded`, in bytes of IP packet. */
export const icmpMtuBytes = (pool: PacketPool, packet: number): number => get16(pool.slab, pool.offset(packet) + 6)

export const quotedProtocol = (pool: PacketPool, packet: number): number => pool.slab[pool.offset(packet) + QUOTE + 9]

export const quotedSource = (pool: PacketPool, packet: number): number =>
  get32(pool.slab, pool.offset(packet) + QUOTE + 12)

export const quotedDestination = (pool: PacketPool, packet: number): number =>
  get32(pool.slab, pool.offset(packet) + QUOTE + 16)

export const quotedSourcePort = (pool: PacketPool, packet: number): number =>
  get16(pool.slab, pool.offset(packet) + QUOTED_PORTS)

export const quotedDestinationPort = (pool: PacketPool, packet: number): number =>
  get16(pool.slab, pool.offset(packet) + QUOTED_PORTS + 2)

/** Rewrites the source that the quotation shows. */
export const setQuotedSource = (pool: PacketPool, packet: number, address: number, port: number): void => {
  const at = pool.offset(packet)
  put32(pool.slab, at + QUOTE + 12, address)
  put16(pool.slab, at + QUOTED_PORTS, port)
  seal(pool.slab, at)
}

/** Rewrites the destination that the quotation shows. */
export const setQuotedDestination = (pool: PacketPool, packet: number, address: number, port: number): void => {
  const at = pool.offset(packet)
  put32(pool.slab, at + QUOTE + 16, address)
  put16(pool.slab, at + QUOTED_PORTS + 2, port)
  seal(pool.slab, at)
}

/** Internet checksum (RFC 1071) of the bytes from `at`. An even number of them. */
export const internetChecksum = (bytes: Uint8Array, at: number, length: number): number => {
  let sum = 0
  for (let i = at; i < at + length; i += 2) sum += get16(bytes, i)
  sum = (sum & 0xffff) + (sum >>> 16)
  return ~(sum + (sum >>> 16)) & 0xffff
}

/** Sets both checksums: the quoted IPv4 header's, then the message's. */
const seal = (slab: Uint8Array, at: number): void => {
  put16(slab, at + QUOTE + 10, 0)
  put16(slab, at + QUOTE + 10, internetChecksum(slab, at + QUOTE, 20))
  put16(slab, at + 2, 0)
  put16(slab, at + 2, internetChecksum(slab, at, ICMP_ERROR_BYTES))
}

const get16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1]

const get32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0

const put16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

const put32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
