/**
 * The loss stage: independent loss, burst loss by the Gilbert-Elliott model, and a list of packets to drop.
 *
 * Every configured model looks at every packet, also at one that another model drops: a model's verdict on packet k then
 * depends on its own stream and settings alone, and switching one on does not shift the others.
 */

import { chanceLimit, type Uniform } from "./probability.ts"
import type { LinkSpec } from "./spec.ts"

/** Why a link dropped a packet. Small integers, for counters; 0 stands for "not dropped". */
export const LINK_DROP = {
  /** Independent loss. */
  loss: 1,
  /** Gilbert-Elliott loss. */
  burstLoss: 2,
  /** The packet's ordinal is on the drop list. */
  dropList: 3,
  /** No room in the queue. */
  queueFull: 4,
  /** CoDel's control law. */
  codel: 5,
  /** Larger than the MTU. */
  mtu: 6,
  /** The link is administratively down. */
  down: 7
} as const

/** The names of the drop reasons, by their numbers. */
export const LINK_DROP_NAMES: ReadonlyArray<string> = [
  "none",
  "loss",
  "burst-loss",
  "drop-list",
  "queue-full",
  "codel",
  "mtu",
  "down"
]

export class LossStage {
  /** Whether any model is configured. */
  active = false
  private readonly random: (stage: string) => Uniform
  private lossRandom: Uniform | null = null
  private lossLimit = 0
  private burstRandom: Uniform | null = null
  private bursty = false
  private bad = false
  private goodToBad = 0
  private badToGood = 0
  private lossBad = 0
  private lossGood = 0
  private dropList = new Float64Array(0)
  private dropAt = 0

  constructor(random: (stage: string) => Uniform) {
    this.random = random
  }

  /** Takes the settings over; the Gilbert-Elliott chain keeps its state while it stays configured, else starts good. */
  configure(spec: LinkSpec): void {
    this.lossLimit = chanceLimit(spec.lossPpm)
    if (this.lossLimit > 0) this.lossRandom ??= this.random("loss")
    const burst = spec.burstLoss
    this.bursty = burst !== null
    if (burst === null) this.bad = false
    else {
      this.burstRandom ??= this.random("burst-loss")
      this.goodToBad = chanceLimit(burst.goodToBadPpm)
      this.badToGood = chanceLimit(burst.badToGoodPpm)
      this.lossBad = chanceLimit(burst.lossBadPpm)
      this.lossGood = chanceLimit(burst.lossGoodPpm)
    }
    this.dropList = Float64Array.from(spec.dropList).sort()
    this.dropAt = 0
    this.active = this.lossLimit > 0 || this.bursty || this.dropList.length > 0
  }

  /** The reason to drop packet number `ordinal` (they come in ascending order), or 0. */
  verdict(ordinal: number): number {
    const lost = this.lossLimit > 0 && this.lossRandom!.u32() < this.lossLimit
    const lostInBurst = this.bursty && this.stepChain()
    const listed = this.dropList.length > 0 && this.isListed(ordinal)
    if (lost) return LINK_DROP.loss
    if (lostInBurst) return LINK_DROP.burstLoss
    return listed ? LINK_DROP.dropList : 0
  }

  /** As in netem, the state before the transition decides the loss; both words are always drawn. */
  private stepChain(): boolean {
    const random = this.burstRandom!
    const transition = random.u32()
    const loss = random.u32()
    if (this.bad) {
      if (transition < this.badToGood) this.bad = false
      return loss < this.lossBad
    }
    if (transition < this.goodToBad) this.bad = true
    return loss < this.lossGood
  }

  private isListed(ordinal: number): boolean {
    while (this.dropAt < this.dropList.length && this.dropList[this.dropAt] < ordinal) this.dropAt++
    return this.dropAt < this.dropList.length && this.dropList[this.dropAt] === ordinal
  }
}
