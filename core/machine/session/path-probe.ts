/**
 * Roaming: a peer that shows up at a new address must repeat 8 random bytes sent there before data moves to it. Nobody can turn a session
 * against a third address by sending captured packets with a forged source.
 */

import { sameAddress } from "../../wire/address.ts"
import type { DatagramBatch } from "../../wire/batch.ts"
import { PATH_DATA_BYTES } from "../../wire/frame.ts"

/** Challenges sent to one new address, and the time between them. */
export const CHALLENGES_MAX = 3
export const CHALLENGE_INTERVAL_NS = 250e6

export class PathProbe {
  /** When the next challenge is due, or the probe ends; `Infinity` = no probe runs. */
  dueNs = Number.POSITIVE_INFINITY
  readonly address = new Uint32Array(4)
  port = 0
  readonly challenge = new Uint8Array(PATH_DATA_BYTES)
  private challengesLeft = 0

  /**
   * Starts probing the source of slot `index`; true if a first challenge is to be sent now. A probe that runs is left alone until its next
   * challenge is due, so that flapping sources cost no more than four challenges a second.
   */
  start(nowNs: number, batch: DatagramBatch, index: number, fill: (bytes: Uint8Array) => void): boolean {
    const running = this.dueNs !== Number.POSITIVE_INFINITY
    if (running && (this.isFrom(batch, index) || nowNs < this.dueNs)) return false
    for (let i = 0; i < 4; i++) this.address[i] = batch.address[index * 4 + i]
    this.port = batch.port[index]
    fill(this.challenge)
    this.challengesLeft = CHALLENGES_MAX
    return this.next(nowNs)
  }

  /** Whether a challenge is to be sent now; ends the probe when all were sent in vain. */
  next(nowNs: number): boolean {
    if (this.challengesLeft === 0) {
      this.stop()
      return false
    }
    this.challengesLeft--
    this.dueNs = nowNs + CHALLENGE_INTERVAL_NS
    return true
  }

  /** Whether slot `index` comes from the probed address and repeats the challenge at `dataAt` of its slab. */
  isAnsweredBy(batch: DatagramBatch, index: number, dataAt: number): boolean {
    if (this.dueNs === Number.POSITIVE_INFINITY || !this.isFrom(batch, index)) return false
    for (let i = 0; i < PATH_DATA_BYTES; i++) if (batch.slab[dataAt + i] !== this.challenge[i]) return false
    return true
  }

  stop(): void {
    this.dueNs = Number.POSITIVE_INFINITY
  }

  private isFrom(batch: DatagramBatch, index: number): boolean {
    return batch.port[index] === this.port && sameAddress(batch.address, index * 4, this.address, 0)
  }
}
