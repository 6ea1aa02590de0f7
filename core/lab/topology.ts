/**
 * A lab's network as data: subnets, hosts on them, routers between them. Worlds build it: the simulator as objects, the
 * network-namespace world as bridges, veth pairs, nftables and qdiscs, Mininet as its own nodes.
 *
 * A subnet is an ideal switch and one broadcast domain. Every host and router interface hangs on it by an access link
 * with two directions, and all impairment lies in those access links.
 */

import type { LinkSpec } from "../link/spec.ts"

/** One IPv4 subnet. */
export interface SubnetSpec {
  /** `a.b.c.d/n` */
  readonly cidr: string
}

/** A host with one interface. */
export interface HostSpec {
  readonly subnet: string
  /** Its address; assigned from the subnet in declaration order if left out. */
  readonly address?: string
  /** From the host into the subnet. */
  readonly up?: Partial<LinkSpec>
  /** From the subnet to the host. */
  readonly down?: Partial<LinkSpec>
}

/**
 * RFC 4787 behaviours under their common names. Mapping is endpoint-independent but for `symmetric`; filtering is
 * endpoint-independent (`full-cone`), address-dependent, or address-and-port-dependent.
 */
export type NatKind = "full-cone" | "address-restricted" | "port-restricted" | "symmetric"

/** Address and port translation of everything that leaves through a router's outside interface. */
export interface NatSpec {
  readonly kind: NatKind
  /** Subnet on which the outside interface lies. */
  readonly outside: string
  /** Life of an unused UDP mapping; RFC 4787 asks for at least 120 s, home routers often use 30 s. */
  readonly udpTimeoutMs: number
  /** Whether an inside host reaches another inside host through its outside mapping (RFC 4787 §6). */
  readonly hairpin: boolean
}

/** A router: one interface on each of `subnets`. */
export interface RouterSpec {
  readonly subnets: ReadonlyArray<string>
  readonly nat?: NatSpec
  /** Access link of each interface, towards the subnet and from it; perfect if left out. */
  readonly links?: Readonly<Record<string, { readonly up?: Partial<LinkSpec>; readonly down?: Partial<LinkSpec> }>>
}

/** A whole network. Names are unique over subnets, hosts and routers. */
export interface Topology {
  readonly subnets: Readonly<Record<string, SubnetSpec>>
  readonly hosts: Readonly<Record<string, HostSpec>>
  readonly routers: Readonly<Record<string, RouterSpec>>
}
