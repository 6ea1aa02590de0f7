/**
 * Which IPv4 address every interface of a topology has. Worlds must agree on it, so it is decided here, once.
 *
 * In each subnet the addresses that hosts name themselves are taken first; then routers, in declaration order, take the lowest
 * free ones (so a lone router is `.1`); then the other hosts, in declaration order, the next.
 */

import { assert } from "../assert.ts"
import { formatV4, parseV4 } from "../wire/address.ts"
import type { Topology } from "./topology.ts"

/** A subnet's prefix as numbers. */
export interface SubnetPlan {
  readonly name: string
  /** First address of the prefix, as an unsigned 32-bit number. */
  readonly base: number
  readonly prefixLength: number
  readonly mask: number
  /** Directed broadcast address: the last of the prefix. */
  readonly broadcast: number
}

/** One interface: a host's is named like the host, a router's `router/subnet`. */
export interface InterfacePlan {
  readonly name: string
  readonly owner: string
  readonly subnet: string
  /** Unsigned 32-bit number. */
  readonly address: number
}

export interface AddressPlan {
  readonly subnets: ReadonlyMap<string, SubnetPlan>
  /** Hosts' interfaces in declaration order, then routers'. */
  readonly interfaces: ReadonlyArray<InterfacePlan>
}

/** Plans a topology; a topology that cannot be built (unknown subnet, address twice, subnet full) is a bug of its author. */
export const planAddresses = (topology: Topology): AddressPlan => {
  refuseDoubles([topology.subnets, topology.hosts, topology.routers].flatMap((part) => Object.keys(part)))
  const subnets = new Map(Object.entries(topology.subnets).map(([name, spec]) => [name, planSubnet(name, spec.cidr)]))
  const subnetOf = (name: string, owner: string): SubnetPlan => {
    const subnet = subnets.get(name)
    assert(subnet !== undefined, `${owner} lies on the subnet ${name}, which is declared`)
    return subnet
  }
  const taken = new Map([...subnets.keys()].map((name) => [name, new Set<number>()]))
  const hostAddress = new Map<string, number>()
  for (const [name, host] of Object.entries(topology.hosts)) {
    const subnet = subnetOf(host.subnet, name)
    if (host.address === undefined) continue
    const address = parseV4(host.address)
    assert(
      address !== undefined && address > subnet.base && address < subnet.broadcast,
      `${name} has an IPv4 address inside ${subnet.name}`
    )
    take(taken.get(subnet.name)!, address, name)
    hostAddress.set(name, address)
  }
  const routers: Array<InterfacePlan> = []
  for (const [owner, router] of Object.entries(topology.routers)) {
    refuseDoubles(router.subnets)
    for (const subnet of router.subnets) {
      const address = takeLowest(taken.get(subnetOf(subnet, owner).name)!, subnets.get(subnet)!)
      routers.push({ name: `${owner}/${subnet}`, owner, subnet, address })
    }
  }
  const hosts = Object.entries(topology.hosts).map(([name, { subnet }]) => {
    const address = hostAddress.get(name) ?? takeLowest(taken.get(subnet)!, subnets.get(subnet)!)
    return { name, owner: name, subnet, address }
  })
  return { subnets, interfaces: [...hosts, ...routers] }
}

/** Whether `address` lies in the subnet's prefix. */
export const contains = (subnet: SubnetPlan, address: number): boolean => (address & subnet.mask) >>> 0 === subnet.base

const planSubnet = (name: string, cidr: string): SubnetPlan => {
  const [text, length] = cidr.split("/")
  const address = parseV4(text)
  const prefixLength = Number(length)
  assert(
    address !== undefined && Number.isInteger(prefixLength) && prefixLength >= 1 && prefixLength <= 30,
    `subnet ${name} has a prefix a.b.c.d/1 to a.b.c.d/30, not ${cidr}`
  )
  const mask = (0xffffffff << (32 - prefixLength)) >>> 0
  const base = (address & mask) >>> 0
  return { name, base, prefixLength, mask, broadcast: (base | ~mask) >>> 0 }
}

const refuseDoubles = (names: ReadonlyArray<string>): void => {
  const double = names.find((name, index) => names.indexOf(name) !== index)
  assert(double === undefined, `the name ${double} stands for one subnet, host or router and is listed once`)
}

const take = (taken: Set<number>, address: number, owner: string): void => {
  assert(!taken.has(address), `${owner} is the only owner of ${formatV4(address)} in its subnet`)
  taken.add(address)
}

const takeLowest = (taken: Set<number>, subnet: SubnetPlan): number => {
  for (let address = subnet.base + 1; address < subnet.broadcast; address++) {
    if (taken.has(address)) continue
    taken.add(address)
    return address
  }
  assert(false, `subnet ${subnet.name} has an address left for each of its interfaces`)
}
