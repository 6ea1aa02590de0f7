/**
 * ICMP errors (RFC 792, RFC 1191): what hosts and routers answer to a packet that could not get through.
 *
 * The payload of such a packet is a real message: 8 bytes of ICMP, then the IPv4 header and the first 8 bytes of the packet
 * that it is about, so a capture shows it as it is and a NAT has to translate the quotation (RFC 5508 §4).
 */

import { read16, write16, write32 } from "@horizon/core/wire/big-endian.ts"
import { ICMP_HEADER_BYTES, sealIcmp } from "@horizon/core/wire/icmp.ts"
import {
  DONT_FRAGMENT,
  IPV4,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4Protocol,
  ipv4Source,
  sealIpv4Header,
  writeIpv4Header
} from "@horizon/core/wire/ipv4.ts"
import type { PacketPool } from "./packet.ts"

/** Type and code in one number: `type * 256 + code`. */
export const ICMP = { portUnreachable: 0x0303, fragmentationNeeded: 0x0304, timeExceeded: 0x0b00 } as const

/** Bytes of an error message: ICMP header, quoted IPv4 header, quoted ports. */
export const ICMP_ERROR_BYTES = 36

const QUOTE = ICMP_HEADER_BYTES
const QUOTED_PORTS = QUOTE + IPV4_HEADER_BYTES

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
  write16(slab, at, kind)
  write16(slab, at + 6, mtuBytes)
  const quote = at + QUOTE
  const { protocol, source, destination } = pool
  writeIpv4Header(slab, quote, pool.bytes(original), protocol[original], source[original], destination[original])
  slab[quote + IPV4.tos] = pool.ecn[original]
  write16(slab, quote + IPV4.fragment, DONT_FRAGMENT)
  slab[quote + IPV4.ttl] = pool.ttl[original]
  write16(slab, at + QUOTED_PORTS, pool.sourcePort[original])
  write16(slab, at + QUOTED_PORTS + 2, pool.destinationPort[original])
  write16(slab, at + QUOTED_PORTS + 4, pool.bytes(original) - 20)
  seal(slab, at)
}

/** `ICMP` kind of an error packet. */
export const icmpKind = (pool: PacketPool, packet: number): number => read16(pool.slab, pool.offset(packet))

/** Next-hop MTU of a `fragmentationNeeded`, in bytes of IP packet. */
export const icmpMtuBytes = (pool: PacketPool, packet: number): number => read16(pool.slab, pool.offset(packet) + 6)

export const quotedProtocol = (pool: PacketPool, packet: number): number =>
  ipv4Protocol(pool.slab, pool.offset(packet) + QUOTE)

export const quotedSource = (pool: PacketPool, packet: number): number =>
  ipv4Source(pool.slab, pool.offset(packet) + QUOTE)

export const quotedDestination = (pool: PacketPool, packet: number): number =>
  ipv4Destination(pool.slab, pool.offset(packet) + QUOTE)

export const quotedSourcePort = (pool: PacketPool, packet: number): number =>
  read16(pool.slab, pool.offset(packet) + QUOTED_PORTS)

export const quotedDestinationPort = (pool: PacketPool, packet: number): number =>
  read16(pool.slab, pool.offset(packet) + QUOTED_PORTS + 2)

/** Rewrites the source that the quotation shows. */
export const setQuotedSource = (pool: PacketPool, packet: number, address: number, port: number): void => {
  const at = pool.offset(packet)
  write32(pool.slab, at + QUOTE + IPV4.source, address)
  write16(pool.slab, at + QUOTED_PORTS, port)
  seal(pool.slab, at)
}

/** Rewrites the destination that the quotation shows. */
export const setQuotedDestination = (pool: PacketPool, packet: number, address: number, port: number): void => {
  const at = pool.offset(packet)
  write32(pool.slab, at + QUOTE + IPV4.destination, address)
  write16(pool.slab, at + QUOTED_PORTS + 2, port)
  seal(pool.slab, at)
}

/** Sets both checksums: the quoted IPv4 header's, then the message's. */
const seal = (slab: Uint8Array, at: number): void => {
  sealIpv4Header(slab, at + QUOTE, IPV4_HEADER_BYTES)
  sealIcmp(slab, at, ICMP_ERROR_BYTES)
}
