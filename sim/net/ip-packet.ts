/**
 * IPv4 and UDP headers (RFC 791, 768) as a host treats them: checking what came in and writing what goes out, in place. All
 * numbers are big-endian.
 */

import { read16, write16 } from "@horizon/core/wire/big-endian.ts"
import {
  DONT_FRAGMENT,
  IPV4,
  IPV4_HEADER_BYTES,
  internetChecksum,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Source,
  ipv4TotalBytes,
  isFragment,
  sealIpv4Header,
  writeIpv4Header
} from "@horizon/core/wire/ipv4.ts"
import { PROTOCOL } from "./packet.ts"

export const UDP_HEADER_BYTES = 8

/** Why an IP packet was thrown away; 0 is none. `IP_DROP_NAMES` has the words. */
export const IP_DROP = {
  none: 0,
  short: 1,
  version: 2,
  headerChecksum: 3,
  fragment: 4,
  notForUs: 5,
  badSource: 6,
  protocol: 7,
  transportShort: 8,
  transportChecksum: 9,
  noListener: 10,
  full: 11
} as const

export const IP_DROP_NAMES: ReadonlyArray<string> = [
  "none",
  "short",
  "version",
  "header-checksum",
  "fragment",
  "not-for-us",
  "bad-source",
  "protocol",
  "transport-short",
  "transport-checksum",
  "no-listener",
  "full"
]

/** A drop code for the IPv4 header at `at` of a packet of `length` bytes: 0 if header and lengths are right. */
export const checkIpHeader = (bytes: Uint8Array, at: number, length: number): number => {
  if (length < IPV4_HEADER_BYTES) return IP_DROP.short
  if (bytes[at] >>> 4 !== 4) return IP_DROP.version
  const header = ipv4HeaderBytes(bytes, at)
  const total = ipv4TotalBytes(bytes, at)
  // Bytes behind the total length are padding of the link, and ignored.
  if (header < IPV4_HEADER_BYTES || total < header || total > length) return IP_DROP.short
  if (internetChecksum(bytes, at, header) !== 0) return IP_DROP.headerChecksum
  return isFragment(bytes, at) ? IP_DROP.fragment : IP_DROP.none
}

export const ipEcn = (bytes: Uint8Array, at: number): number => bytes[at + IPV4.tos] & 3

/** What goes into an IPv4 header besides lengths and checksum. */
export interface IpFields {
  source: number
  destination: number
  protocol: number
  ecn: number
  identification: number
}

/** Writes a header of 20 bytes for `payloadBytes` of payload: not to be fragmented, as Linux sends it. */
export const writeIpHeader = (bytes: Uint8Array, at: number, fields: IpFields, payloadBytes: number): void => {
  writeIpv4Header(bytes, at, IPV4_HEADER_BYTES + payloadBytes, fields.protocol, fields.source, fields.destination)
  bytes[at + IPV4.tos] = fields.ecn
  write16(bytes, at + IPV4.identification, fields.identification)
  write16(bytes, at + IPV4.fragment, DONT_FRAGMENT)
  sealIpv4Header(bytes, at, IPV4_HEADER_BYTES)
}

/** A drop code for the UDP datagram in a packet whose IP header is right. */
export const checkUdp = (bytes: Uint8Array, at: number): number => {
  const udp = at + ipv4HeaderBytes(bytes, at)
  const room = at + ipv4TotalBytes(bytes, at) - udp
  if (room < UDP_HEADER_BYTES) return IP_DROP.transportShort
  const length = read16(bytes, udp + 4)
  if (length < UDP_HEADER_BYTES || length > room) return IP_DROP.transportShort
  // A sum of 0 means that the sender made none.
  if (read16(bytes, udp + 6) === 0) return IP_DROP.none
  const sum = internetChecksum(
    bytes,
    udp,
    length,
    pseudoHeader(ipv4Source(bytes, at), ipv4Destination(bytes, at), length)
  )
  return sum === 0 ? IP_DROP.none : IP_DROP.transportChecksum
}

export const udpSourcePort = (bytes: Uint8Array, udp: number): number => read16(bytes, udp)
export const udpDestinationPort = (bytes: Uint8Array, udp: number): number => read16(bytes, udp + 2)
export const udpDataBytes = (bytes: Uint8Array, udp: number): number => read16(bytes, udp + 4) - UDP_HEADER_BYTES

/** Writes the UDP header at `udp` for the data behind it. */
export const writeUdpHeader = (
  bytes: Uint8Array,
  udp: number,
  fields: IpFields,
  sourcePort: number,
  destinationPort: number,
  dataBytes: number
): void => {
  const length = UDP_HEADER_BYTES + dataBytes
  write16(bytes, udp, sourcePort)
  write16(bytes, udp + 2, destinationPort)
  write16(bytes, udp + 4, length)
  write16(bytes, udp + 6, 0)
  const sum = internetChecksum(bytes, udp, length, pseudoHeader(fields.source, fields.destination, length))
  // 0 would say that there is no checksum; its other form in one's complement is all ones.
  write16(bytes, udp + 6, sum === 0 ? 0xffff : sum)
}

const pseudoHeader = (source: number, destination: number, length: number): number =>
  (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + PROTOCOL.udp + length
