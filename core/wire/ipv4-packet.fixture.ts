/** IPv4 packets for tests. */

import { writeEchoRequest } from "./icmp.ts"
import { IPV4_HEADER_BYTES, sealIpv4Header, writeIpv4Header } from "./ipv4.ts"

/** A UDP-numbered IPv4 packet with `payload` behind a plain header. */
export const ipv4Packet = (source: number, destination: number, payload: Uint8Array, protocol = 17): Uint8Array => {
  const bytes = new Uint8Array(20 + payload.length)
  writeIpv4Header(bytes, 0, bytes.length, protocol, source, destination)
  sealIpv4Header(bytes, 0, IPV4_HEADER_BYTES)
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
