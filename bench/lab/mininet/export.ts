/**
 * A scenario's network as JSON, for builders that are not ours to import: the address plan, every access link's spec as the words of `tc`
 * with what the kernel must show of them afterwards, routes, switches' tables, and NATs as nftables. topology.py builds it in Mininet.
 */

import type { NatSpec, Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { tcPlan } from "@horizon/core/link/tc.ts"
import { SCENARIOS, scenarioByName } from "@horizon/scenarios/registry.ts"
import { NAT_SETTINGS, natRuleset } from "../nat.ts"
import { natOptions } from "../netns-lab.ts"
import { type InterfacePlan, type NetnsPlan, type NodePlan, planNetns } from "../netns-plan.ts"
import { BRIDGE_HOOKS_OFF, IPV6_OFF, nodeBatch, nodeSettings, switchBatch, switchTable } from "../netns-script.ts"
import { isPerfect } from "../tc-held.ts"
import { plannedSettings } from "../tc-settings.ts"

export interface ExportedTopology {
  readonly format: "horizon-topology/1"
  readonly name: string
  /** Settings of the namespace in which the switches are, for `sysctl -w`. */
  readonly settings: ReadonlyArray<string>
  readonly switches: ReadonlyArray<ExportedSwitch>
  /** Hosts, then routers. */
  readonly nodes: ReadonlyArray<ExportedNode>
}

export interface ExportedSwitch {
  /** Its device, if it is a bridge. */
  readonly name: string
  readonly subnet: string
  readonly cidr: string
  readonly ports: ReadonlyArray<{ readonly device: string; readonly mac: string }>
  /** For `ip -batch`: makes it a bridge with its ports, which must be there. */
  readonly bridge: ReadonlyArray<string>
  /** For `bridge -batch`: behind which port each address lies. */
  readonly table: ReadonlyArray<string>
}

export interface ExportedNode {
  readonly name: string
  readonly forwards: boolean
  /** For `sysctl -w`, before there are devices. */
  readonly settings: ReadonlyArray<string>
  /** For `ip -batch`, when there are: addresses, neighbours, routes. */
  readonly addresses: ReadonlyArray<string>
  readonly interfaces: ReadonlyArray<ExportedInterface>
  readonly nat: ExportedNat | null
}

export interface ExportedInterface {
  /** As faults name the link. */
  readonly name: string
  readonly device: string
  readonly address: string
  readonly prefixLength: number
  readonly switch: string
  readonly port: string
  /** From the host, on the egress of its device. */
  readonly up: ExportedWay
  /** To the host, on the egress of the switch's port. */
  readonly down: ExportedWay
}

export interface ExportedWay {
  readonly spec: LinkSpec
  readonly qdiscs: ReadonlyArray<ExportedQdisc>
  /** What the kernel does only nearly. */
  readonly notes: ReadonlyArray<string>
  /** What it cannot do: a builder that has only `tc` must refuse the link. */
  readonly refusals: ReadonlyArray<string>
}

export interface ExportedQdisc {
  /** Arguments of `tc`. */
  readonly words: ReadonlyArray<string>
  readonly kind: string
  /** `root 1:` or `PARENT HANDLE`. */
  readonly place: string
  /** What `tc -j -d -r qdisc show` must show, by names that end in their unit (tc-settings.ts). */
  readonly holds: Readonly<Record<string, number | string>>
}

export interface ExportedNat extends NatSpec {
  /** For `nft -f`. */
  readonly rules: string
  /** For `sysctl -w`, when the rules stand. */
  readonly settings: ReadonlyArray<string>
}

/** The network of a scenario; `undefined` if there is none of that name. */
export const exportScenario = (name: string): ExportedTopology | undefined => {
  const scenario = scenarioByName(name)
  return scenario === undefined ? undefined : exportTopology(name, scenario.topology)
}

/** Names of what can be exported. */
export const scenarioNames = (): ReadonlyArray<string> => SCENARIOS.map(({ name }) => name)

export const exportTopology = (name: string, topology: Topology): ExportedTopology =>
  exportPlan(name, planNetns(topology, "hz-export"), topology)

const exportPlan = (name: string, plan: NetnsPlan, topology: Topology): ExportedTopology => ({
  format: "horizon-topology/1",
  name,
  settings: [...IPV6_OFF, ...BRIDGE_HOOKS_OFF],
  switches: plan.bridges.map(({ device, subnet }): ExportedSwitch => {
    const own = only(plan, subnet)
    return {
      name: device,
      subnet,
      cidr: topology.subnets[subnet].cidr,
      ports: own.nodes.flatMap(({ interfaces }) => interfaces.map(({ mac, port }) => ({ device: port, mac }))),
      bridge: switchBatch(own),
      table: switchTable(own)
    }
  }),
  nodes: plan.nodes.map((node) => exportNode(plan, node))
})

/** What of a plan concerns one subnet's switch. */
const only = (plan: NetnsPlan, subnet: string): NetnsPlan => ({
  ...plan,
  bridges: plan.bridges.filter((bridge) => bridge.subnet === subnet),
  nodes: plan.nodes.map((node) => ({
    ...node,
    interfaces: node.interfaces.filter((own) => own.subnet === subnet)
  }))
})

const exportNode = (plan: NetnsPlan, node: NodePlan): ExportedNode => ({
  name: node.name,
  forwards: node.forwards,
  settings: [...nodeSettings(node), ...IPV6_OFF],
  addresses: nodeBatch(plan, node),
  interfaces: node.interfaces.map((own) => ({
    name: own.name,
    device: own.device,
    address: own.address,
    prefixLength: own.prefixLength,
    switch: plan.bridges.find(({ subnet }) => subnet === own.subnet)!.device,
    port: own.port,
    up: exportWay(own, "up"),
    down: exportWay(own, "down")
  })),
  nat: node.nat === undefined ? null : { ...node.nat, rules: natRuleset(natOptions(node), 1), settings: NAT_SETTINGS }
})

const exportWay = (own: InterfacePlan, way: "up" | "down"): ExportedWay => {
  const spec = own[way]
  if (isPerfect(spec) && (spec.mtuBytes === 0 || spec.mtuBytes === 1500))
    return { spec, qdiscs: [], notes: [], refusals: [] }
  const plan = tcPlan(spec, way === "up" ? own.device : own.port)
  if (!plan.ok) return { spec, qdiscs: [], notes: [], refusals: plan.refusals.map(({ sentence }) => sentence) }
  const qdiscs = plan.qdiscs.map((words): ExportedQdisc => {
    const { kind, place, settings } = plannedSettings(words)
    return { words, kind, place, holds: Object.fromEntries(settings) }
  })
  return { spec, qdiscs, notes: plan.notes, refusals: [] }
}
