/**
 * INPUT: what the player does, one entry for each of its ticks, the last few again in every message, so that a lost datagram
 * loses no input. It also acknowledges snapshots and says what the player saw.
 *
 *     offset  size  field
 *          0     1  type
 *          1     1  count, 1 to 16: inputs in this message
 *          2     4  sequence u32 of the newest input, from 1: the player's tick; the others are the ones before it
 *          6     4  ackOrdinal u32: newest snapshot taken over, 0 = none
 *         10     4  ackMask u32: bit i = snapshot ackOrdinal-1-i was taken over too
 *         14     4  viewHash u32: of the player's view as snapshot ackOrdinal left it
 *         18  2·n   newest first: direction (1/256 turn, counter-clockwise from +x) ‖ speed (percent of the greatest)
 *
 * The speed byte can claim up to 255 %: the server decides what that is worth.
 */

import { getU32, putU32 } from "./little-endian.ts"
import { GAME_DROP, MESSAGE } from "./message.ts"

/** Most inputs in one message. */
export const INPUTS_MAX = 16
export const INPUT_HEADER_BYTES = 18

/** Fields of an INPUT; one object is reused. */
export class Input {
  sequence = 0
  ackOrdinal = 0
  ackMask = 0
  viewHash = 0
  count = 0
  /** Newest first. */
  readonly direction = new Uint8Array(INPUTS_MAX)
  readonly speed = new Uint8Array(INPUTS_MAX)
}

/** Writes an INPUT; its length. */
export const writeInput = (input: Input, bytes: Uint8Array, at: number): number => {
  bytes[at] = MESSAGE.input
  bytes[at + 1] = input.count
  putU32(bytes, at + 2, input.sequence)
  putU32(bytes, at + 6, input.ackOrdinal)
  putU32(bytes, at + 10, input.ackMask)
  putU32(bytes, at + 14, input.viewHash)
  let to = at + INPUT_HEADER_BYTES
  for (let i = 0; i < input.count; i++) {
    bytes[to++] = input.direction[i]
    bytes[to++] = input.speed[i]
  }
  return to - at
}

/** Reads an INPUT into `input`; a GAME_DROP code. The fields hold only if it is 0. */
export const readInput = (input: Input, bytes: Uint8Array, at: number, length: number): number => {
  if (length < INPUT_HEADER_BYTES || bytes[at] !== MESSAGE.input) return GAME_DROP.malformed
  const count = bytes[at + 1]
  const sequence = getU32(bytes, at + 2)
  if (count === 0 || count > INPUTS_MAX || length !== INPUT_HEADER_BYTES + 2 * count) return GAME_DROP.malformed
  if (sequence < count) return GAME_DROP.malformed
  input.count = count
  input.sequence = sequence
  input.ackOrdinal = getU32(bytes, at + 6)
  input.ackMask = getU32(bytes, at + 10)
  input.viewHash = getU32(bytes, at + 14)
  let from = at + INPUT_HEADER_BYTES
  for (let i = 0; i < count; i++) {
    input.direction[i] = bytes[from++]
    input.speed[i] = bytes[from++]
  }
  return GAME_DROP.none
}
