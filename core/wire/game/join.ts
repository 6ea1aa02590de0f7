/**
 * JOIN, 2 bytes: type ‖ version.
 *
 * WELCOME, 36 bytes: what the player must know of the world.
 *
 *     offset  size  field
 *          0     1  type
 *          1     1  version
 *          2     2  player u16: its entity id
 *          4     2  capacity u16: entity ids are below it
 *          6     4  tick u32: the server's at this moment
 *         10     2  tickRateHz u16: of ticks and of inputs
 *         12     1  snapshotEvery: ticks between two snapshots
 *         13     1  reserved, 0
 *         14     4  maxSpeedMmS u32: what speed 100 % means
 *         18     4  worldHalfM u32: the world reaches from -half to +half on both axes
 *         22     2  radiusM u16: how far the player sees
 *         24     4  gridX i32, nearest grid point of the spawn position
 *         28     4  gridY i32
 *         32     2  restX i16, micrometres from the grid point
 *         34     2  restY i16
 */

import { getI16, getI32, getU16, getU32, putU16, putU32 } from "./little-endian.ts"
import { GAME_DROP, GAME_VERSION, MESSAGE } from "./message.ts"
import { fromGrid, GRID_ERROR_UM, GRID_MAX, toGrid } from "./quantise.ts"

export const JOIN_BYTES = 2
export const WELCOME_BYTES = 36

/** Fields of a WELCOME; one object is reused. */
export class Welcome {
  player = 0
  capacity = 0
  tick = 0
  tickRateHz = 0
  snapshotEvery = 0
  maxSpeedMmS = 0
  worldHalfM = 0
  radiusM = 0
  /** Exact spawn position. */
  xUm = 0
  yUm = 0
}

/** Writes a JOIN; its length. */
export const writeJoin = (bytes: Uint8Array, at: number): number => {
  bytes[at] = MESSAGE.join
  bytes[at + 1] = GAME_VERSION
  return JOIN_BYTES
}

/** Checks a JOIN; a GAME_DROP code. */
export const readJoin = (bytes: Uint8Array, at: number, length: number): number => {
  if (length < JOIN_BYTES || bytes[at] !== MESSAGE.join) return GAME_DROP.malformed
  if (bytes[at + 1] !== GAME_VERSION) return GAME_DROP.unknownVersion
  return length === JOIN_BYTES ? GAME_DROP.none : GAME_DROP.malformed
}

/** Writes a WELCOME; its length. */
export const writeWelcome = (welcome: Welcome, bytes: Uint8Array, at: number): number => {
  bytes[at] = MESSAGE.welcome
  bytes[at + 1] = GAME_VERSION
  putU16(bytes, at + 2, welcome.player)
  putU16(bytes, at + 4, welcome.capacity)
  putU32(bytes, at + 6, welcome.tick)
  putU16(bytes, at + 10, welcome.tickRateHz)
  bytes[at + 12] = welcome.snapshotEvery
  bytes[at + 13] = 0
  putU32(bytes, at + 14, welcome.maxSpeedMmS)
  putU32(bytes, at + 18, welcome.worldHalfM)
  putU16(bytes, at + 22, welcome.radiusM)
  const gridX = toGrid(welcome.xUm)
  const gridY = toGrid(welcome.yUm)
  putU32(bytes, at + 24, gridX)
  putU32(bytes, at + 28, gridY)
  putU16(bytes, at + 32, welcome.xUm - fromGrid(gridX))
  putU16(bytes, at + 34, welcome.yUm - fromGrid(gridY))
  return WELCOME_BYTES
}

/** Reads a WELCOME into `welcome`; a GAME_DROP code. The fields hold only if it is 0. */
export const readWelcome = (welcome: Welcome, bytes: Uint8Array, at: number, length: number): number => {
  if (length < JOIN_BYTES || bytes[at] !== MESSAGE.welcome) return GAME_DROP.malformed
  if (bytes[at + 1] !== GAME_VERSION) return GAME_DROP.unknownVersion
  if (length !== WELCOME_BYTES || bytes[at + 13] !== 0) return GAME_DROP.malformed
  welcome.player = getU16(bytes, at + 2)
  welcome.capacity = getU16(bytes, at + 4)
  welcome.tick = getU32(bytes, at + 6)
  welcome.tickRateHz = getU16(bytes, at + 10)
  welcome.snapshotEvery = bytes[at + 12]
  welcome.maxSpeedMmS = getU32(bytes, at + 14)
  welcome.worldHalfM = getU32(bytes, at + 18)
  welcome.radiusM = getU16(bytes, at + 22)
  const gridX = getI32(bytes, at + 24)
  const gridY = getI32(bytes, at + 28)
  const restX = getI16(bytes, at + 32)
  const restY = getI16(bytes, at + 34)
  welcome.xUm = fromGrid(gridX) + restX
  welcome.yUm = fromGrid(gridY) + restY
  const valid =
    welcome.player < welcome.capacity &&
    welcome.tickRateHz > 0 &&
    welcome.snapshotEvery > 0 &&
    isExact(gridX, restX) &&
    isExact(gridY, restY)
  return valid ? GAME_DROP.none : GAME_DROP.malformed
}

/** Whether a grid point and a rest are the one way to write a position inside the largest world. */
export const isExact = (grid: number, restUm: number): boolean =>
  grid > -GRID_MAX && grid < GRID_MAX && restUm >= -GRID_ERROR_UM && restUm < GRID_ERROR_UM
