/**
 * What the tools are told to make a planned lab stand: lines for `ip -batch` and `bridge -batch`, settings for `sysctl -w`.
 *
 * Neighbours and the switches' tables are fixed, as an ideal switch that knows at once where every address is: no ARP packet
 * takes time on a slow link or is lost on a bad one, and no frame floods the links of those whom it does not concern.
 */

import type { InterfacePlan, NetnsPlan, NodePlan } from "./netns-plan.ts"

/** Settings of a host's or router's namespace; devices that are made later inherit them. */
export const nodeSettings = ({ forwards }: NodePlan): ReadonlyArray<string> => [
  // First, because it resets others.
  `net.ipv4.ip_forward=${forwards ? 1 : 0}`,
  // Namespaces may inherit the host's settings, so everything on which a packet's way depends is said.
  ...["all", "default"].flatMap((scope) => [
    `net.ipv4.conf.${scope}.rp_filter=0`,
    `net.ipv4.conf.${scope}.send_redirects=0`,
    `net.ipv4.conf.${scope}.accept_redirects=0`,
    `net.ipv4.conf.${scope}.promote_secondaries=1`
  ]),
  "net.ipv4.icmp_ratelimit=0"
]

/** For kernels with IPv6: topologies are IPv4, and a neighbour solicitation is a packet that no other world has. */
export const IPV6_OFF: ReadonlyArray<string> = [
  "net.ipv6.conf.all.disable_ipv6=1",
  "net.ipv6.conf.default.disable_ipv6=1"
]

/** For kernels with br_netfilter: bridged packets stay in the bridge's own hooks. */
export const BRIDGE_HOOKS_OFF: ReadonlyArray<string> = ["net.bridge.bridge-nf-call-iptables=0"]

/** Addresses, neighbours and routes of a host or router, in its namespace. */
export const nodeBatch = (plan: NetnsPlan, node: NodePlan): ReadonlyArray<string> => [
  "link set dev lo up",
  ...node.interfaces.flatMap((own) => [
    `link set dev ${own.device} address ${own.mac}`,
    `link set dev ${own.device} up`,
    `addr add ${own.address}/${own.prefixLength} dev ${own.device}`,
    ...neighboursOf(plan, own).map(({ address, mac }) => neighbour(own.device, address, mac))
  ]),
  ...node.routes.map(({ to, via }) => `route replace ${to} via ${via}`)
]

/** A neighbour that is known for ever. */
export const neighbour = (device: string, address: string, mac: string): string =>
  `neigh replace ${address} dev ${device} lladdr ${mac} nud permanent`

/** The other interfaces on an interface's subnet. */
export const neighboursOf = (plan: NetnsPlan, own: InterfacePlan): ReadonlyArray<InterfacePlan> =>
  plan.nodes.flatMap(({ interfaces }) => interfaces.filter((one) => one.subnet === own.subnet && one !== own))

/** Bridges and their ports, in the switch's namespace, when the drivers have made the devices. */
export const switchBatch = (plan: NetnsPlan): ReadonlyArray<string> => [
  "link set dev lo up",
  ...plan.bridges.flatMap(({ device }) => [
    `link add ${device} type bridge stp_state 0 mcast_snooping 0`,
    `link set dev ${device} up`
  ]),
  ...portsOf(plan).flatMap(({ bridge, own, router }) => [
    `link set dev ${own.port} master ${bridge}`,
    // Broadcasts are for hosts; routers take no part in them.
    `link set dev ${own.port} type bridge_slave learning off flood off mcast_flood off bcast_flood ${router ? "off" : "on"}`
  ])
]

/** Where each address lies, for `bridge -batch` in the switch's namespace. */
export const switchTable = (plan: NetnsPlan): ReadonlyArray<string> =>
  portsOf(plan).map(({ own }) => `fdb replace ${own.mac} dev ${own.port} master static`)

/** Takes a port out of its switch, or puts it back, for `bridge -batch`: both ends stay up, and what is sent goes nowhere. */
export const portState = (port: string, up: boolean): string =>
  `link set dev ${port} state ${up ? FORWARDING : DISABLED}`

/** States of a bridge's port, linux/if_bridge.h. */
const DISABLED = 0
const FORWARDING = 3

const portsOf = (
  plan: NetnsPlan
): ReadonlyArray<{ readonly bridge: string; readonly own: InterfacePlan; readonly router: boolean }> =>
  plan.nodes.flatMap(({ forwards, interfaces }) =>
    interfaces.map((own) => ({
      bridge: plan.bridges.find(({ subnet }) => subnet === own.subnet)!.device,
      own,
      router: forwards
    }))
  )
