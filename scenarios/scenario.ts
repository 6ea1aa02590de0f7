/**
 * What Horizon asks, as data. A scenario names a network, the nodes on it, the load that actors put on them, the faults that
 * strike, and what must hold. Any world that offers what it needs can run it.
 *
 * Times are milliseconds from the start of the run. The safety phase lasts `durationMs`: faults strike, checks must hold.
 * Then faults stop, everything is healed, and the goals must be met within `livenessMs`.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import type { Topology } from "@horizon/core/lab/topology.ts"
import type { Verdict } from "@horizon/core/measure/run.ts"

export type NodeKind = "broker" | "gateway" | "client" | "game"

/** One node: a program of ours on a host, with the settings that differ from the defaults. */
export interface NodeSpec {
  readonly name: string
  readonly kind: NodeKind
  readonly host: string
  readonly config: Readonly<Record<string, unknown>>
  /** When it starts; 0 if left out. */
  readonly startMs?: number
}

/** One source of load or observation on a host, outside the nodes under test. */
export interface ActorSpec {
  readonly name: string
  /** A key of the actor registry. */
  readonly kind: string
  readonly host: string
  /** Whether it speaks over the host's network or through the host's tunnel interface. */
  readonly over: "network" | "tunnel"
  readonly startMs: number
  readonly params: Readonly<Record<string, unknown>>
}

/** One thing that must hold: a key of the check registry with its parameters. */
export interface CheckSpec {
  readonly check: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Which families a swarm may draw from, and how hard. */
export interface SwarmSpec {
  /** Nodes that may crash, pause, drift … */
  readonly nodes: ReadonlyArray<string>
  readonly faultsMax: number
}

export interface Scenario {
  /** kebab-case; unique. */
  readonly name: string
  /** One sentence: what is asked. */
  readonly summary: string
  readonly tags: ReadonlyArray<string>
  readonly durationMs: number
  readonly livenessMs: number
  readonly topology: Topology
  readonly nodes: ReadonlyArray<NodeSpec>
  readonly actors: ReadonlyArray<ActorSpec>
  readonly faults: ReadonlyArray<Fault>
  /** Draw further faults, knobs and the order of ready work from the seed. */
  readonly swarm?: SwarmSpec
  readonly checks: ReadonlyArray<CheckSpec>
  readonly goals: ReadonlyArray<CheckSpec>
  /** Rare paths that a suite of seeds must reach (scenarios/sometimes.ts). */
  readonly sometimes?: ReadonlyArray<string>
  /** Planted faults by name (core/port/fault-points.ts). */
  readonly plant?: ReadonlyArray<string>
  /** A canary passes if, and only if, the run comes to this verdict. */
  readonly canary?: Verdict
}

/**
 * What a world must offer to run a scenario. `virtual-time` is for questions about virtual time itself, which a scenario asks by a tag of
 * that name; a long scenario only takes long where time is real.
 */
export type Need =
  | "impaired-links"
  | "nat"
  | "partition"
  | "crash"
  | "outage"
  | "pause"
  | "clock-control"
  | "store-faults"
  | "slow-consumer"
  | "upgrade"
  | "swarm"
  | "planted-faults"
  | "virtual-time"

/** The needs of a scenario, derived from what it names. */
export const needsOf = (scenario: Scenario): ReadonlyArray<Need> => {
  const needs = new Set<Need>()
  const { topology } = scenario
  const impaired = (change: object | undefined): boolean => change !== undefined && Object.keys(change).length > 0
  for (const host of Object.values(topology.hosts)) {
    if (impaired(host.up) || impaired(host.down)) needs.add("impaired-links")
  }
  for (const router of Object.values(topology.routers)) {
    if (router.nat !== undefined) needs.add("nat")
    for (const link of Object.values(router.links ?? {})) {
      if (impaired(link.up) || impaired(link.down)) needs.add("impaired-links")
    }
  }
  for (const fault of scenario.faults) needs.add(NEED_OF_FAULT[fault.kind])
  if (scenario.swarm !== undefined) needs.add("swarm")
  if (scenario.plant !== undefined) needs.add("planted-faults")
  if (scenario.tags.includes("virtual-time")) needs.add("virtual-time")
  return [...needs].sort()
}

const NEED_OF_FAULT: Readonly<Record<Fault["kind"], Need>> = {
  link: "impaired-links",
  partition: "partition",
  "nat-wipe": "nat",
  "nat-rebind": "nat",
  crash: "crash",
  pause: "pause",
  "clock-step": "clock-control",
  "clock-drift": "clock-control",
  store: "store-faults",
  outage: "outage",
  "slow-consumer": "slow-consumer",
  upgrade: "upgrade"
}
