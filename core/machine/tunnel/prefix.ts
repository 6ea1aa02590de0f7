/** An IPv4 prefix (RFC 4632): the address range that a gateway hands out and that its members route into the tunnel. */

import { formatV4, parseV4 } from "../../wire/address.ts"

/** Shortest and longest prefix that a gateway may serve: its tables are as large as the range, and two members must fit. */
export const PREFIX_LENGTH = { minimum: 16, maximum: 29 } as const

/** A range of IPv4 addresses; `network` is an unsigned 32-bit number with zero host bits. */
export interface Prefix {
  readonly network: number
  readonly length: number
}

/** Parses `a.b.c.d/n`; `undefined` if it is malformed, has host bits, or lies outside PREFIX_LENGTH. */
export const parsePrefix = (text: string): Prefix | undefined => {
  const match = /^([0-9.]+)\/([1-9][0-9]?)$/.exec(text)
  if (match === null) return undefined
  const network = parseV4(match[1])
  const length = Number(match[2])
  if (network === undefined || length < PREFIX_LENGTH.minimum || length > PREFIX_LENGTH.maximum) return undefined
  return (network & hostMask(length)) === 0 ? { network, length } : undefined
}

/** `a.b.c.d/n` of an address on a prefix. */
export const formatCidr = (address: number, length: number): string => `${formatV4(address)}/${length}`

/** Number of addresses of the prefix, network and broadcast included. */
export const prefixSize = (prefix: Prefix): number => 2 ** (32 - prefix.length)

/** Position of `address` in the prefix, or -1 if it lies outside. */
export const prefixIndex = (prefix: Prefix, address: number): number => {
  const index = address - prefix.network
  return index >= 0 && index < prefixSize(prefix) ? index : -1
}

/** Address of the gateway itself: the first host of the prefix. */
export const gatewayAddress = (prefix: Prefix): number => prefix.network + 1

/** Directed broadcast address of the prefix (RFC 919). */
export const broadcastAddress = (prefix: Prefix): number => prefix.network + prefixSize(prefix) - 1

/** The prefix of `length` bits in which `address` lies. */
export const prefixOf = (address: number, length: number): Prefix => ({
  network: (address & ~hostMask(length)) >>> 0,
  length
})

const hostMask = (length: number): number => 2 ** (32 - length) - 1
