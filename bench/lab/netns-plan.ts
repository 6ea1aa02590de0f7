/**
 * A topology as network namespaces, planned as data: one namespace for each host and router, and one for all switches, in which
 * every subnet is a bridge and every access link ends as a port. Addresses are those of core/lab/address-plan, ways those of the
 * simulator's shortest paths, so that a packet goes the same way in every world.
 */

import { contains, planAddresses, type SubnetPlan } from "@horizon/core/lab/address-plan.ts"
import type { NatSpec, Topology } from "@horizon/core/lab/topology.ts"
import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { NO_ROUTE, Routes } from "@horizon/sim/net/routes.ts"
import { LabError } from "./lab-error.ts"
import type { LinkEnds } from "./link-driver.ts"

/** A host's or router's interface, and the port of the switch at the other end of its access link. */
export interface InterfacePlan {
  /** As links and faults name it: the host's name, or `router/subnet`. */
  readonly name: string
  /** Name of the device in its namespace. */
  readonly device: string
  readonly mac: string
  /** Dotted IPv4 address. */
  readonly address: string
  readonly prefixLength: number
  readonly subnet: string
  /** Name of the device in the switch's namespace. */
  readonly port: string
  readonly up: LinkSpec
  readonly down: LinkSpec
}

export interface RoutePlan {
  /** `a.b.c.d/n` or `default`. */
  readonly to: string
  /** Address of the next router. */
  readonly via: string
}

export interface NodePlan {
  /** Name of the host or router. */
  readonly name: string
  readonly namespace: string
  readonly forwards: boolean
  readonly interfaces: ReadonlyArray<InterfacePlan>
  readonly routes: ReadonlyArray<RoutePlan>
  readonly nat?: NatSpec
}

export interface BridgePlan {
  readonly subnet: string
  readonly device: string
}

export interface NetnsPlan {
  readonly lab: string
  /** Namespace of all bridges. */
  readonly switch: string
  readonly bridges: ReadonlyArray<BridgePlan>
  /** Hosts in declaration order, then routers. */
  readonly nodes: ReadonlyArray<NodePlan>
  readonly subnets: ReadonlyMap<string, SubnetPlan>
}

/** A lab's name and the names in its topology become names of namespaces, which are files. */
const LAB_NAME = /^hz[a-z0-9-]{1,40}$/
const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** Plans a topology for the lab `lab`, whose name starts with `hz`; a `LabError` if a name cannot be one of a namespace. */
export const planNetns = (topology: Topology, lab: string): NetnsPlan => {
  refuseNames(topology, lab)
  const { interfaces, subnets } = planAddresses(topology)
  const ways = new Ways(topology, [...subnets.values()], interfaces)
  const plans = interfaces.map((own, index): InterfacePlan & { readonly owner: string } => {
    const links = topology.hosts[own.owner] ?? topology.routers[own.owner].links?.[own.subnet]
    const position = topology.routers[own.owner]?.subnets.indexOf(own.subnet) ?? 0
    return {
      owner: own.owner,
      name: own.name,
      device: `eth${position}`,
      mac: macOf(index),
      address: formatV4(own.address),
      prefixLength: subnets.get(own.subnet)!.prefixLength,
      subnet: own.subnet,
      port: `p${index}`,
      up: linkSpec(links?.up),
      down: linkSpec(links?.down)
    }
  })
  const interfacesOf = (name: string): ReadonlyArray<InterfacePlan> =>
    plans.filter((one) => one.owner === name).map(({ owner: _, ...plan }) => plan)
  const hosts = Object.entries(topology.hosts).map(([name, { subnet }]): NodePlan => {
    const routes = ways.ofHost(subnet)
    return { name, namespace: `${lab}.${name}`, forwards: false, interfaces: interfacesOf(name), routes }
  })
  const routers = Object.entries(topology.routers).map(([name, { nat }], index): NodePlan => {
    const routes = ways.ofRouter(index)
    const own = { name, namespace: `${lab}.${name}`, forwards: true, interfaces: interfacesOf(name), routes }
    return nat === undefined ? own : { ...own, nat }
  })
  const bridges = [...subnets.keys()].map((subnet, index) => ({ subnet, device: `br${index}` }))
  return { lab, switch: lab, bridges, nodes: [...hosts, ...routers], subnets }
}

/** The access links, in the order of the plan's interfaces, as drivers take them. */
export const linksOf = (plan: NetnsPlan): ReadonlyArray<LinkEnds> =>
  plan.nodes.flatMap(({ interfaces, namespace }) =>
    interfaces.map(({ device, name, port }) => ({
      name,
      host: { namespace, device },
      subnet: { namespace: plan.switch, device: port }
    }))
  )

/** All namespaces of the plan, the switch's first. */
export const namespacesOf = (plan: NetnsPlan): ReadonlyArray<string> => [
  plan.switch,
  ...plan.nodes.map(({ namespace }) => namespace)
]

const refuseNames = (topology: Topology, lab: string): void => {
  if (!LAB_NAME.test(lab))
    throw new LabError("failed", `lab name "${lab}": give "hz" and 1 to 40 of a-z, 0-9 and "-", for example hz-lan-1`)
  for (const name of [...Object.keys(topology.hosts), ...Object.keys(topology.routers)])
    if (!NODE_NAME.test(name))
      throw new LabError("failed", `host "${name}": a name of letters, digits, ".", "_" and "-" makes a namespace`)
}

/** Locally administered, unicast, and the same in every build of a topology. */
const macOf = (index: number): string =>
  `02:68:7a:${[16, 8, 0].map((shift) => ((index >>> shift) & 255).toString(16).padStart(2, "0")).join(":")}`

/** Static routes from the simulator's shortest paths. */
class Ways {
  private readonly subnets: ReadonlyArray<SubnetPlan>
  private readonly topology: Topology
  private readonly routes: Routes
  /** Address of `router/subnet`. */
  private readonly addresses: ReadonlyMap<string, number>

  constructor(
    topology: Topology,
    subnets: ReadonlyArray<SubnetPlan>,
    interfaces: ReadonlyArray<{ readonly name: string; readonly address: number }>
  ) {
    this.topology = topology
    this.subnets = subnets
    this.routes = new Routes(topology, subnets)
    this.addresses = new Map(interfaces.map(({ address, name }) => [name, address]))
  }

  ofHost(subnet: string): ReadonlyArray<RoutePlan> {
    const from = this.indexOf(subnet)
    const routes = this.farFrom([subnet]).flatMap((to) =>
      this.route(cidrOf(to), from, this.routes.routerFrom(from, this.typical(to)))
    )
    return [...routes, ...this.route("default", from, this.upstream(from, undefined))]
  }

  ofRouter(router: number): ReadonlyArray<RoutePlan> {
    const { nat, subnets } = Object.values(this.topology.routers)[router]
    const routes = this.farFrom(subnets).flatMap((to) => {
      const exit = this.routes.exitOf(router, this.typical(to))
      if (exit === NO_ROUTE) return []
      const from = this.indexOf(subnets[exit])
      return this.route(cidrOf(to), from, this.routes.routerFrom(from, this.typical(to)))
    })
    if (nat === undefined) return routes
    const outside = this.indexOf(nat.outside)
    return [...routes, ...this.route("default", outside, this.upstream(outside, router))]
  }

  /** One subnet for each prefix that is not that of `own`. */
  private farFrom(own: ReadonlyArray<string>): ReadonlyArray<SubnetPlan> {
    const seen = new Set(own.map((name) => cidrOf(this.subnets[this.indexOf(name)])))
    return this.subnets.filter((subnet) => !seen.has(cidrOf(subnet)) && seen.add(cidrOf(subnet)))
  }

  /** An address that lies in the subnet and in none with a longer prefix, if there is one. */
  private typical(subnet: SubnetPlan): number {
    const longer = this.subnets.filter(({ prefixLength }) => prefixLength > subnet.prefixLength)
    const candidates = [subnet.base + 1, ...longer.map(({ broadcast }) => broadcast + 1)]
    const free = (address: number): boolean =>
      contains(subnet, address) && !longer.some((other) => contains(other, address))
    return candidates.find(free) ?? subnet.base + 1
  }

  /** The first router on a subnet, other than `self`, that is not a NAT with its outside there. */
  private upstream(from: number, self: number | undefined): number {
    const { name } = this.subnets[from]
    return Object.values(this.topology.routers).findIndex(
      ({ nat, subnets }, index) => index !== self && subnets.includes(name) && nat?.outside !== name
    )
  }

  private route(to: string, from: number, router: number): ReadonlyArray<RoutePlan> {
    if (router < 0) return []
    const name = Object.keys(this.topology.routers)[router]
    return [{ to, via: formatV4(this.addresses.get(`${name}/${this.subnets[from].name}`)!) }]
  }

  private indexOf(subnet: string): number {
    return this.subnets.findIndex(({ name }) => name === subnet)
  }
}

const cidrOf = ({ base, prefixLength }: SubnetPlan): string => `${formatV4(base)}/${prefixLength}`
