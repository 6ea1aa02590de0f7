/**
 * SNAPSHOT: the world as one player may see it at one tick.
 *
 *     offset  size  field
 *          0     1  type
 *          1     1  epoch: when it differs from the last one, the player forgets its view before it takes this over
 *          2     4  tick u32
 *          6     4  ordinal u32 of this player's snapshots, from 1
 *         10     4  inputSequence u32: newest input dealt with, 0 = none
 *         14     4  inputMask u32: bit 0 = that input moved the player; bit i = input inputSequence-i did
 *         18     4  dwellUs u32: from the arrival of input inputSequence to the sending of this snapshot
 *         22     4  gridX i32: the player's own place, exact together with the rest
 *         26     4  gridY i32
 *         30     2  restX i16, micrometres from the grid point
 *         32     2  restY i16
 *         34     1  direction, as in INPUT
 *         35     1  speed, percent, 0 to 127
 *         36     2  visible u16: entities that the player may see now, whether or not they are in this snapshot
 *         38     1  count n: entities in this snapshot
 *         39     1  leaves m: entities to forget
 *         40  8·n   id u16 ‖ x i16 ‖ y i16 (grid steps from the centre of the player's quadrant) ‖ direction ‖
 *                   speed (7 bits), bit 7 = fresh: another entity than the one that had this id before
 *     40+8·n  2·m   id u16
 */

import { isExact } from "./join.ts"
import { getI16, getI32, getU16, getU32, putU16, putU32 } from "./little-endian.ts"
import { GAME_DROP, MESSAGE, MESSAGE_BYTES_MAX } from "./message.ts"
import { fromGrid, quadrantCentre, quadrantOf, toGrid } from "./quantise.ts"

export const SNAPSHOT_HEADER_BYTES = 40
const ENTITY_BYTES = 8
const LEAVE_BYTES = 2

/** Most entities that fit into one snapshot with nothing else in it. */
export const SNAPSHOT_ENTITIES_MAX = Math.floor((MESSAGE_BYTES_MAX - SNAPSHOT_HEADER_BYTES) / ENTITY_BYTES)
/** Most leaves in one snapshot; the others wait for the next. */
export const SNAPSHOT_LEAVES_MAX = 64
/** Largest speed that a snapshot can show, in percent. */
export const SNAPSHOT_SPEED_MAX = 127

/** Entities that fit beside `leaves` leaves. */
export const entityRoom = (leaves: number): number =>
  Math.floor((MESSAGE_BYTES_MAX - SNAPSHOT_HEADER_BYTES - LEAVE_BYTES * leaves) / ENTITY_BYTES)

/** Fields of a SNAPSHOT as parallel arrays; one object is reused. */
export class Snapshot {
  epoch = 0
  tick = 0
  ordinal = 0
  inputSequence = 0
  inputMask = 0
  dwellUs = 0
  /** The player's own exact position. */
  xUm = 0
  yUm = 0
  direction = 0
  speed = 0
  visible = 0
  count = 0
  readonly id = new Uint16Array(SNAPSHOT_ENTITIES_MAX)
  /** Grid points in the world, not relative to a quadrant. */
  readonly gridX = new Int32Array(SNAPSHOT_ENTITIES_MAX)
  readonly gridY = new Int32Array(SNAPSHOT_ENTITIES_MAX)
  readonly entityDirection = new Uint8Array(SNAPSHOT_ENTITIES_MAX)
  readonly entitySpeed = new Uint8Array(SNAPSHOT_ENTITIES_MAX)
  readonly fresh = new Uint8Array(SNAPSHOT_ENTITIES_MAX)
  leaves = 0
  readonly leave = new Uint16Array(SNAPSHOT_LEAVES_MAX)
}

/** Writes a SNAPSHOT, whose entities lie within RELATIVE_STEPS_MAX of the player on each axis; its length. */
export const writeSnapshot = (snapshot: Snapshot, bytes: Uint8Array, at: number): number => {
  const ownX = toGrid(snapshot.xUm)
  const ownY = toGrid(snapshot.yUm)
  bytes[at] = MESSAGE.snapshot
  bytes[at + 1] = snapshot.epoch
  putU32(bytes, at + 2, snapshot.tick)
  putU32(bytes, at + 6, snapshot.ordinal)
  putU32(bytes, at + 10, snapshot.inputSequence)
  putU32(bytes, at + 14, snapshot.inputMask)
  putU32(bytes, at + 18, snapshot.dwellUs)
  putU32(bytes, at + 22, ownX)
  putU32(bytes, at + 26, ownY)
  putU16(bytes, at + 30, snapshot.xUm - fromGrid(ownX))
  putU16(bytes, at + 32, snapshot.yUm - fromGrid(ownY))
  bytes[at + 34] = snapshot.direction
  bytes[at + 35] = snapshot.speed
  putU16(bytes, at + 36, snapshot.visible)
  bytes[at + 38] = snapshot.count
  bytes[at + 39] = snapshot.leaves
  const centreX = quadrantCentre(quadrantOf(ownX))
  const centreY = quadrantCentre(quadrantOf(ownY))
  let to = at + SNAPSHOT_HEADER_BYTES
  for (let i = 0; i < snapshot.count; i++, to += ENTITY_BYTES) {
    putU16(bytes, to, snapshot.id[i])
    putU16(bytes, to + 2, snapshot.gridX[i] - centreX)
    putU16(bytes, to + 4, snapshot.gridY[i] - centreY)
    bytes[to + 6] = snapshot.entityDirection[i]
    bytes[to + 7] = snapshot.entitySpeed[i] | (snapshot.fresh[i] << 7)
  }
  for (let i = 0; i < snapshot.leaves; i++, to += LEAVE_BYTES) putU16(bytes, to, snapshot.leave[i])
  return to - at
}

/** Reads a SNAPSHOT into `snapshot`; a GAME_DROP code. The fields hold only if it is 0. */
export const readSnapshot = (snapshot: Snapshot, bytes: Uint8Array, at: number, length: number): number => {
  if (length < SNAPSHOT_HEADER_BYTES || bytes[at] !== MESSAGE.snapshot) return GAME_DROP.malformed
  const count = bytes[at + 38]
  const leaves = bytes[at + 39]
  if (count > SNAPSHOT_ENTITIES_MAX || leaves > SNAPSHOT_LEAVES_MAX) return GAME_DROP.malformed
  if (length !== SNAPSHOT_HEADER_BYTES + ENTITY_BYTES * count + LEAVE_BYTES * leaves) return GAME_DROP.malformed
  const ownX = getI32(bytes, at + 22)
  const ownY = getI32(bytes, at + 26)
  const restX = getI16(bytes, at + 30)
  const restY = getI16(bytes, at + 32)
  if (!isExact(ownX, restX) || !isExact(ownY, restY) || bytes[at + 35] > SNAPSHOT_SPEED_MAX) return GAME_DROP.malformed
  snapshot.epoch = bytes[at + 1]
  snapshot.tick = getU32(bytes, at + 2)
  snapshot.ordinal = getU32(bytes, at + 6)
  snapshot.inputSequence = getU32(bytes, at + 10)
  snapshot.inputMask = getU32(bytes, at + 14)
  snapshot.dwellUs = getU32(bytes, at + 18)
  snapshot.xUm = fromGrid(ownX) + restX
  snapshot.yUm = fromGrid(ownY) + restY
  snapshot.direction = bytes[at + 34]
  snapshot.speed = bytes[at + 35]
  snapshot.visible = getU16(bytes, at + 36)
  snapshot.count = count
  snapshot.leaves = leaves
  const centreX = quadrantCentre(quadrantOf(ownX))
  const centreY = quadrantCentre(quadrantOf(ownY))
  let from = at + SNAPSHOT_HEADER_BYTES
  for (let i = 0; i < count; i++, from += ENTITY_BYTES) {
    snapshot.id[i] = getU16(bytes, from)
    snapshot.gridX[i] = centreX + getI16(bytes, from + 2)
    snapshot.gridY[i] = centreY + getI16(bytes, from + 4)
    snapshot.entityDirection[i] = bytes[from + 6]
    snapshot.entitySpeed[i] = bytes[from + 7] & SNAPSHOT_SPEED_MAX
    snapshot.fresh[i] = bytes[from + 7] >>> 7
  }
  for (let i = 0; i < leaves; i++, from += LEAVE_BYTES) snapshot.leave[i] = getU16(bytes, from)
  return GAME_DROP.none
}
