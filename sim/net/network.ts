/**
 * A simulated network: a topology built as hosts, subnets, routers and links on the kernel.
 *
 * A packet's way: `host.send` → up link → subnet (switch) → down link → host, or router and on. Each step that takes time is one
 * kernel event that carries the packet's id and an interface's index, so a packet allocates nothing on its way. Every
 * delivery and every drop goes into the run's digest.
 */

import { assert } from "@horizon/core/assert.ts"
import { planAddresses } from "@horizon/core/lab/address-plan.ts"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import { hashText, hashWords } from "../kernel/digest.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { LIMITED_BROADCAST, SimHost } from "./host.ts"
import { ICMP_ERROR_BYTES, writeIcmpError } from "./icmp.ts"
import { type AccessLink, Interface } from "./interface.ts"
import { PacketPool, PROTOCOL } from "./packet.ts"
import { Partitions } from "./partitions.ts"
import { Router } from "./router.ts"
import { Routes } from "./routes.ts"
import { Subnet } from "./subnet.ts"

/** Time that a packet takes from a host to itself. */
export const LOOPBACK_DELAY_NS = 10_000

export interface NetworkOptions {
  /** Limit of the packet pool. */
  readonly packetsMax?: number
}

/** Where a tap sees a packet: it left a host (or router), it reached a receiver, it was thrown away. */
export type TapPoint = "sent" | "delivered" | "dropped"

/**
 * Sees packets in passing and must not keep them. `where` is a host, router, subnet or link (`host/up`,
 * `router/subnet/down`); `reason` is empty unless dropped.
 */
export type Tap = (point: TapPoint, packet: number, where: string, reason: string) => void

/** Totals since the start. `sent + copied = delivered + dropped + ` packets under way. Bytes are of IP packets. */
export interface NetworkCounters {
  /** By hosts, and by routers (ICMP). */
  sent: number
  sentBytes: number
  /** Made by duplication and broadcast. */
  copied: number
  delivered: number
  deliveredBytes: number
  dropped: number
  /** Drops by reason. */
  readonly droppedBy: Map<string, number>
}

export class Network {
  readonly kernel: Kernel
  readonly pool: PacketPool
  readonly routes: Routes
  readonly partitions: Partitions
  /** Hosts' first, in declaration order, then routers'; events and digests name them by index. */
  readonly interfaces: ReadonlyArray<Interface>
  readonly counters: NetworkCounters = {
    sent: 0,
    sentBytes: 0,
    copied: 0,
    delivered: 0,
    deliveredBytes: 0,
    dropped: 0,
    droppedBy: new Map()
  }
  /** Set by whoever captures or checks; unset it costs nothing. */
  tap: Tap | undefined
  private readonly subnets: ReadonlyArray<Subnet>
  private readonly hosts = new Map<string, SimHost>()
  private readonly routers = new Map<string, Router>()
  private readonly dropKinds = new Map<string, number>()
  private readonly subnetEvent: number
  private readonly ownerEvent: number
  /** For answers of an interface's two link ends: the owner's, then the switch's. */
  private readonly answerEvents: { readonly up: number; readonly down: number }

  constructor(kernel: Kernel, topology: Topology, options: NetworkOptions = {}) {
    this.kernel = kernel
    this.pool = new PacketPool(options.packetsMax)
    const plan = planAddresses(topology)
    const subnetPlans = [...plan.subnets.values()]
    this.routes = new Routes(topology, subnetPlans)
    this.subnets = subnetPlans.map((subnet, index) => new Subnet(this, index, subnet))
    const subnetOf = new Map(this.subnets.map((subnet) => [subnet.name, subnet]))
    this.interfaces = plan.interfaces.map(({ name, address, subnet, owner }, index) => {
      const links = topology.hosts[owner] ?? topology.routers[owner].links?.[subnet]
      const { up, down } = { up: linkSpec(links?.up), down: linkSpec(links?.down) }
      return new Interface(this, { index, name, address, subnet: subnetOf.get(subnet)!, up, down })
    })
    this.buildHosts(topology)
    this.buildRouters(topology)
    this.partitions = new Partitions(this.hosts.size)
    const { interfaces } = this
    this.subnetEvent = kernel.register((packet, at) => interfaces[at].subnet.forward(packet, interfaces[at]))
    this.ownerEvent = kernel.register((packet, at) => interfaces[at].owner!.receive(packet, interfaces[at]))
    this.answerEvents = {
      up: kernel.register((packet, at) => interfaces[at].owner!.sendIcmp(packet)),
      down: kernel.register((packet, at) => {
        this.countSent(packet, interfaces[at].down.name)
        interfaces[at].subnet.forward(packet, interfaces[at])
      })
    }
  }

  /** The host of a name that the topology declares. */
  host(name: string): SimHost {
    const host = this.hosts.get(name)
    assert(host !== undefined, `the topology declares the host ${name}`)
    return host
  }

  // --- handles of the fault driver and of sampling

  /** One direction of the access link of a host or of `router/subnet`: its queue, counters and name. */
  link(interfaceName: string, direction: "up" | "down"): AccessLink {
    const found = this.interfaces.find((own) => own.name === interfaceName)
    assert(found !== undefined, `the topology declares the interface ${interfaceName}`)
    return found[direction]
  }

  /** Lays a change over an access link. The returned function undoes this change only, whatever else lies on the link. */
  changeLink(interfaceName: string, direction: "up" | "down" | "both", change: Partial<LinkSpec>): () => void {
    return all(this.directions(interfaceName, direction).map((link) => link.change(change)))
  }

  /** Cuts an access link; the returned function restores it, unless another cut still holds. */
  setLinkDown(interfaceName: string, direction: "up" | "down" | "both"): () => void {
    return all(this.directions(interfaceName, direction).map((link) => link.cut()))
  }

  /** Lets nothing pass between the hosts of `a` and those of `b`, or only nothing from `a` to `b`; returns what heals it. */
  partition(a: ReadonlyArray<string>, b: ReadonlyArray<string>, direction: "both" | "a-to-b"): () => void {
    const from = a.map((name) => this.host(name).index)
    const to = b.map((name) => this.host(name).index)
    const heal = this.partitions.cut(from, to)
    return direction === "both" ? all([heal, this.partitions.cut(to, from)]) : heal
  }

  /** The NAT forgets its mappings. */
  natWipe(router: string): void {
    this.natOf(router).wipe()
  }

  /** The NAT gives every live flow a new outside port. */
  natRebind(router: string): void {
    this.natOf(router).rebind(this.kernel.nowNs)
  }

  // --- for the parts of the network

  countSent(packet: number, where: string): void {
    this.counters.sent++
    this.counters.sentBytes += this.pool.bytes(packet)
    if (this.tap !== undefined) this.tap("sent", packet, where, "")
  }

  countDelivered(packet: number, at: Interface, where: string): void {
    const { counters, pool } = this
    counters.delivered++
    counters.deliveredBytes += pool.bytes(packet)
    this.mix(packet, at.index, pool.protocol[packet])
    if (this.tap !== undefined) this.tap("delivered", packet, where, "")
  }

  /** Throws the packet away. */
  drop(packet: number, at: Interface, where: string, reason: string): void {
    const { counters } = this
    counters.dropped++
    counters.droppedBy.set(reason, (counters.droppedBy.get(reason) ?? 0) + 1)
    this.mix(packet, at.index, this.dropKind(reason))
    if (this.tap !== undefined) this.tap("dropped", packet, where, reason)
    this.pool.free(packet)
  }

  /** A second packet equal to this one, or -1 if there is no room. */
  copy(packet: number): number {
    const twin = this.pool.copy(packet)
    if (twin >= 0) this.counters.copied++
    return twin
  }

  /**
   * An ICMP error about `packet`, from `source` to the packet's source; -1 if there must be none (about an ICMP error or a
   * broadcast, RFC 1122 §3.2.2) or there is no room for one.
   */
  icmpAbout(packet: number, kind: number, mtuBytes: number, source: number): number {
    const { pool } = this
    if (pool.protocol[packet] === PROTOCOL.icmp || pool.destination[packet] === LIMITED_BROADCAST) return -1
    const answer = pool.alloc(ICMP_ERROR_BYTES)
    if (answer < 0) return -1
    pool.source[answer] = source
    pool.destination[answer] = pool.source[packet]
    pool.sourcePort[answer] = 0
    pool.destinationPort[answer] = 0
    pool.protocol[answer] = PROTOCOL.icmp
    writeIcmpError(pool, answer, kind, packet, mtuBytes)
    return answer
  }

  /** The packet reaches the host or router of interface `at` at `atNs`. */
  arriveAtOwner(packet: number, atNs: number, at: number): void {
    this.kernel.at(atNs, this.ownerEvent, packet, at)
  }

  /** The packet reaches the switch of interface `at` at `atNs`. */
  arriveAtSubnet(packet: number, atNs: number, at: number): void {
    this.kernel.at(atNs, this.subnetEvent, packet, at)
  }

  /** An ICMP error starts at the near end of one direction of interface `at`'s link. */
  answerFrom(packet: number, at: number, direction: "up" | "down"): void {
    this.kernel.at(this.kernel.nowNs, this.answerEvents[direction], packet, at)
  }

  loopBack(packet: number, host: number): void {
    this.arriveAtOwner(packet, this.kernel.nowNs + LOOPBACK_DELAY_NS, host)
  }

  private mix(packet: number, at: number, kind: number): void {
    const { pool } = this
    const { length } = pool
    // Addresses and ports go in with the payload, so that a differing NAT port is seen where it first occurs.
    const ends =
      Math.imul(pool.source[packet] ^ (pool.sourcePort[packet] << 8), 0x9e3779b1) ^
      Math.imul(pool.destination[packet] ^ (pool.destinationPort[packet] << 8), 0x85ebca6b)
    const hash = hashWords(pool.words, pool.offset(packet) >>> 2, pool.slab, length[packet]) ^ ends
    this.kernel.digest.mix(this.kernel.nowNs, at, kind, length[packet], hash)
  }

  private dropKind(reason: string): number {
    let kind = this.dropKinds.get(reason)
    if (kind === undefined) {
      // Protocol numbers, the kinds of deliveries, are below 256.
      kind = hashText(reason) | 0x100
      this.dropKinds.set(reason, kind)
    }
    return kind
  }

  private directions(interfaceName: string, direction: "up" | "down" | "both"): ReadonlyArray<AccessLink> {
    return (direction === "both" ? (["up", "down"] as const) : [direction]).map((one) => this.link(interfaceName, one))
  }

  private natOf(name: string) {
    const nat = this.routers.get(name)?.nat
    assert(nat !== undefined, `the topology declares the NAT ${name}`)
    return nat
  }

  private buildHosts(topology: Topology): void {
    Object.keys(topology.hosts).forEach((name, index) => {
      const own = this.interfaces[index]
      const host = new SimHost(this, own)
      own.owner = host
      own.subnet.attach(own, -1)
      this.hosts.set(name, host)
    })
  }

  private buildRouters(topology: Topology): void {
    let at = this.hosts.size
    Object.entries(topology.routers).forEach(([name, spec], index) => {
      const interfaces = this.interfaces.slice(at, at + spec.subnets.length)
      at += interfaces.length
      const router = new Router(this, index, name, spec, interfaces)
      for (const own of interfaces) {
        own.owner = router
        own.subnet.attach(own, index)
      }
      this.routers.set(name, router)
    })
  }
}

/** One undo of several; calling it again does nothing more than each of them does. */
const all = (undos: ReadonlyArray<() => void>) => (): void => {
  for (const undo of undos) undo()
}
