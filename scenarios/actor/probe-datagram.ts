/** The datagrams by which a link is measured: which stream, which number in it, and when it left, in world time. */

import { read32, write32 } from "@horizon/core/wire/big-endian.ts"

/** magic u32, stream u32, sequence u32, time of sending u64 in nanoseconds of world time; zeros up to the wanted length. Big-endian. */
export const PROBE_BYTES_MIN = 20
const MAGIC = 0x485a4c50
const STREAM_AT = 4
const SEQUENCE_AT = 8
const SENT_AT = 12
const TWO_32 = 0x1_0000_0000

/** Writes a datagram of `length` bytes. */
export const writeProbe = (
  into: Uint8Array,
  at: number,
  length: number,
  stream: number,
  sequence: number,
  sentNs: number
): void => {
  write32(into, at, MAGIC)
  write32(into, at + STREAM_AT, stream)
  write32(into, at + SEQUENCE_AT, sequence)
  write32(into, at + SENT_AT, Math.floor(sentNs / TWO_32))
  write32(into, at + SENT_AT + 4, sentNs >>> 0)
  into.fill(0, at + PROBE_BYTES_MIN, at + length)
}

/** Whether these bytes are a datagram of the stream. */
export const isProbe = (bytes: Uint8Array, at: number, length: number, stream: number): boolean =>
  length >= PROBE_BYTES_MIN && read32(bytes, at) === MAGIC && read32(bytes, at + STREAM_AT) === stream

export const probeSequence = (bytes: Uint8Array, at: number): number => read32(bytes, at + SEQUENCE_AT)

export const probeSentNs = (bytes: Uint8Array, at: number): number =>
  read32(bytes, at + SENT_AT) * TWO_32 + read32(bytes, at + SENT_AT + 4)
