/**
 * The broker's wall clock, as a node knows it from the broker's last answer: good enough to sign with, and unmoved by steps of
 * the node's own wall clock.
 */

import type { Clock } from "../port/clock.ts"

export class BrokerClock {
  private readonly clock: Clock["Service"]
  private offsetMs: number | undefined

  constructor(clock: Clock["Service"]) {
    this.clock = clock
  }

  /** Takes over what an answer of the broker said. */
  heard(brokerNowMs: number): void {
    this.offsetMs = brokerNowMs - this.monotonicMs()
  }

  /** Unix ms; the node's own wall clock before the broker was heard. */
  nowMs(): number {
    return this.offsetMs === undefined ? this.clock.wallMs() : this.monotonicMs() + this.offsetMs
  }

  private monotonicMs(): number {
    return Math.floor(this.clock.nowNs() / 1_000_000)
  }
}
