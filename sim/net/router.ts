/**
 * A router: forwards between its subnets, counts hops down, and translates what passes its outside interface if it is a NAT.
 */

import { assert } from "@horizon/core/assert.ts"
import type { RouterSpec } from "@horizon/core/lab/topology.ts"
import {
  ICMP,
  quotedDestination,
  quotedDestinationPort,
  quotedProtocol,
  quotedSource,
  quotedSourcePort,
  setQuotedDestination,
  setQuotedSource
} from "./icmp.ts"
import type { Interface, InterfaceOwner } from "./interface.ts"
import { Nat } from "./nat.ts"
import type { Network } from "./network.ts"
import { PROTOCOL } from "./packet.ts"
import { RouteCache } from "./routes.ts"

export class Router implements InterfaceOwner {
  readonly name: string
  readonly nat: Nat | undefined
  private readonly network: Network
  /** In the order of the router's subnets. */
  private readonly interfaces: ReadonlyArray<Interface>
  private readonly outside: Interface | undefined
  private readonly hairpin: boolean
  private readonly exits: RouteCache

  constructor(network: Network, index: number, name: string, spec: RouterSpec, interfaces: ReadonlyArray<Interface>) {
    this.network = network
    this.name = name
    this.interfaces = interfaces
    this.exits = new RouteCache((address) => network.routes.exitOf(index, address))
    this.hairpin = spec.nat?.hairpin ?? false
    if (spec.nat === undefined) return
    this.outside = interfaces[spec.subnets.indexOf(spec.nat.outside)]
    this.nat = new Nat({
      kind: spec.nat.kind,
      udpTimeoutNs: spec.nat.udpTimeoutMs * 1_000_000,
      rng: network.kernel.rng(`net/${name}/nat`)
    })
  }

  receive(packet: number, from: Interface): void {
    const { pool } = this.network
    const destination = pool.destination[packet]
    const forNat = this.outside !== undefined && destination === this.outside.address
    if (from === this.outside && !forNat) return this.drop(packet, from, "nat-no-mapping")
    if (!forNat && this.isOwn(destination)) return this.refuse(packet, from)
    if (pool.ttl[packet] <= 1) return this.expire(packet, from)
    pool.ttl[packet]--
    if (forNat) return from === this.outside ? this.enter(packet, from) : this.turn(packet, from)
    const exit = this.exits.get(destination)
    if (exit < 0) return this.drop(packet, from, "no-route")
    const to = this.interfaces[exit]
    // RFC 2644: a router does not forward directed broadcasts.
    if (destination === to.subnet.broadcast) return this.drop(packet, from, "broadcast-not-routed")
    if (to === this.outside && !this.leave(packet, from)) return
    to.up.offer(packet)
  }

  /** Sends an ICMP error of its own, made for one of its interfaces. */
  sendIcmp(packet: number): void {
    const { network, outside } = this
    const { pool } = network
    network.countSent(packet, this.name)
    if (outside !== undefined && pool.destination[packet] === outside.address) return this.enter(packet, outside)
    const exit = this.exits.get(pool.destination[packet])
    const to = this.interfaces[Math.max(exit, 0)]
    if (exit < 0) return this.drop(packet, to, "no-route")
    // What went in through the NAT was rewritten, so an error about it shows the outside what the outside had sent.
    if (to === outside && !this.showOutside(packet)) pool.source[packet] = outside.address
    to.up.offer(packet)
  }

  private refuse(packet: number, from: Interface): void {
    const answer = this.network.icmpAbout(packet, ICMP.portUnreachable, 0, this.network.pool.destination[packet])
    this.drop(packet, from, "no-listener")
    if (answer >= 0) this.sendIcmp(answer)
  }

  private expire(packet: number, from: Interface): void {
    const answer = this.network.icmpAbout(packet, ICMP.timeExceeded, 0, from.address)
    this.drop(packet, from, "ttl-expired")
    if (answer >= 0) this.sendIcmp(answer)
  }

  /** Translates a packet on its way out; drops it and returns false if that cannot be done. */
  private leave(packet: number, from: Interface): boolean {
    const { pool, kernel } = this.network
    if (pool.protocol[packet] === PROTOCOL.icmp) {
      if (this.showOutside(packet)) return true
      this.drop(packet, from, "nat-no-mapping")
      return false
    }
    const mapping = this.nat!.outbound(
      kernel.nowNs,
      pool.protocol[packet],
      pool.source[packet],
      pool.sourcePort[packet],
      pool.destination[packet],
      pool.destinationPort[packet]
    )
    if (mapping === undefined) {
      this.drop(packet, from, "nat-exhausted")
      return false
    }
    pool.source[packet] = this.outside!.address
    pool.sourcePort[packet] = mapping.outsidePort
    return true
  }

  /** Translates a packet for the outside address on its way in, and forwards or drops it. */
  private enter(packet: number, from: Interface): void {
    const { pool, kernel } = this.network
    if (pool.protocol[packet] === PROTOCOL.icmp) return this.enterIcmp(packet, from)
    const mapping = this.nat!.inbound(
      kernel.nowNs,
      pool.protocol[packet],
      pool.destinationPort[packet],
      pool.source[packet],
      pool.sourcePort[packet]
    )
    if (mapping === undefined) return this.drop(packet, from, this.nat!.refusal)
    pool.destination[packet] = mapping.insideAddress
    pool.destinationPort[packet] = mapping.insidePort
    this.forwardInside(packet)
  }

  /** Hairpin (RFC 4787 REQ-9): from inside to a mapping of this NAT, with the outside endpoint as source (REQ-9a). */
  private turn(packet: number, from: Interface): void {
    if (!this.hairpin) return this.drop(packet, from, "nat-no-hairpin")
    if (this.leave(packet, from)) this.enter(packet, from)
  }

  /** An error about a packet that left: RFC 5508 REQ-4. It refreshes nothing. */
  private enterIcmp(packet: number, from: Interface): void {
    const { pool, kernel } = this.network
    const mapping = this.nat!.byOutsidePort(kernel.nowNs, quotedProtocol(pool, packet), quotedSourcePort(pool, packet))
    if (mapping === undefined) return this.drop(packet, from, "nat-no-mapping")
    setQuotedSource(pool, packet, mapping.insideAddress, mapping.insidePort)
    pool.destination[packet] = mapping.insideAddress
    this.forwardInside(packet)
  }

  /** Rewrites an error about a packet that came in: RFC 5508 REQ-5. False if the NAT does not know the flow. */
  private showOutside(packet: number): boolean {
    const { pool, kernel } = this.network
    const mapping = this.nat!.find(
      kernel.nowNs,
      quotedProtocol(pool, packet),
      quotedDestination(pool, packet),
      quotedDestinationPort(pool, packet),
      quotedSource(pool, packet),
      quotedSourcePort(pool, packet)
    )
    if (mapping === undefined) return false
    setQuotedDestination(pool, packet, this.outside!.address, mapping.outsidePort)
    pool.source[packet] = this.outside!.address
    return true
  }

  private forwardInside(packet: number): void {
    const exit = this.exits.get(this.network.pool.destination[packet])
    assert(exit >= 0, "what a NAT has translated on its way out has a route back in")
    this.interfaces[exit].up.offer(packet)
  }

  private isOwn(address: number): boolean {
    for (let i = 0; i < this.interfaces.length; i++) if (this.interfaces[i].address === address) return true
    return false
  }

  private drop(packet: number, at: Interface, reason: string): void {
    this.network.drop(packet, at, this.name, reason)
  }
}
