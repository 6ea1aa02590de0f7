/**
 * A subnet: an ideal switch and one broadcast domain. It knows at once where every address is; delay, loss and queues lie in
 * the access links around it.
 */

import { contains, type SubnetPlan } from "@horizon/core/lab/address-plan.ts"
import { LIMITED_BROADCAST } from "./host.ts"
import type { Interface } from "./interface.ts"
import type { Network } from "./network.ts"
import { NO_ROUTE, RouteCache } from "./routes.ts"

export class Subnet {
  readonly name: string
  readonly index: number
  readonly plan: SubnetPlan
  /** Directed broadcast address. */
  readonly broadcast: number
  private readonly network: Network
  private readonly hosts: Array<Interface> = []
  private readonly interfaces: Array<Interface> = []
  /** Router index to its interface here. */
  private readonly routers = new Map<number, Interface>()
  private readonly nextHop: RouteCache

  constructor(network: Network, index: number, plan: SubnetPlan) {
    this.network = network
    this.index = index
    this.name = plan.name
    this.plan = plan
    this.broadcast = plan.broadcast
    this.nextHop = new RouteCache((address) => this.resolve(address))
  }

  /** `router` is the router's index, or -1 for a host. */
  attach(own: Interface, router: number): void {
    this.interfaces.push(own)
    if (router < 0) this.hosts.push(own)
    else this.routers.set(router, own)
  }

  /** Passes a packet that came from `from` on to where its destination address leads. Takes it over. */
  forward(packet: number, from: Interface): void {
    const destination = this.network.pool.destination[packet]
    if (destination === this.broadcast || destination === LIMITED_BROADCAST) return this.flood(packet, from)
    const to = this.nextHop.get(destination)
    if (to < 0) {
      const reason = contains(this.plan, destination) ? "no-host" : "no-route"
      return this.network.drop(packet, from, this.name, reason)
    }
    this.network.interfaces[to].down.offer(packet)
  }

  /** A copy to each other host, in declaration order; the last one gets the packet itself. Routers take no part. */
  private flood(packet: number, from: Interface): void {
    let last: Interface | undefined
    for (const host of this.hosts) {
      if (host === from) continue
      if (last !== undefined) {
        const twin = this.network.copy(packet)
        if (twin >= 0) last.down.offer(twin)
      }
      last = host
    }
    if (last === undefined) this.network.drop(packet, from, this.name, "no-host")
    else last.down.offer(packet)
  }

  /** Index of the interface that takes packets for `address`. */
  private resolve(address: number): number {
    if (contains(this.plan, address)) return this.interfaces.find((own) => own.address === address)?.index ?? NO_ROUTE
    return this.routers.get(this.network.routes.routerFrom(this.index, address))?.index ?? NO_ROUTE
  }
}
