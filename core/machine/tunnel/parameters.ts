/**
 * What a gateway tells a new member in READY: its address in the tunnel and how to use it.
 *
 * Layout, 16 bytes: version u8 (1) | prefix length u8 | MTU u16 LE | member address, 4 bytes in network order |
 * gateway address, 4 bytes in network order | lease time u32 LE, seconds. There is one encoding of each value.
 */

import { read32, write32 } from "../../wire/big-endian.ts"
import { broadcastAddress, PREFIX_LENGTH, prefixIndex, prefixOf } from "./prefix.ts"

/** Length of the encoding. */
export const PARAMETERS_BYTES = 16
/** Bounds of the MTU of the tunnel: RFC 791's least datagram that every host takes, and a jumbo frame. */
export const TUNNEL_MTU = { minimum: 576, maximum: 9000 } as const

const VERSION = 1

export interface TunnelParameters {
  /** The member's address. */
  readonly address: number
  readonly prefixLength: number
  /** The gateway's own address in the tunnel: it answers ICMP echo. */
  readonly gateway: number
  /** Largest IP packet that the tunnel carries. */
  readonly mtuBytes: number
  /** How long the address is kept for the member after its session has ended. */
  readonly leaseSeconds: number
}

export const encodeParameters = (parameters: TunnelParameters): Uint8Array => {
  const bytes = new Uint8Array(PARAMETERS_BYTES)
  const view = new DataView(bytes.buffer)
  bytes[0] = VERSION
  bytes[1] = parameters.prefixLength
  view.setUint16(2, parameters.mtuBytes, true)
  write32(bytes, 4, parameters.address)
  write32(bytes, 8, parameters.gateway)
  view.setUint32(12, parameters.leaseSeconds, true)
  return bytes
}

/** Decodes and checks; `undefined` if the bytes are not the encoding of usable parameters. */
export const decodeParameters = (bytes: Uint8Array): TunnelParameters | undefined => {
  if (bytes.length !== PARAMETERS_BYTES || bytes[0] !== VERSION) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const prefixLength = bytes[1]
  const mtuBytes = view.getUint16(2, true)
  const address = read32(bytes, 4)
  const gateway = read32(bytes, 8)
  if (prefixLength < PREFIX_LENGTH.minimum || prefixLength > PREFIX_LENGTH.maximum) return undefined
  if (mtuBytes < TUNNEL_MTU.minimum || mtuBytes > TUNNEL_MTU.maximum) return undefined
  if (address === gateway || !isHost(address, prefixLength) || !isHost(gateway, prefixLength)) return undefined
  if (prefixIndex(prefixOf(address, prefixLength), gateway) < 0) return undefined
  return { address, prefixLength, gateway, mtuBytes, leaseSeconds: view.getUint32(12, true) }
}

const isHost = (address: number, prefixLength: number): boolean => {
  const prefix = prefixOf(address, prefixLength)
  return address !== prefix.network && address !== broadcastAddress(prefix)
}
