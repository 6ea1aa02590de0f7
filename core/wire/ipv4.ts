/**
 * The IPv4 header (RFC 791), in place: what the tunnel, the client and the simulator's hosts read and write of it. Addresses are
 * unsigned 32-bit numbers. Nothing here allocates.
 */

import { read16, read32, write16, write32 } from "./big-endian.ts"

/** Shortest header, in bytes. */
export const IPV4_HEADER_BYTES = 20

/** Offsets in the header. */
export const IPV4 = {
  /** Type of service: six bits of differentiated services (RFC 2474), two of ECN (RFC 3168). */
  tos: 1,
  length: 2,
  identification: 4,
  /** Three flags and the offset of the fragment. */
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16
} as const

/** In `IPV4.fragment`: do not fragment. */
export const DONT_FRAGMENT = 0x4000

/** The limited broadcast address, 255.255.255.255. */
export const LIMITED_BROADCAST = 0xffffffff

/** Hops that a packet may make, as Linux sends it. */
export const TTL_DEFAULT = 64

/** Internet checksum (RFC 1071) of `length` bytes and the sum `initial`: 0 over bytes that hold a right checksum. */
export const internetChecksum = (bytes: Uint8Array, at: number, length: number, initial = 0): number => {
  let sum = initial
  const even = at + (length & ~1)
  for (let i = at; i < even; i += 2) sum += (bytes[i] << 8) | bytes[i + 1]
  if (length & 1) sum += bytes[even] << 8
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** Bytes of the header at `at`, options included. */
export const ipv4HeaderBytes = (bytes: Uint8Array, at: number): number => (bytes[at] & 15) * 4

/** Bytes of the packet at `at`, as its header says. */
export const ipv4TotalBytes = (bytes: Uint8Array, at: number): number => read16(bytes, at + IPV4.length)

export const ipv4Protocol = (bytes: Uint8Array, at: number): number => bytes[at + IPV4.protocol]

/** Source address of the packet at `at`. */
export const ipv4Source = (bytes: Uint8Array, at: number): number => read32(bytes, at + IPV4.source)

/** Destination address of the packet at `at`. */
export const ipv4Destination = (bytes: Uint8Array, at: number): number => read32(bytes, at + IPV4.destination)

/** Whether the packet at `at` is a part of one: more fragments follow, or it has an offset. */
export const isFragment = (bytes: Uint8Array, at: number): boolean => (read16(bytes, at + IPV4.fragment) & 0x3fff) !== 0

/** Whether the packet at `at` is not the beginning of one: it has an offset. */
export const isLaterFragment = (bytes: Uint8Array, at: number): boolean =>
  (read16(bytes, at + IPV4.fragment) & 0x1fff) !== 0

/** Whether the address is a multicast group (RFC 5771). */
export const isMulticast = (address: number): boolean => address >>> 28 === 14

/**
 * Whether the `length` bytes at `at` are exactly one IPv4 packet with a sound header: version, header length, total length
 * and header checksum (what RFC 1812 §5.2.2 asks of a router).
 */
export const isIpv4Packet = (bytes: Uint8Array, at: number, length: number): boolean => {
  if (length < IPV4_HEADER_BYTES || bytes[at] >>> 4 !== 4) return false
  const headerBytes = ipv4HeaderBytes(bytes, at)
  if (headerBytes < IPV4_HEADER_BYTES || headerBytes > length) return false
  return ipv4TotalBytes(bytes, at) === length && internetChecksum(bytes, at, headerBytes) === 0
}

/**
 * Writes a header without options for a packet of `totalBytes`: best effort, no identification, may be fragmented, 64 hops. Set
 * what is to be otherwise, then seal it: its checksum is not there yet.
 */
export const writeIpv4Header = (
  bytes: Uint8Array,
  at: number,
  totalBytes: number,
  protocol: number,
  source: number,
  destination: number
): void => {
  bytes[at] = 0x45
  bytes[at + IPV4.tos] = 0
  write16(bytes, at + IPV4.length, totalBytes)
  write32(bytes, at + IPV4.identification, 0)
  bytes[at + IPV4.ttl] = TTL_DEFAULT
  bytes[at + IPV4.protocol] = protocol
  write32(bytes, at + IPV4.source, source)
  write32(bytes, at + IPV4.destination, destination)
}

/** Sets the checksum of the header of `headerBytes` at `at`. */
export const sealIpv4Header = (bytes: Uint8Array, at: number, headerBytes: number): void => {
  write16(bytes, at + IPV4.checksum, 0)
  write16(bytes, at + IPV4.checksum, internetChecksum(bytes, at, headerBytes))
}
