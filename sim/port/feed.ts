/** How what waits in a ring reaches its reader: in batches, soon, and never from within the call that queued it. */

import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import type { PacketRing } from "../net/packet-ring.ts"

/** The world's clock and its way to run something as soon as the present caller has returned. */
export interface FeedClock {
  readonly nowNs: () => number
  readonly defer: (work: () => void) => void
}

/** Who reads: a simulated process as it is, or anything that lives, tells its time and runs work. */
export interface FeedUser {
  /** Monotonic time that the handlers are told. */
  nowNs(): number
  readonly alive: boolean
  /** Runs work as the user would on an interrupt: now, later while it is paused, never when it is dead. */
  deliver(work: () => void): void
}

export class Feed {
  readonly rx: DatagramBatch
  /** Handed over so far. */
  packets = 0
  bytes = 0
  private readonly ring: PacketRing
  private readonly clock: FeedClock
  private readonly user: FeedUser
  private handler: ((nowNs: number, count: number) => void) | undefined
  private waking = false
  private closed = false

  constructor(ring: PacketRing, clock: FeedClock, user: FeedUser, slots: number) {
    this.ring = ring
    this.clock = clock
    this.user = user
    this.rx = new DatagramBatch(slots)
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
    this.wake()
  }

  wake(): void {
    if (this.waking || this.closed || this.handler === undefined || this.ring.count === 0) return
    this.waking = true
    this.clock.defer(this.run)
  }

  close(): void {
    this.closed = true
  }

  private readonly run = (): void => this.user.deliver(this.drain)

  private readonly drain = (): void => {
    this.waking = false
    if (this.closed || !this.user.alive) return
    const count = this.ring.moveTo(this.rx)
    this.packets += count
    for (let i = 0; i < count; i++) this.bytes += this.rx.length[i]
    if (count > 0) this.handler?.(this.user.nowNs(), count)
    // One batch each time, so that a flood does not keep others from running.
    this.wake()
  }
}
