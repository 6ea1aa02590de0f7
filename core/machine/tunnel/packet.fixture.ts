/** IPv4 packets for the tests of the tunnel's machines. */

import { internetChecksum, write16, write32, writeEchoRequest } from "./ipv4.ts"

/** A UDP-numbered IPv4 packet with `payload` behind a plain header. */
export const ipv4Packet = (source: number, destination: number, payload: Uint8Array, protocol = 17): Uint8Array => {
  const bytes = new Uint8Array(20 + payload.length)
  bytes[0] = 0x45
  write16(bytes, 2, bytes.length)
  bytes[8] = 64
  bytes[9] = protocol
  write32(bytes, 12, source)
  write32(bytes, 16, destination)
  write16(bytes, 10, internetChecksum(bytes, 0, 20))
  bytes.set(payload, 20)
  return bytes
}

/** An ICMP echo request with `data`. */
export const pingPacket = (source: number, destination: number, sequence: number, data: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(28 + data.length)
  bytes.set(data, 28)
  writeEchoRequest(bytes, 0, source, destination, 7, sequence, data.length)
  return bytes
}
