/**
 * The world: who is where, moved by the inputs that arrived, with the server's word on speed and borders.
 *
 * All state lies in parallel arrays indexed by player, made once for the greatest number of players. A tick applies what waits in each
 * player's queue: one input is one tick of that player's time, so a late burst catches up, within the time credit.
 */

import { assert } from "../../assert.ts"
import { GRID_UM, toGrid } from "../../wire/game/quantise.ts"
import { InputCredit } from "./credit.ts"
import { IdSet } from "./id-set.ts"
import { InputQueues } from "./inputs.ts"
import { Interest } from "./interest.ts"
import { movedX, movedY, SPEED_MAX, stepUm } from "./movement.ts"

export interface WorldOptions {
  /** Most players; entity ids are below it. */
  readonly capacity: number
  readonly tickRateHz: number
  /** The world reaches from -half to +half metres on both axes. */
  readonly halfM: number
  /** Players appear within so many metres of the origin, on each axis. */
  readonly spawnHalfM: number
  /** A player sees others nearer than this. */
  readonly radiusM: number
  /** Others vanish only when they are farther than the radius by this. */
  readonly hysteresisM: number
  /** Most others in one player's sight. */
  readonly visibleMax: number
  readonly maxSpeedMmS: number
  /** Most time that a player may catch up at once, and slack before an accusation (see credit.ts). */
  readonly creditMs: number
  /** Planted faults, for canaries. */
  readonly faultPoint: (name: string) => boolean
}

/** A player of whom nothing has been heard for so long stands still, for those who would reckon on its speed. */
const SILENT_NS = 250_000_000

/** The server believes whatever speed a player claims. */
export const FAULT_SPEED_UNCHECKED = "game.speed.unchecked"

export class World {
  readonly options: WorldOptions
  /** Players in the world. */
  readonly players: IdSet
  readonly interest: Interest
  readonly inputs: InputQueues
  /** Exact positions, integer micrometres. */
  readonly xUm: Float64Array
  readonly yUm: Float64Array
  /** The same on the wire's grid. */
  readonly gridX: Int32Array
  readonly gridY: Int32Array
  readonly direction: Uint8Array
  /** Percent of the greatest speed: of the last input that moved the player. */
  readonly speed: Uint8Array
  /** Grows each time that an id is given to another player. */
  readonly generation: Uint8Array
  /** Newest input dealt with; 0 = none. */
  readonly processed: Uint32Array
  /** Bit i: input `processed - i` moved the player. */
  readonly processedMask: Uint32Array
  /** When the datagram with the newest input dealt with arrived. */
  readonly processedArrivalNs: Float64Array
  /** Distance that claims above the limits would have covered since it was last set to 0: evidence of a cheat. */
  readonly overUm: Float64Array

  /** Inputs that moved a player. */
  inputsApplied = 0
  /** Inputs that the time credit did not cover, whether or not the player is accused for it. */
  inputsUnpaid = 0
  /** Inputs whose claimed speed was cut down. */
  inputsCut = 0

  private readonly credit: InputCredit
  /** Whether the fault FAULT_SPEED_UNCHECKED is planted, as of the last tick. */
  private unchecked = false
  private readonly halfUm: number
  /** Free ids, first in first out: an id rests as long as possible before another player gets it. */
  private readonly free: Uint16Array
  private freeFirst = 0
  private spawned = 0

  constructor(options: WorldOptions) {
    const { capacity } = options
    assert(capacity > 0 && capacity <= 65_535, "a world has room for 1 to 65,535 players")
    this.options = options
    this.halfUm = options.halfM * 1_000_000
    this.players = new IdSet(capacity)
    this.inputs = new InputQueues(capacity)
    this.credit = new InputCredit({
      players: capacity,
      limitNs: options.creditMs * 1_000_000,
      inputNs: 1_000_000_000 / options.tickRateHz
    })
    this.interest = new Interest({
      capacity,
      halfSteps: toGrid(this.halfUm) + 1,
      enterSteps: metresToSteps(options.radiusM),
      leaveSteps: metresToSteps(options.radiusM + options.hysteresisM),
      visibleMax: options.visibleMax
    })
    this.xUm = new Float64Array(capacity)
    this.yUm = new Float64Array(capacity)
    this.gridX = new Int32Array(capacity)
    this.gridY = new Int32Array(capacity)
    this.direction = new Uint8Array(capacity)
    this.speed = new Uint8Array(capacity)
    this.generation = new Uint8Array(capacity)
    this.processed = new Uint32Array(capacity)
    this.processedMask = new Uint32Array(capacity)
    this.processedArrivalNs = new Float64Array(capacity)
    this.overUm = new Float64Array(capacity)
    this.free = Uint16Array.from({ length: capacity }, (_, i) => i)
  }

  /** Lets a player in; its id, or -1 if the world is full. */
  join(nowNs: number): number {
    const { capacity } = this.options
    if (this.players.size === capacity) return -1
    const player = this.free[this.freeFirst]
    this.freeFirst = (this.freeFirst + 1) % capacity
    this.players.add(player)
    this.generation[player]++
    this.direction[player] = 0
    this.speed[player] = 0
    this.processed[player] = 0
    this.processedMask[player] = 0
    this.processedArrivalNs[player] = nowNs
    this.overUm[player] = 0
    this.inputs.reset(player)
    this.credit.open(player, nowNs)
    this.spawn(player)
    return player
  }

  /** Takes a player out. */
  leave(player: number): void {
    if (!this.players.remove(player)) return
    this.interest.remove(player)
    this.free[(this.freeFirst + this.options.capacity - 1 - this.players.size) % this.options.capacity] = player
  }

  /** Takes in one input; false if the player's queue is full. The sequence is above the newest taken. */
  putInput(player: number, sequence: number, direction: number, speed: number, arrivalNs: number): boolean {
    if (this.credit.claim(player, arrivalNs) && !this.unchecked) this.overUm[player] += this.stepUm(speed)
    return this.inputs.put(player, sequence, direction, speed, arrivalNs)
  }

  /** One tick: every waiting input is dealt with. */
  tick(nowNs: number): void {
    this.unchecked = this.options.faultPoint(FAULT_SPEED_UNCHECKED)
    const { dense, size } = this.players
    for (let i = 0; i < size; i++) {
      const player = dense[i]
      this.credit.refill(player, nowNs)
      if (!this.inputs.take(player)) {
        if (nowNs - this.processedArrivalNs[player] > SILENT_NS) this.speed[player] = 0
        continue
      }
      do this.apply(player)
      while (this.inputs.take(player))
      this.place(player)
    }
  }

  /** Deals with the input that `inputs` has just given out. */
  private apply(player: number): void {
    const { inputs, unchecked } = this
    const passed = inputs.takenSequence - this.processed[player]
    this.processed[player] = inputs.takenSequence
    this.processedArrivalNs[player] = inputs.takenArrivalNs
    this.processedMask[player] = passed > 31 ? 0 : this.processedMask[player] << passed
    if (!this.credit.spend(player) && !unchecked) {
      this.inputsUnpaid++
      return
    }
    const speed = unchecked ? inputs.takenSpeed : this.cut(player, inputs.takenSpeed)
    const distanceUm = this.stepUm(speed)
    this.xUm[player] = movedX(this.xUm[player], inputs.takenDirection, distanceUm, this.halfUm)
    this.yUm[player] = movedY(this.yUm[player], inputs.takenDirection, distanceUm, this.halfUm)
    this.direction[player] = inputs.takenDirection
    this.speed[player] = speed
    this.processedMask[player] |= 1
    this.inputsApplied++
  }

  private cut(player: number, speed: number): number {
    if (speed <= SPEED_MAX) return speed
    this.overUm[player] += this.stepUm(speed) - this.stepUm(SPEED_MAX)
    this.inputsCut++
    return SPEED_MAX
  }

  private stepUm(speed: number): number {
    return stepUm(this.options.maxSpeedMmS, speed, this.options.tickRateHz)
  }

  private place(player: number): void {
    this.gridX[player] = toGrid(this.xUm[player])
    this.gridY[player] = toGrid(this.yUm[player])
    this.interest.place(player, this.gridX[player], this.gridY[player])
  }

  /**
   * Players appear on the points of the R2 low-discrepancy sequence (M. Roberts, 2018), which are spread evenly however many
   * there are. In integers: the fractions are multiples of 2^-32.
   */
  private spawn(player: number): void {
    const index = ++this.spawned
    const side = this.options.spawnHalfM * 2_000_000
    this.xUm[player] = Math.floor(((Math.imul(index, R2_X) >>> 0) / 0x1_0000_0000) * side) - side / 2
    this.yUm[player] = Math.floor(((Math.imul(index, R2_Y) >>> 0) / 0x1_0000_0000) * side) - side / 2
    this.place(player)
  }
}

/** 2^32 / 1.32471795724… and 2^32 / its square: the plastic number. */
const R2_X = 3_242_174_889
const R2_Y = 2_447_445_414

const metresToSteps = (metres: number): number => Math.floor((metres * 1_000_000) / GRID_UM)
