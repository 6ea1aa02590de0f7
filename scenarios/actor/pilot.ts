/**
 * How a simulated player behaves: it wanders, stops, and runs towards others, by draws from its own random stream. It decides only
 * when its present mood ends, so that the path is the same whatever it sees of the network, but for whom it runs after.
 */

import { DIRECTIONS, directionTo } from "@horizon/core/machine/game/movement.ts"
import type { Intent, Player } from "@horizon/core/machine/game/player.ts"
import type { RandomSource } from "@horizon/core/port/entropy.ts"
import { fromGrid } from "@horizon/core/wire/game/quantise.ts"

export interface PilotOptions {
  readonly random: RandomSource
  /** Percent of the speed that the mood asks for; 100 is honest. */
  readonly speedPercent: number
  /** Farther from the origin than this it turns back, metres. */
  readonly leashM: number
}

type Mood = "wander" | "stop" | "chase"

/** How many inputs a mood lasts at least, and how many more at most. */
const MOOD_TICKS: Readonly<Record<Mood, readonly [number, number]>> = {
  wander: [60, 180],
  stop: [20, 80],
  chase: [60, 120]
}
/** Inputs between two looks at whom to run after. */
const AIM_EVERY = 10

export class Pilot {
  private readonly options: PilotOptions
  private mood: Mood = "stop"
  private ticksLeft = 0
  private speed = 0

  constructor(options: PilotOptions) {
    this.options = options
  }

  /** Decides on the next tick. */
  steer(player: Player, intent: Intent): void {
    if (this.ticksLeft-- <= 0) this.changeMood(intent)
    if (this.mood === "chase" && this.ticksLeft % AIM_EVERY === 0) aim(player, intent)
    const { prediction } = player
    const leashUm = this.options.leashM * 1_000_000
    if (prediction !== undefined && this.ticksLeft % AIM_EVERY === 0) {
      const { xUm, yUm } = prediction
      if (Math.abs(xUm) > leashUm || Math.abs(yUm) > leashUm) intent.direction = directionTo(-xUm, -yUm)
    }
    intent.speed = Math.min(255, Math.floor((this.speed * this.options.speedPercent) / 100))
  }

  private changeMood(intent: Intent): void {
    const draw = this.below(10)
    this.mood = draw < 6 ? "wander" : draw < 8 ? "chase" : "stop"
    const [least, more] = MOOD_TICKS[this.mood]
    this.ticksLeft = least + this.below(more)
    this.speed = this.mood === "stop" ? 0 : 50 + this.below(51)
    intent.direction = this.below(DIRECTIONS)
  }

  private below(bound: number): number {
    return Math.floor((this.options.random.u32() / 0x1_0000_0000) * bound)
  }
}

/** Points at the nearest other that the player sees; nobody in sight changes nothing. */
const aim = (player: Player, intent: Intent): void => {
  const { sight, prediction } = player
  if (prediction === undefined) return
  let nearest = Number.POSITIVE_INFINITY
  let towardsX = 0
  let towardsY = 0
  for (let i = 0; i < sight.held.size; i++) {
    const id = sight.held.dense[i]
    const dx = fromGrid(sight.gridX[id]) - prediction.xUm
    const dy = fromGrid(sight.gridY[id]) - prediction.yUm
    const distance = dx * dx + dy * dy
    if (distance >= nearest) continue
    nearest = distance
    towardsX = dx
    towardsY = dy
  }
  if (nearest < Number.POSITIVE_INFINITY) intent.direction = directionTo(towardsX, towardsY)
}
