/**
 * A player's prediction of its own movement: each input moves it at once, and when the server's word on an input arrives, the
 * inputs after it are applied anew to the server's position.
 */

import type { Welcome } from "../../wire/game/join.ts"
import { movedX, movedY, stepUm } from "./movement.ts"

/** Inputs that can be applied anew: four seconds. */
const KEPT = 256

export class Prediction {
  /** Where the player will be once the server has all inputs so far. */
  xUm: number
  yUm: number
  /** Comparisons with the server's word, and how far off they were. */
  reconciled = 0
  corrected = 0
  errorSumUm = 0
  errorMaxUm = 0
  private readonly halfUm: number
  private readonly maxSpeedMmS: number
  private readonly tickRateHz: number
  private newest = 0
  private reconciledSequence = 0
  private readonly direction = new Uint8Array(KEPT)
  private readonly speed = new Uint8Array(KEPT)
  private readonly predictedX = new Float64Array(KEPT)
  private readonly predictedY = new Float64Array(KEPT)

  /** Starts at the spawn position. */
  constructor(welcome: Welcome) {
    this.xUm = welcome.xUm
    this.yUm = welcome.yUm
    this.halfUm = welcome.worldHalfM * 1_000_000
    this.maxSpeedMmS = welcome.maxSpeedMmS
    this.tickRateHz = welcome.tickRateHz
  }

  /** Applies one input. */
  step(sequence: number, direction: number, speed: number): void {
    const distanceUm = stepUm(this.maxSpeedMmS, speed, this.tickRateHz)
    const place = sequence % KEPT
    this.xUm = movedX(this.xUm, direction, distanceUm, this.halfUm)
    this.yUm = movedY(this.yUm, direction, distanceUm, this.halfUm)
    this.direction[place] = direction
    this.speed[place] = speed
    this.predictedX[place] = this.xUm
    this.predictedY[place] = this.yUm
    this.newest = sequence
  }

  /** Takes the server's word on where input `sequence` led; inputs up to `newest` have been applied here. */
  reconcile(sequence: number, xUm: number, yUm: number, newest: number): void {
    if (sequence <= this.reconciledSequence || newest - sequence >= KEPT) return
    this.reconciledSequence = sequence
    const place = sequence % KEPT
    const dx = xUm - this.predictedX[place]
    const dy = yUm - this.predictedY[place]
    const errorUm = Math.round(Math.sqrt(dx * dx + dy * dy))
    this.reconciled++
    if (errorUm === 0) return
    this.corrected++
    this.errorSumUm += errorUm
    if (errorUm > this.errorMaxUm) this.errorMaxUm = errorUm
    this.predictedX[place] = xUm
    this.predictedY[place] = yUm
    this.xUm = xUm
    this.yUm = yUm
    const last = this.newest
    for (let each = sequence + 1; each <= last; each++) {
      this.step(each, this.direction[each % KEPT], this.speed[each % KEPT])
    }
  }
}
