/**
 * IPv4, UDP and ICMP echo headers as bytes (RFC 791, 768, 792): checking what came in and writing what goes out, in place. All
 * numbers are big-endian.
 */

import { PROTOCOL } from "./packet.ts"

export const IP_HEADER_BYTES = 20
export const UDP_HEADER_BYTES = 8
/** ICMP's fixed part. */
export const ICMP_HEADER_BYTES = 8

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
  if (length < IP_HEADER_BYTES) return IP_DROP.short
  if (bytes[at] >>> 4 !== 4) return IP_DROP.version
  const header = ipHeaderBytes(bytes, at)
  const total = get16(bytes, at + 2)
  // Bytes behind the total length are padding of the link, and ignored.
  if (header < IP_HEADER_BYTES || total < header || total > length) return IP_DROP.short
  if (checksum(bytes, at, header, 0) !== 0) return IP_DROP.headerChecksum
  // More fragments, or an offset.
  return (get16(bytes, at + 6) & 0x3fff) === 0 ? IP_DROP.none : IP_DROP.fragment
}

/** Bytes of the header at `at`, options included. */
export const ipHeaderBytes = (bytes: Uint8Array, at: number): number => (bytes[at] & 15) * 4
export const ipTotalBytes = (bytes: Uint8Array, at: number): number => get16(bytes, at + 2)
export const ipEcn = (bytes: Uint8Array, at: number): number => bytes[at + 1] & 3
export const ipProtocol = (bytes: Uint8Array, at: number): number => bytes[at + 9]
export const ipSource = (bytes: Uint8Array, at: number): number => get32(bytes, at + 12)
export const ipDestination = (bytes: Uint8Array, at: number): number => get32(bytes, at + 16)

/** What goes into an IPv4 header besides lengths and checksum. */
export interface IpFields {
  source: number
  destination: number
  protocol: number
  ecn: number
  identification: number
}

/** Writes a header of 20 bytes for `payloadBytes` of payload: time to live 64, not to be fragmented, as Linux sends it. */
export const writeIpHeader = (bytes: Uint8Array, at: number, fields: IpFields, payloadBytes: number): void => {
  bytes[at] = 0x45
  bytes[at + 1] = fields.ecn
  put16(bytes, at + 2, IP_HEADER_BYTES + payloadBytes)
  put16(bytes, at + 4, fields.identification)
  put16(bytes, at + 6, 0x4000)
  bytes[at + 8] = 64
  bytes[at + 9] = fields.protocol
  put16(bytes, at + 10, 0)
  put32(bytes, at + 12, fields.source)
  put32(bytes, at + 16, fields.destination)
  put16(bytes, at + 10, checksum(bytes, at, IP_HEADER_BYTES, 0))
}

/** A drop code for the UDP datagram in a packet whose IP header is right. */
export const checkUdp = (bytes: Uint8Array, at: number): number => {
  const udp = at + ipHeaderBytes(bytes, at)
  const room = at + ipTotalBytes(bytes, at) - udp
  if (room < UDP_HEADER_BYTES) return IP_DROP.transportShort
  const length = get16(bytes, udp + 4)
  if (length < UDP_HEADER_BYTES || length > room) return IP_DROP.transportShort
  // A sum of 0 means that the sender made none.
  if (get16(bytes, udp + 6) === 0) return IP_DROP.none
  const sum = checksum(bytes, udp, length, pseudoHeader(ipSource(bytes, at), ipDestination(bytes, at), length))
  return sum === 0 ? IP_DROP.none : IP_DROP.transportChecksum
}

export const udpSourcePort = (bytes: Uint8Array, udp: number): number => get16(bytes, udp)
export const udpDestinationPort = (bytes: Uint8Array, udp: number): number => get16(bytes, udp + 2)
export const udpDataBytes = (bytes: Uint8Array, udp: number): number => get16(bytes, udp + 4) - UDP_HEADER_BYTES

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
  put16(bytes, udp, sourcePort)
  put16(bytes, udp + 2, destinationPort)
  put16(bytes, udp + 4, length)
  put16(bytes, udp + 6, 0)
  const sum = checksum(bytes, udp, length, pseudoHeader(fields.source, fields.destination, length))
  // 0 would say that there is no checksum; its other form in one's complement is all ones.
  put16(bytes, udp + 6, sum === 0 ? 0xffff : sum)
}

/** Sets the checksum of the ICMP message of `length` bytes at `icmp`. */
export const sealIcmp = (bytes: Uint8Array, icmp: number, length: number): void => {
  put16(bytes, icmp + 2, 0)
  put16(bytes, icmp + 2, checksum(bytes, icmp, length, 0))
}

/** Whether the checksum of the ICMP message of `length` bytes at `icmp` fits. */
export const icmpFits = (bytes: Uint8Array, icmp: number, length: number): boolean =>
  checksum(bytes, icmp, length, 0) === 0

/** Internet checksum (RFC 1071) over any number of bytes, begun with the sum `initial`. */
const checksum = (bytes: Uint8Array, at: number, length: number, initial: number): number => {
  let sum = initial
  const end = at + (length & ~1)
  for (let i = at; i < end; i += 2) sum += (bytes[i] << 8) | bytes[i + 1]
  if ((length & 1) !== 0) sum += bytes[end] << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const pseudoHeader = (source: number, destination: number, length: number): number =>
  (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + PROTOCOL.udp + length

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
