/** A socket whose wire is memory: what it sends is handed to a function, what it receives is put into its slots by whoever drives it. */

import type { Clock } from "@horizon/core/port/clock.ts"
import type { UdpSocket, UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, parseAddress } from "@horizon/core/wire/address.ts"
import type { DatagramBatch } from "@horizon/core/wire/batch.ts"

export class MemorySocket implements UdpSocket {
  readonly local: Endpoint
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  /** Gets what is sent: the first `count` slots of `tx`. */
  onSend: (count: number) => void = () => {}
  private handler: (nowNs: number, count: number) => void = () => {}

  constructor(local: Endpoint, rx: DatagramBatch, tx: DatagramBatch) {
    this.local = local
    this.rx = rx
    this.tx = tx
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    this.onSend(count)
  }

  /** Hands the first `count` slots of `rx` to the receiver. */
  deliver(nowNs: number, count: number): void {
    this.handler(nowNs, count)
  }

  /** Lets every slot of `rx` come from `peer`. */
  comesFrom(peer: Endpoint): void {
    const { rx } = this
    for (let slot = 0; slot < rx.capacity; slot++) {
      parseAddress(peer.address, rx.address, slot * 4)
      rx.port[slot] = peer.port
    }
  }

  stats(): UdpStats {
    return { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 }
  }
}

/** Copies what lies in the first `count` slots of `from` behind the first `filled` slots of `to`, as a wire would. */
export const carry = (from: DatagramBatch, count: number, to: DatagramBatch, filled: number): void => {
  for (let slot = 0; slot < count; slot++) {
    const at = from.start[slot]
    const length = from.length[slot]
    to.slab.set(from.slab.subarray(at, at + length), to.start[filled + slot])
    to.length[filled + slot] = length
  }
}

/** A clock whose timers never fire: what is measured is shorter than any of a session's deadlines. */
export const stillClock = (): Clock["Service"] => ({
  nowNs: () => Math.floor(performance.now() * 1e6),
  wallMs: () => Date.now(),
  timer: () => ({ arm: () => {}, cancel: () => {} })
})
