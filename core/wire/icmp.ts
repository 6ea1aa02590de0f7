/**
 * ICMP (RFC 792) over IPv4, in place: echo, which proves that a tunnel works, and the error that says that a host cannot be
 * reached. Nothing here allocates.
 */

import { read16, write16, write32 } from "./big-endian.ts"
import {
  IPV4,
  IPV4_HEADER_BYTES,
  internetChecksum,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  isFragment,
  isLaterFragment,
  sealIpv4Header,
  TTL_DEFAULT,
  writeIpv4Header
} from "./ipv4.ts"

/** IP protocol number of ICMP. */
export const PROTOCOL_ICMP = 1
/** The fixed part of every message, in bytes. */
export const ICMP_HEADER_BYTES = 8
/** Bytes of an echo message around its data: IPv4 header and ICMP header. */
export const ECHO_OVERHEAD_BYTES = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES
/** Longest error that `writeHostUnreachable` writes: the headers, and the offender's longest header with eight bytes. */
export const UNREACHABLE_BYTES_MAX = ECHO_OVERHEAD_BYTES + 60 + 8

/** Types of messages. */
export const ICMP_TYPE = { echoReply: 0, unreachable: 3, echoRequest: 8 } as const

/** Sets the checksum of the message of `length` bytes at `icmp`. */
export const sealIcmp = (bytes: Uint8Array, icmp: number, length: number): void => {
  write16(bytes, icmp + 2, 0)
  write16(bytes, icmp + 2, internetChecksum(bytes, icmp, length))
}

/** Whether the (sound) packet at `at` is a whole ICMP message of `type` whose ICMP checksum is right. */
const isIcmp = (bytes: Uint8Array, at: number, length: number, type: number): boolean => {
  const headerBytes = ipv4HeaderBytes(bytes, at)
  if (ipv4Protocol(bytes, at) !== PROTOCOL_ICMP || length < headerBytes + ICMP_HEADER_BYTES) return false
  if (isFragment(bytes, at)) return false
  return bytes[at + headerBytes] === type && internetChecksum(bytes, at + headerBytes, length - headerBytes) === 0
}

/** Whether the (sound) packet at `at` is an ICMP echo request with a right checksum, not a fragment. */
export const isEchoRequest = (bytes: Uint8Array, at: number, length: number): boolean =>
  isIcmp(bytes, at, length, ICMP_TYPE.echoRequest)

/** Whether the (sound) packet at `at` is an ICMP echo reply with a right checksum, not a fragment. */
export const isEchoReply = (bytes: Uint8Array, at: number, length: number): boolean =>
  isIcmp(bytes, at, length, ICMP_TYPE.echoReply)

/** Turns the echo request at `at` into its reply, in place (RFC 1122 §3.2.2.6: the data comes back unchanged). */
export const echoReplyInPlace = (bytes: Uint8Array, at: number, length: number): void => {
  const headerBytes = ipv4HeaderBytes(bytes, at)
  const source = ipv4Source(bytes, at)
  write32(bytes, at + IPV4.source, ipv4Destination(bytes, at))
  write32(bytes, at + IPV4.destination, source)
  bytes[at + IPV4.ttl] = TTL_DEFAULT
  sealIpv4Header(bytes, at, headerBytes)
  bytes[at + headerBytes] = ICMP_TYPE.echoReply
  sealIcmp(bytes, at + headerBytes, length - headerBytes)
}

/**
 * Writes an echo request at `at` around data that the caller has already put at `at + ECHO_OVERHEAD_BYTES`; returns the
 * length of the packet.
 */
export const writeEchoRequest = (
  bytes: Uint8Array,
  at: number,
  source: number,
  destination: number,
  identifier: number,
  sequence: number,
  dataBytes: number
): number => {
  const length = ECHO_OVERHEAD_BYTES + dataBytes
  writeIpv4Header(bytes, at, length, PROTOCOL_ICMP, source, destination)
  sealIpv4Header(bytes, at, IPV4_HEADER_BYTES)
  const icmp = at + IPV4_HEADER_BYTES
  bytes[icmp] = ICMP_TYPE.echoRequest
  bytes[icmp + 1] = 0
  write16(bytes, icmp + 4, identifier)
  write16(bytes, icmp + 6, sequence)
  sealIcmp(bytes, icmp, length - IPV4_HEADER_BYTES)
  return length
}

/** Identifier of the echo message at `at`. */
export const echoIdentifier = (bytes: Uint8Array, at: number): number =>
  read16(bytes, at + ipv4HeaderBytes(bytes, at) + 4)

/** Sequence of the echo message at `at`. */
export const echoSequence = (bytes: Uint8Array, at: number): number =>
  read16(bytes, at + ipv4HeaderBytes(bytes, at) + 6)

/** Where the data of the echo message at `at` begins. */
export const echoDataAt = (bytes: Uint8Array, at: number): number => at + ipv4HeaderBytes(bytes, at) + ICMP_HEADER_BYTES

/** Whether an ICMP error may answer the (sound) packet at `at` (RFC 1122 §3.2.2): no ICMP error, no later fragment. */
export const mayAnswerWithError = (bytes: Uint8Array, at: number, length: number): boolean => {
  if (isLaterFragment(bytes, at)) return false
  if (ipv4Protocol(bytes, at) !== PROTOCOL_ICMP) return true
  const headerBytes = ipv4HeaderBytes(bytes, at)
  if (length <= headerBytes) return false
  const type = bytes[at + headerBytes]
  return type === ICMP_TYPE.echoRequest || type === ICMP_TYPE.echoReply
}

/**
 * Writes into `target` at 0 the "host unreachable" (RFC 792, type 3 code 1) of `from` for the packet at `at`; returns its
 * length, at most UNREACHABLE_BYTES_MAX.
 */
export const writeHostUnreachable = (
  target: Uint8Array,
  from: number,
  bytes: Uint8Array,
  at: number,
  length: number
): number => {
  const quotedBytes = Math.min(length, ipv4HeaderBytes(bytes, at) + 8)
  const total = ECHO_OVERHEAD_BYTES + quotedBytes
  writeIpv4Header(target, 0, total, PROTOCOL_ICMP, from, ipv4Source(bytes, at))
  sealIpv4Header(target, 0, IPV4_HEADER_BYTES)
  target[IPV4_HEADER_BYTES] = ICMP_TYPE.unreachable
  target[IPV4_HEADER_BYTES + 1] = 1
  write32(target, IPV4_HEADER_BYTES + 4, 0)
  for (let i = 0; i < quotedBytes; i++) target[ECHO_OVERHEAD_BYTES + i] = bytes[at + i]
  sealIcmp(target, IPV4_HEADER_BYTES, total - IPV4_HEADER_BYTES)
  return total
}
