/** Ethernet frames with UDP in IPv4 for tests of links. */

import { write16 } from "@horizon/core/wire/big-endian.ts"
import { internetChecksum, ipv4HeaderBytes, sealIpv4Header, writeIpv4Header } from "@horizon/core/wire/ipv4.ts"

export const SOURCE = 0x0a000001
export const DESTINATION = 0x0a000002
const PROTOCOL_UDP = 17

/** A frame whose IP packet has so many bytes; the last four of its payload are a number. */
export const frame = (packetBytes: number, number: number, ecn = 0): Uint8Array => {
  const bytes = new Uint8Array(14 + packetBytes)
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1])
  write16(bytes, 12, 0x0800)
  writeIpv4Header(bytes, 14, packetBytes, PROTOCOL_UDP, SOURCE, DESTINATION)
  bytes[15] = ecn
  sealIpv4Header(bytes, 14, 20)
  new DataView(bytes.buffer).setUint32(bytes.length - 4, number)
  return bytes
}

export const numberOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4)

/** A question of the address resolution protocol, which is no IPv4. */
export const arp = (): Uint8Array => {
  const bytes = new Uint8Array(42)
  write16(bytes, 12, 0x0806)
  return bytes
}

/** Whether the checksum of the frame's IP header is right. */
export const headerIsSound = (slab: Uint8Array, at: number): boolean =>
  internetChecksum(slab, at + 14, ipv4HeaderBytes(slab, at + 14)) === 0
