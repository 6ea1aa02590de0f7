/**
 * The segment of the simulator's byte stream: what TCP's header holds and the model needs, in front of the data.
 *
 * The pool already counts 40 bytes of IPv4 and TCP header for each packet; the 12 bytes here stand where TCP carries its timestamp
 * option, so a segment is as long on the wire as Linux makes it. All numbers are big-endian.
 *
 *     0  sequence        of the first byte, modulo 2^32; SYN and FIN count as one byte each (RFC 9293 §3.4)
 *     4  acknowledgement next byte that the sender of this segment expects, if ACK is set
 *     8  flags
 *     9  zero
 *    10  window          bytes that may be sent beyond the acknowledgement, in units of 64
 */

import { read16, read32, write16, write32 } from "@horizon/core/wire/big-endian.ts"
import type { PacketPool } from "./packet.ts"

export const SEGMENT_HEADER_BYTES = 12

/** Data bytes of a full segment. */
export const SEGMENT_DATA_BYTES = 1400

/** Headers that a segment has on the wire besides its data: IPv4, TCP, and the 12 bytes above. */
export const SEGMENT_OVERHEAD_BYTES = 40 + SEGMENT_HEADER_BYTES

/** `probe` asks for an answer although there is nothing new: the keep-alive. */
export const SEGMENT = { syn: 1, ack: 2, fin: 4, reset: 8, probe: 16 } as const

const WINDOW_UNIT = 64

/** Writes the header of packet `id`. */
export const writeSegment = (
  pool: PacketPool,
  id: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  windowBytes: number
): void => {
  const { slab } = pool
  const at = pool.offset(id)
  write32(slab, at, sequence)
  write32(slab, at + 4, acknowledgement)
  slab[at + 8] = flags
  slab[at + 9] = 0
  const window = Math.min(0xffff, Math.floor(windowBytes / WINDOW_UNIT))
  write16(slab, at + 10, window)
}

export const segmentSequence = (pool: PacketPool, id: number): number => read32(pool.slab, pool.offset(id))

export const segmentAcknowledgement = (pool: PacketPool, id: number): number => read32(pool.slab, pool.offset(id) + 4)

export const segmentFlags = (pool: PacketPool, id: number): number => pool.slab[pool.offset(id) + 8]

export const segmentWindowBytes = (pool: PacketPool, id: number): number =>
  read16(pool.slab, pool.offset(id) + 10) * WINDOW_UNIT
