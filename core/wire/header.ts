/**
 * The 14-byte header of every datagram, in the clear and authenticated as associated data. Read and written in place.
 *
 *     offset  size  field
 *          0     4  connectionId u32: 0 before a connection; bits 0-7 worker, 8-23 slot, 24-31 generation (1 to 255, so never 0)
 *          4     1  channel in the low four bits (0 to 4); the high four are zero
 *          5     1  flags: 1 encrypted, 2 AEAD, 4 rekey, 8 fragment, 16 compressed; bits 5-6 key epoch mod 4; bit 7 zero
 *          6     8  sequence u64
 *
 * Two kinds of datagram exist. Sealed: flags have `encrypted` and `aead`, the body is ciphertext ‖ 16-byte tag under a session
 * key. Handshake (handshake.ts): flags, and sequence are zero, the channel is `control`. All integers are little-endian.
 * The sequence is two u32 throughout: BigInt costs ten times more.
 */

import { DROP, type DropCode } from "./drop.ts"

export const HEADER_BYTES = 14
/** Largest datagram before path discovery. */
export const DATAGRAM_BYTES_MAX = 1200
/** Header and tag around the payload of a sealed datagram. */
export const SEALED_OVERHEAD_BYTES = HEADER_BYTES + 16

export const FLAG = { encrypted: 1, aead: 2, rekey: 4, fragment: 8, compressed: 16 } as const
/** Flags of a sealed datagram, without the epoch. */
export const FLAGS_SEALED = FLAG.encrypted | FLAG.aead
const EPOCH_SHIFT = 5
const FLAG_RESERVED = 0x80
const FLAGS_LATER = FLAG.rekey | FLAG.fragment | FLAG.compressed
/** Largest channel; the numbers are CHANNEL of core/machine/session. */
const CHANNEL_MAX = 4
const CHANNEL_CONTROL = 3
/** A direction is closed when its sequence reaches 2^62: the high word reaches this. */
export const SEQUENCE_HIGH_END = 0x4000_0000

/** Writes a header of 14 bytes at `at`. */
export const putHeader = (
  slab: Uint8Array,
  at: number,
  connectionId: number,
  channel: number,
  flags: number,
  sequenceHigh: number,
  sequenceLow: number
): void => {
  putU32(slab, at, connectionId)
  slab[at + 4] = channel
  slab[at + 5] = flags
  putU32(slab, at + 6, sequenceLow)
  putU32(slab, at + 10, sequenceHigh)
}

/** Whether the header at `at` of a datagram of `length` bytes may be looked at further; DROP.none if so. */
export const checkHeader = (slab: Uint8Array, at: number, length: number): DropCode => {
  if (length < HEADER_BYTES) return DROP.short
  const flags = slab[at + 5]
  if (slab[at + 4] > CHANNEL_MAX || (flags & FLAG_RESERVED) !== 0) return DROP.reserved
  if ((flags & FLAGS_LATER) !== 0) return DROP.unsupported
  if ((flags & FLAGS_SEALED) === FLAGS_SEALED) return length < SEALED_OVERHEAD_BYTES ? DROP.short : DROP.none
  const zeroSequence = readU32(slab, at + 6) === 0 && readU32(slab, at + 10) === 0
  return flags === 0 && slab[at + 4] === CHANNEL_CONTROL && zeroSequence ? DROP.none : DROP.reserved
}

export const connectionIdAt = (slab: Uint8Array, at: number): number => readU32(slab, at)
export const channelAt = (slab: Uint8Array, at: number): number => slab[at + 4]
/** Whether the body is under a session key; asked after `checkHeader`. */
export const isSealed = (slab: Uint8Array, at: number): boolean => slab[at + 5] !== 0
/** Key epoch mod 4. */
export const epochAt = (slab: Uint8Array, at: number): number => (slab[at + 5] >>> EPOCH_SHIFT) & 3
export const sequenceLowAt = (slab: Uint8Array, at: number): number => readU32(slab, at + 6)
export const sequenceHighAt = (slab: Uint8Array, at: number): number => readU32(slab, at + 10)
/** Flags of a datagram that is sealed in the given key epoch. */
export const sealedFlags = (epoch: number): number => FLAGS_SEALED | ((epoch & 3) << EPOCH_SHIFT)

/** Connection id of a worker (0 to 255), slot (0 to 65535) and generation (1 to 255). */
export const connectionIdOf = (worker: number, slot: number, generation: number): number =>
  ((generation << 24) | (slot << 8) | worker) >>> 0
export const workerOf = (connectionId: number): number => connectionId & 0xff
export const slotOf = (connectionId: number): number => (connectionId >>> 8) & 0xffff
export const generationOf = (connectionId: number): number => connectionId >>> 24

/** Nonce (12 bytes) of a datagram: LE32(connectionId) ‖ LE64(sequence). */
export const putNonce = (nonce: Uint8Array, connectionId: number, sequenceHigh: number, sequenceLow: number): void => {
  putU32(nonce, 0, connectionId)
  putU32(nonce, 4, sequenceLow)
  putU32(nonce, 8, sequenceHigh)
}

export const putU32 = (slab: Uint8Array, at: number, value: number): void => {
  slab[at] = value
  slab[at + 1] = value >>> 8
  slab[at + 2] = value >>> 16
  slab[at + 3] = value >>> 24
}

export const readU32 = (slab: Uint8Array, at: number): number =>
  (slab[at] | (slab[at + 1] << 8) | (slab[at + 2] << 16) | (slab[at + 3] << 24)) >>> 0
