/**
 * An interface and its access link: the cable between a host or router and its subnet, two directions, each a link machine
 * of core/link with random streams of its own and a stack of changes that faults have laid over its declared spec.
 */

import { LINK_DROP_NAMES, Link, type LinkSink } from "@horizon/core/link/link.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { ICMP } from "./icmp.ts"
import type { Network } from "./network.ts"
import { PROTOCOL } from "./packet.ts"
import type { Subnet } from "./subnet.ts"

/** What sits at an interface. */
export interface InterfaceOwner {
  /** Takes over a packet that came out of the access link. */
  receive(packet: number, from: Interface): void
  /** Sends an ICMP error that was made for this interface, or throws it away. Takes it over. */
  sendIcmp(packet: number): void
}

export interface InterfaceOptions {
  readonly index: number
  /** The host's name, or `router/subnet`. */
  readonly name: string
  /** Unsigned 32-bit IPv4 address. */
  readonly address: number
  readonly subnet: Subnet
  readonly up: LinkSpec
  readonly down: LinkSpec
}

export class Interface {
  readonly index: number
  readonly name: string
  readonly address: number
  readonly subnet: Subnet
  /** Towards the subnet. */
  readonly up: AccessLink
  /** From the subnet. */
  readonly down: AccessLink
  /** Set by the network, once, right after the owner was made. */
  owner: InterfaceOwner | undefined

  constructor(network: Network, options: InterfaceOptions) {
    this.index = options.index
    this.name = options.name
    this.address = options.address
    this.subnet = options.subnet
    this.up = new AccessLink(network, this, "up", options.up)
    this.down = new AccessLink(network, this, "down", options.down)
  }
}

export class AccessLink implements LinkSink {
  /** `interface/up` or `interface/down` */
  readonly name: string
  readonly direction: "up" | "down"
  readonly link: Link
  private readonly network: Network
  private readonly interface: Interface
  private readonly declared: LinkSpec
  private changes: ReadonlyArray<Partial<LinkSpec>> = []
  private downs = 0
  /** When the link's next time-out lies in the kernel's heap. */
  private armedNs = Number.POSITIVE_INFINITY
  private readonly timeoutEvent: number

  constructor(network: Network, own: Interface, direction: "up" | "down", spec: LinkSpec) {
    this.name = `${own.name}/${direction}`
    this.direction = direction
    this.network = network
    this.interface = own
    this.declared = spec
    this.link = new Link(spec, (stage) => network.kernel.rng(`net/${this.name}/${stage}`), this)
    this.timeoutEvent = network.kernel.register(() => this.onTimeout())
  }

  /** Takes the packet over. */
  offer(packet: number): void {
    const { network } = this
    const { pool } = network
    this.link.offer(network.kernel.nowNs, packet, pool.bytes(packet), pool.ecn[packet] !== 0)
    this.arm()
  }

  /** Lays a change over the spec; the returned function takes this change away, whatever others came and went meanwhile. */
  change(change: Partial<LinkSpec>): () => void {
    const entry = { ...change }
    this.changes = [...this.changes, entry]
    this.configure()
    return () => {
      if (!this.changes.includes(entry)) return
      this.changes = this.changes.filter((other) => other !== entry)
      this.configure()
    }
  }

  /** Pulls the cable; the returned function plugs it in again, once as many have done so as have pulled. */
  cut(): () => void {
    let undone = false
    if (this.downs++ === 0) this.link.setDown(true)
    return () => {
      if (undone) return
      undone = true
      if (--this.downs === 0) this.link.setDown(false)
    }
  }

  /** Packets that wait in the link's queue now. */
  queuePackets(): number {
    this.refresh()
    return this.link.queuePackets
  }

  /** Bytes that wait in the link's queue now. */
  queueBytes(): number {
    this.refresh()
    return this.link.queueBytes
  }

  // --- LinkSink

  deliver(packet: number, atNs: number): void {
    const { network } = this
    const { nowNs } = network.kernel
    if (this.direction === "down") network.arriveAtOwner(packet, Math.max(atNs, nowNs), this.interface.index)
    // A packet always waits in the heap between leaving the switch and reaching the host, so going through the switch at once
    // never nests deeper than this one step.
    else if (atNs <= nowNs) this.interface.subnet.forward(packet, this.interface)
    else network.arriveAtSubnet(packet, atNs, this.interface.index)
  }

  drop(packet: number, reason: number): void {
    this.network.drop(packet, this.interface, this.name, LINK_DROP_NAMES[reason])
  }

  copy(packet: number): number {
    return this.network.copy(packet)
  }

  /**
   * UDP payload bits reach the receiver flipped: the case for which Horizon's sessions authenticate what they receive. Any
   * other flip is caught by a checksum: the receiving host throws the packet away.
   */
  flipBit(packet: number, bit: number): void {
    const { pool } = this.network
    const at = (bit >>> 3) - pool.headerBytes(packet)
    if (at >= 0 && at < pool.length[packet] && pool.protocol[packet] === PROTOCOL.udp)
      pool.slab[pool.offset(packet) + at] ^= 1 << (bit & 7)
    else pool.damaged[packet] = 1
  }

  /** A UDP payload reaches the receiver shorter; anything else fails its checksum. */
  truncate(packet: number, bytes: number): void {
    const { pool } = this.network
    const length = bytes - pool.headerBytes(packet)
    if (length >= 0 && pool.protocol[packet] === PROTOCOL.udp) pool.length[packet] = length
    else pool.damaged[packet] = 1
  }

  markCe(packet: number): void {
    this.network.pool.ecn[packet] = 3
  }

  tooBig(packet: number, mtuBytes: number): void {
    const { network } = this
    const answer = network.icmpAbout(packet, ICMP.fragmentationNeeded, mtuBytes, this.interface.address)
    // By an event, because the answer's way may lead over this very link, which is busy now.
    if (answer >= 0) network.answerFrom(answer, this.interface.index, this.direction)
  }

  // --- own

  private configure(): void {
    this.link.configure(this.network.kernel.nowNs, this.changes.reduce(overlay, this.declared))
    this.arm()
  }

  /** The link counts what has left its queue only when it is called. */
  private refresh(): void {
    this.link.handleTimeout(this.network.kernel.nowNs)
    this.arm()
  }

  /** Only ever enters an earlier time-out into the heap; a later one is entered when the earlier has fired in vain. */
  private arm(): void {
    const atNs = this.link.pollTimeout()
    if (atNs >= this.armedNs) return
    this.armedNs = Math.max(atNs, this.network.kernel.nowNs)
    this.network.kernel.at(this.armedNs, this.timeoutEvent, 0, 0)
  }

  private onTimeout(): void {
    const { nowNs } = this.network.kernel
    if (this.armedNs !== nowNs) return
    this.armedNs = Number.POSITIVE_INFINITY
    if (this.link.pollTimeout() <= nowNs) this.link.handleTimeout(nowNs)
    this.arm()
  }
}

/**
 * The spec with a change laid over it. Where the two together would make no link (a rate and a delivery trace, a reorder gap where
 * reordering is forbidden) the change wins, because faults that were drawn apart may meet.
 */
export const overlay = (spec: LinkSpec, change: Partial<LinkSpec>): LinkSpec => ({
  ...spec,
  ...((change.rateBps ?? 0) > 0 ? { deliveryTraceMs: [] } : {}),
  ...((change.deliveryTraceMs ?? []).length > 0 ? { rateBps: 0 } : {}),
  ...(change.reordering === "forbidden" ? { reorderGap: null } : {}),
  ...((change.reorderGap ?? null) !== null ? { reordering: "allowed" } : {}),
  ...change
})
