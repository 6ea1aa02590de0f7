/**
 * IPv4 (RFC 791) and ICMP (RFC 792) as the tunnel needs them: checks on bytes in place, and the three ICMP messages that
 * the gateway and the client write. Addresses are unsigned 32-bit numbers. Nothing here allocates.
 */

/** Shortest IPv4 header, in bytes. */
export const IPV4_HEADER_BYTES = 20
/** Longest ICMP error that `writeHostUnreachable` writes: a header, eight bytes, and the offender's header with eight bytes. */
export const UNREACHABLE_BYTES_MAX = 20 + 8 + 60 + 8
/** Bytes of an echo message around its data: IPv4 header and ICMP header. */
export const ECHO_OVERHEAD_BYTES = 28

const PROTOCOL_ICMP = 1
const ICMP = { echoReply: 0, unreachable: 3, echoRequest: 8 } as const
const TTL = 64

/** Offsets in an IPv4 header. */
const AT = {
  length: 2,
  identification: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16
} as const

/** Big-endian 16 bits at `at`. */
export const read16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1]

/** Big-endian 32 bits at `at`, unsigned. */
export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0

export const write16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export const write32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Internet checksum (RFC 1071) of `length` bytes: 0 over bytes that hold a right checksum. */
export const internetChecksum = (bytes: Uint8Array, at: number, length: number): number => {
  let sum = 0
  const even = at + (length & ~1)
  for (let i = at; i < even; i += 2) sum += (bytes[i] << 8) | bytes[i + 1]
  if (length & 1) sum += bytes[even] << 8
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** Source address of the packet at `at`. */
export const ipv4Source = (bytes: Uint8Array, at: number): number => read32(bytes, at + AT.source)

/** Destination address of the packet at `at`. */
export const ipv4Destination = (bytes: Uint8Array, at: number): number => read32(bytes, at + AT.destination)

/** Whether the address is a multicast group (RFC 5771). */
export const isMulticast = (address: number): boolean => address >>> 28 === 14

/** The limited broadcast address, 255.255.255.255. */
export const LIMITED_BROADCAST = 0xffffffff

/**
 * Whether the `length` bytes at `at` are exactly one IPv4 packet with a sound header: version, header length, total length
 * and header checksum (what RFC 1812 §5.2.2 asks of a router).
 */
export const isIpv4Packet = (bytes: Uint8Array, at: number, length: number): boolean => {
  if (length < IPV4_HEADER_BYTES || bytes[at] >>> 4 !== 4) return false
  const headerBytes = (bytes[at] & 15) * 4
  if (headerBytes < IPV4_HEADER_BYTES || headerBytes > length) return false
  return read16(bytes, at + AT.length) === length && internetChecksum(bytes, at, headerBytes) === 0
}

/** Whether the (sound) packet at `at` is a whole ICMP message of `type` whose ICMP checksum is right. */
const isIcmp = (bytes: Uint8Array, at: number, length: number, type: number): boolean => {
  const headerBytes = (bytes[at] & 15) * 4
  if (bytes[at + AT.protocol] !== PROTOCOL_ICMP || length < headerBytes + 8) return false
  if ((read16(bytes, at + AT.fragment) & 0x3fff) !== 0) return false
  return bytes[at + headerBytes] === type && internetChecksum(bytes, at + headerBytes, length - headerBytes) === 0
}

/** Whether the (sound) packet at `at` is an ICMP echo request with a right checksum, not a fragment. */
export const isEchoRequest = (bytes: Uint8Array, at: number, length: number): boolean =>
  isIcmp(bytes, at, length, ICMP.echoRequest)

/** Whether the (sound) packet at `at` is an ICMP echo reply with a right checksum, not a fragment. */
export const isEchoReply = (bytes: Uint8Array, at: number, length: number): boolean =>
  isIcmp(bytes, at, length, ICMP.echoReply)

/** Turns the echo request at `at` into its reply, in place (RFC 1122 §3.2.2.6: the data comes back unchanged). */
export const echoReplyInPlace = (bytes: Uint8Array, at: number, length: number): void => {
  const headerBytes = (bytes[at] & 15) * 4
  const source = ipv4Source(bytes, at)
  write32(bytes, at + AT.source, ipv4Destination(bytes, at))
  write32(bytes, at + AT.destination, source)
  bytes[at + AT.ttl] = TTL
  sealHeader(bytes, at, headerBytes)
  bytes[at + headerBytes] = ICMP.echoReply
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
  writeHeader(bytes, at, length, source, destination)
  const icmp = at + IPV4_HEADER_BYTES
  bytes[icmp] = ICMP.echoRequest
  bytes[icmp + 1] = 0
  write16(bytes, icmp + 4, identifier)
  write16(bytes, icmp + 6, sequence)
  sealIcmp(bytes, icmp, length - IPV4_HEADER_BYTES)
  return length
}

/** Identifier of the echo message at `at`. */
export const echoIdentifier = (bytes: Uint8Array, at: number): number => read16(bytes, at + (bytes[at] & 15) * 4 + 4)

/** Sequence of the echo message at `at`. */
export const echoSequence = (bytes: Uint8Array, at: number): number => read16(bytes, at + (bytes[at] & 15) * 4 + 6)

/** Where the data of the echo message at `at` begins. */
export const echoDataAt = (bytes: Uint8Array, at: number): number => at + (bytes[at] & 15) * 4 + 8

/** Whether an ICMP error may answer the (sound) packet at `at` (RFC 1122 §3.2.2): no ICMP error, no later fragment. */
export const mayAnswerWithError = (bytes: Uint8Array, at: number, length: number): boolean => {
  if ((read16(bytes, at + AT.fragment) & 0x1fff) !== 0) return false
  if (bytes[at + AT.protocol] !== PROTOCOL_ICMP) return true
  const headerBytes = (bytes[at] & 15) * 4
  if (length <= headerBytes) return false
  const type = bytes[at + headerBytes]
  return type === ICMP.echoRequest || type === ICMP.echoReply
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
  const quotedBytes = Math.min(length, (bytes[at] & 15) * 4 + 8)
  const total = ECHO_OVERHEAD_BYTES + quotedBytes
  writeHeader(target, 0, total, from, ipv4Source(bytes, at))
  target[IPV4_HEADER_BYTES] = ICMP.unreachable
  target[IPV4_HEADER_BYTES + 1] = 1
  write32(target, IPV4_HEADER_BYTES + 4, 0)
  for (let i = 0; i < quotedBytes; i++) target[ECHO_OVERHEAD_BYTES + i] = bytes[at + i]
  sealIcmp(target, IPV4_HEADER_BYTES, total - IPV4_HEADER_BYTES)
  return total
}

const writeHeader = (bytes: Uint8Array, at: number, length: number, source: number, destination: number): void => {
  bytes[at] = 0x45
  bytes[at + 1] = 0
  write16(bytes, at + AT.length, length)
  write32(bytes, at + AT.identification, 0)
  bytes[at + AT.ttl] = TTL
  bytes[at + AT.protocol] = PROTOCOL_ICMP
  write32(bytes, at + AT.source, source)
  write32(bytes, at + AT.destination, destination)
  sealHeader(bytes, at, IPV4_HEADER_BYTES)
}

const sealHeader = (bytes: Uint8Array, at: number, headerBytes: number): void => {
  write16(bytes, at + AT.checksum, 0)
  write16(bytes, at + AT.checksum, internetChecksum(bytes, at, headerBytes))
}

const sealIcmp = (bytes: Uint8Array, at: number, length: number): void => {
  write16(bytes, at + 2, 0)
  write16(bytes, at + 2, internetChecksum(bytes, at, length))
}
