/** A UDP socket of an application on a host with a tunnel: bound in the host's stack, read through a ring. */

import { assert } from "@horizon/core/assert.ts"
import type { UdpBind, UdpSocket, UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, isV4, putV4 } from "@horizon/core/wire/address.ts"
import { BATCH_SLOTS, DatagramBatch } from "@horizon/core/wire/batch.ts"
import { PacketRing, QUEUE_PACKETS } from "../net/packet-ring.ts"
import { Feed, type FeedUser } from "./feed.ts"
import type { TunHost } from "./tun.ts"

export class TunnelSocket implements UdpSocket {
  readonly local: Endpoint
  readonly tx: DatagramBatch
  private readonly host: TunHost
  private readonly user: FeedUser
  private readonly mayBroadcast: boolean
  private readonly ring = new PacketRing(QUEUE_PACKETS)
  private readonly feed: Feed
  private release: (() => void) | undefined
  private packetsOut = 0
  private bytesOut = 0
  private dropsOut = 0

  constructor(host: TunHost, user: FeedUser, local: Endpoint, options: UdpBind) {
    this.host = host
    this.user = user
    this.local = local
    this.mayBroadcast = options.broadcast ?? false
    const slots = options.slots ?? BATCH_SLOTS
    this.tx = new DatagramBatch(slots)
    this.feed = new Feed(this.ring, host.clock, user, slots)
  }

  get rx(): DatagramBatch {
    return this.feed.rx
  }

  /** Binds at `address`, 0 = any; false if the port is taken. */
  open(address: number): boolean {
    this.release = this.host.stack.bind(address, this.local.port, this.receive, () => this.user.alive)
    return this.release !== undefined
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.feed.onBatch(handler)
  }

  send(count: number): void {
    assert(count <= this.tx.capacity, "no more slots are sent than the batch has")
    for (let i = 0; i < count; i++) {
      if (this.sendSlot(i)) {
        this.packetsOut++
        this.bytesOut += this.tx.length[i]
      } else this.dropsOut++
    }
    this.host.wakeDevice()
  }

  stats(): UdpStats {
    return {
      packetsIn: this.feed.packets,
      bytesIn: this.feed.bytes,
      packetsOut: this.packetsOut,
      bytesOut: this.bytesOut,
      dropsIn: this.ring.refused,
      dropsOut: this.dropsOut
    }
  }

  close(): void {
    this.feed.close()
    this.release?.()
    this.release = undefined
  }

  private sendSlot(i: number): boolean {
    const { tx } = this
    if (this.release === undefined || !this.host.isUp() || !isV4(tx.address, i * 4)) return false
    return this.host.stack.sendUdp(
      this.local.port,
      tx.address[i * 4 + 3],
      tx.port[i],
      tx.ecn[i],
      this.mayBroadcast,
      tx.slab,
      tx.offset(i),
      tx.length[i]
    )
  }

  private readonly receive = (
    source: number,
    sourcePort: number,
    ecn: number,
    bytes: Uint8Array,
    at: number,
    length: number
  ): boolean => {
    const slot = this.ring.push(length)
    if (slot < 0) return false
    const { slots } = this.ring
    slots.slab.set(bytes.subarray(at, at + length), slots.offset(slot))
    putV4(slots.address, slot * 4, source)
    slots.port[slot] = sourcePort
    slots.ecn[slot] = ecn
    this.feed.wake()
    return true
  }
}
