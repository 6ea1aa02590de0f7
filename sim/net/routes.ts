/**
 * Shortest paths over subnets and routers, computed once per network.
 *
 * A NAT is a one-way door: nothing is routed through it from its outside to its inside, so what lies behind it may use the same
 * prefix as what lies behind another one. Equal paths are decided by declaration order.
 */

import { assert } from "@horizon/core/assert.ts"
import { contains, type SubnetPlan } from "@horizon/core/lab/address-plan.ts"
import type { Topology } from "@horizon/core/lab/topology.ts"

/** Resolved addresses kept for each router and subnet; a scan over more of them starts the cache afresh. */
const CACHE_MAX = 65_536

/** Nothing leads there. */
export const NO_ROUTE = -1

interface RouterNode {
  /** Indices of its subnets. */
  readonly subnets: ReadonlyArray<number>
  /** Index of the outside subnet, or -1. */
  readonly outside: number
}

export class Routes {
  private readonly subnets: ReadonlyArray<SubnetPlan>
  private readonly routers: ReadonlyArray<RouterNode>
  /** Hops from subnet s to subnet d at `s * count + d`, -1 = unreachable. */
  private readonly distance: Int32Array
  /** Which router to use from subnet s to subnet d. */
  private readonly next: Int32Array

  constructor(topology: Topology, subnets: ReadonlyArray<SubnetPlan>) {
    this.subnets = subnets
    const indexOf = new Map(subnets.map((subnet, index) => [subnet.name, index]))
    this.routers = Object.entries(topology.routers).map(([name, spec]) => {
      const outside = spec.nat === undefined ? -1 : spec.subnets.indexOf(spec.nat.outside)
      assert(spec.nat === undefined || outside >= 0, `the outside of NAT ${name} is one of its subnets`)
      const own = spec.subnets.map((subnet) => indexOf.get(subnet)!)
      return { subnets: own, outside: outside < 0 ? -1 : own[outside] }
    })
    this.distance = new Int32Array(subnets.length ** 2).fill(-1)
    this.next = new Int32Array(subnets.length ** 2).fill(NO_ROUTE)
    for (let to = 0; to < subnets.length; to++) this.spread(to)
    for (let from = 0; from < subnets.length; from++) this.refuseAmbiguity(from)
  }

  /**
   * The router to which a packet for `address` goes from subnet `from`. If none leads there but a NAT on the subnet has the
   * address on its inside, that NAT: it is for the NAT to refuse.
   */
  routerFrom(from: number, address: number): number {
    const to = this.longestMatch(from, address)
    if (to >= 0) return this.next[from * this.subnets.length + to]
    return this.routers.findIndex(
      (router) => router.outside === from && router.subnets.some((inside) => contains(this.subnets[inside], address))
    )
  }

  /** The subnet, as a position among the router's own, by which a packet for `address` leaves router `router`. */
  exitOf(router: number, address: number): number {
    const own = this.routers[router].subnets
    let best = NO_ROUTE
    let bestPrefix = -1
    let bestDistance = 0
    for (let position = 0; position < own.length; position++) {
      const to = this.longestMatch(own[position], address)
      if (to < 0) continue
      const { prefixLength } = this.subnets[to]
      const distance = this.distance[own[position] * this.subnets.length + to]
      if (prefixLength < bestPrefix || (prefixLength === bestPrefix && distance >= bestDistance)) continue
      best = position
      bestPrefix = prefixLength
      bestDistance = distance
    }
    return best
  }

  /** The reachable subnet (itself included) with the longest prefix that has `address`; nearest first among equals. */
  private longestMatch(from: number, address: number): number {
    let best = -1
    for (let to = 0; to < this.subnets.length; to++) {
      const reachable = this.distance[from * this.subnets.length + to] >= 0
      if (!reachable || !contains(this.subnets[to], address)) continue
      if (best < 0 || this.subnets[to].prefixLength > this.subnets[best].prefixLength) best = to
    }
    return best
  }

  /** Breadth first, backwards from subnet `to`. */
  private spread(to: number): void {
    const count = this.subnets.length
    const queue = [to]
    this.distance[to * count + to] = 0
    for (let at = 0; at < queue.length; at++) {
      const near = queue[at]
      for (let router = 0; router < this.routers.length; router++) {
        if (!this.routers[router].subnets.includes(near)) continue
        for (const far of this.routers[router].subnets) {
          if (this.routers[router].outside === far || this.distance[far * count + to] >= 0) continue
          this.distance[far * count + to] = this.distance[near * count + to] + 1
          this.next[far * count + to] = router
          queue.push(far)
        }
      }
    }
  }

  /** Two subnets with one prefix cannot both be reached from one place. */
  private refuseAmbiguity(from: number): void {
    const seen = new Map<string, string>()
    this.subnets.forEach((subnet, to) => {
      if (this.distance[from * this.subnets.length + to] < 0) return
      const key = `${subnet.base}/${subnet.prefixLength}`
      const other = seen.get(key)
      assert(
        other === undefined,
        `${subnet.name} and ${other} have the same prefix, so a NAT parts both from ${this.subnets[from].name}`
      )
      seen.set(key, subnet.name)
    })
  }
}

/** A cache over one of the look-ups above: keys are addresses as signed 32-bit integers, which a Map holds without boxing. */
export class RouteCache {
  private readonly entries = new Map<number, number>()
  private readonly resolve: (address: number) => number

  constructor(resolve: (address: number) => number) {
    this.resolve = resolve
  }

  get(address: number): number {
    const known = this.entries.get(address | 0)
    if (known !== undefined) return known
    const found = this.resolve(address)
    if (this.entries.size >= CACHE_MAX) this.entries.clear()
    this.entries.set(address | 0, found)
    return found
  }
}
