/** Ethernet II frames with IPv4 in them, in place: what the link process must know of them. */

import { read16, write16, write32 } from "@horizon/core/wire/big-endian.ts"
import { ICMP_TYPE, PROTOCOL_ICMP, sealIcmp } from "@horizon/core/wire/icmp.ts"
import {
  IPV4,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Source,
  sealIpv4Header,
  writeIpv4Header
} from "@horizon/core/wire/ipv4.ts"

export const ETHERNET_HEADER_BYTES = 14
/** The longest frame that a link takes: a packet of 2,000 bytes, more than any of our devices sends. */
export const FRAME_BYTES_MAX = 2048
const MAC_BYTES = 6
const TYPE_AT = 2 * MAC_BYTES
const TYPE_IPV4 = 0x0800

/** Whether the frame of `length` bytes at `at` carries IPv4. */
export const isIpv4Frame = (slab: Uint8Array, at: number, length: number): boolean =>
  length >= ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES && read16(slab, at + TYPE_AT) === TYPE_IPV4

/** The two ECN bits of the packet in the frame. */
export const ecnOf = (slab: Uint8Array, at: number): number => slab[at + ETHERNET_HEADER_BYTES + IPV4.tos] & 3

/** Sets Congestion Experienced and puts the header checksum right. */
export const markCe = (slab: Uint8Array, at: number): void => {
  const packet = at + ETHERNET_HEADER_BYTES
  slab[packet + IPV4.tos] |= 3
  sealIpv4Header(slab, packet, ipv4HeaderBytes(slab, packet))
}

/** Bytes of the answer that `putTooBig` writes. */
export const TOO_BIG_BYTES_MAX = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + 8 + 60 + 8

/**
 * Writes to `to` the frame that answers the one at `at` with "fragmentation needed" (RFC 1191 §4) and returns its length. A link has no address
 * of its own, so the answer comes from the packet's destination, which hosts accept from any hop.
 */
export const putTooBig = (into: Uint8Array, to: number, slab: Uint8Array, at: number, mtuBytes: number): number => {
  for (let i = 0; i < MAC_BYTES; i++) {
    into[to + i] = slab[at + MAC_BYTES + i]
    into[to + MAC_BYTES + i] = slab[at + i]
  }
  write16(into, to + TYPE_AT, TYPE_IPV4)
  const original = at + ETHERNET_HEADER_BYTES
  const packet = to + ETHERNET_HEADER_BYTES
  const quoted = ipv4HeaderBytes(slab, original) + 8
  const icmp = packet + IPV4_HEADER_BYTES
  const total = IPV4_HEADER_BYTES + 8 + quoted
  writeIpv4Header(into, packet, total, PROTOCOL_ICMP, ipv4Destination(slab, original), ipv4Source(slab, original))
  sealIpv4Header(into, packet, IPV4_HEADER_BYTES)
  into[icmp] = ICMP_TYPE.unreachable
  into[icmp + 1] = FRAGMENTATION_NEEDED
  write32(into, icmp + 4, mtuBytes)
  for (let i = 0; i < quoted; i++) into[icmp + 8 + i] = slab[original + i]
  sealIcmp(into, icmp, 8 + quoted)
  return ETHERNET_HEADER_BYTES + total
}

/** Code of ICMP type 3. */
const FRAGMENTATION_NEEDED = 4
