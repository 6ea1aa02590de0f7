/**
 * Swarm: draws a fault timeline and knobs (settings of the nodes, order of ready work) from a seed. True swarm testing (Groce et al., "Swarm Testing", ISSTA 2012): each family of
 * faults is left out with probability one half, and those that stay get very different weights, so that seeds explore different
 * corners instead of all being the same mix.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { linkSpec } from "@horizon/core/link/spec.ts"
import type { NodeKind, Scenario } from "@horizon/scenarios/scenario.ts"
import { Rng } from "@horizon/sim/kernel/rng.ts"

export interface SwarmDraw {
  readonly timeline: ReadonlyArray<Fault>
  /** Settings that replace those of the scenario's nodes, by kind of node. */
  readonly knobs: Readonly<Partial<Record<NodeKind, Readonly<Record<string, number>>>>>
  readonly drawn: Readonly<Record<string, string | number | boolean>>
  readonly order: "fifo" | "random"
  readonly preemptPpm: number
  readonly maxOpsBeforeYield: number
}

type Family = Fault["kind"]
const FAMILIES: ReadonlyArray<Family> = [
  "link",
  "partition",
  "nat-wipe",
  "nat-rebind",
  "crash",
  "pause",
  "clock-step",
  "clock-drift",
  "store",
  "outage",
  "slow-consumer",
  "upgrade"
]

/** What a run without a swarm uses. */
export const NO_SWARM = { order: "fifo", preemptPpm: 0, maxOpsBeforeYield: 2048 } as const

/** Draws the swarm of `seed` for a scenario that has one. */
export const drawSwarm = (scenario: Scenario, seed: number): SwarmDraw => {
  const spec = scenario.swarm!
  const rng = new Rng(seed, "swarm")
  const possible = FAMILIES.filter((family) => isPossible(scenario, family))
  const weights = possible.map(() => (rng.chance(500_000) ? 0 : 1 << rng.below(7)))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const timeline: Array<Fault> = []
  const count = total === 0 ? 0 : 1 + rng.below(spec.faultsMax)
  for (let i = 0; i < count; i++) {
    let pick = rng.below(total)
    const family = possible.find((_, index) => (pick -= weights[index]) < 0)!
    timeline.push(drawFault(scenario, family, rng))
  }
  timeline.sort((a, b) => a.atMs - b.atMs)
  const order = rng.chance(500_000) ? "random" : "fifo"
  const preemptPpm = rng.chance(300_000) ? rng.pick([1_000, 10_000, 100_000]) : 0
  const maxOpsBeforeYield = rng.pick([2048, 2048, 256, 16])
  const knobs = drawKnobs(new Rng(seed, "swarm/knobs"))
  const drawn: Record<string, string | number | boolean> = { order, preemptPpm, maxOpsBeforeYield, faults: count }
  for (const [kind, settings] of Object.entries(knobs)) {
    for (const [key, value] of Object.entries(settings)) drawn[`${kind}.${key}`] = value
  }
  possible.forEach((family, index) => {
    if (weights[index] > 0) drawn[`weight:${family}`] = weights[index]
  })
  return { timeline, knobs, drawn, order, preemptPpm, maxOpsBeforeYield }
}

/** Values of settings at which the nodes must work too; each setting is left at its default half of the time. */
const KNOBS: SwarmKnobs = {
  broker: {
    ticketLifetimeMs: [10_000, 60_000, 3_600_000],
    heartbeatIntervalMs: [500, 2_000, 10_000],
    sweepIntervalMs: [500, 20_000],
    connectionStaleMs: [5_000, 600_000]
  },
  gateway: {
    replayWindow: [64, 1_024],
    leaseSeconds: [5, 60],
    reportSeconds: [5, 60],
    broadcastCopiesPerSecond: [1, 100]
  },
  game: { snapshotEvery: [1, 3], replayWindow: [256, 1_024], visibleMax: [2, 16] }
}
type SwarmKnobs = Readonly<Partial<Record<NodeKind, Readonly<Record<string, ReadonlyArray<number>>>>>>

const drawKnobs = (rng: Rng): SwarmDraw["knobs"] => {
  const knobs: Partial<Record<NodeKind, Record<string, number>>> = {}
  for (const [kind, settings] of Object.entries(KNOBS) as Array<[NodeKind, Record<string, ReadonlyArray<number>>]>) {
    for (const [key, values] of Object.entries(settings)) {
      const [turned, value] = [rng.chance(500_000), rng.pick(values)]
      if (turned) knobs[kind] = { ...knobs[kind], [key]: value }
    }
  }
  return knobs
}

/** The scenario with its nodes' settings replaced by those drawn. */
export const withKnobs = (scenario: Scenario, knobs: SwarmDraw["knobs"]): Scenario => ({
  ...scenario,
  nodes: scenario.nodes.map((node) => ({ ...node, config: { ...node.config, ...knobs[node.kind] } }))
})

const isPossible = (scenario: Scenario, family: Family): boolean => {
  if (family.startsWith("nat")) return natRouters(scenario).length > 0
  if (family === "outage" || family === "store") return brokers(scenario).length > 0
  return true
}

const natRouters = (scenario: Scenario): ReadonlyArray<string> =>
  Object.entries(scenario.topology.routers).flatMap(([name, router]) => (router.nat === undefined ? [] : [name]))
const brokers = (scenario: Scenario): ReadonlyArray<string> =>
  scenario.nodes.filter((node) => node.kind === "broker").map((node) => node.name)

const drawFault = (scenario: Scenario, kind: Family, rng: Rng): Fault => {
  const nodes = scenario.swarm!.nodes
  const hosts = Object.keys(scenario.topology.hosts)
  const atMs = rng.below(scenario.durationMs)
  const forMs = Math.min(drawDurationMs(rng), scenario.durationMs - atMs)
  const node = rng.pick(nodes)
  switch (kind) {
    case "link":
      return {
        kind,
        atMs,
        forMs,
        interface: rng.pick(hosts),
        direction: rng.pick(["up", "down", "both"]),
        change: drawLink(rng)
      }
    case "partition": {
      const a = hosts.filter(() => rng.chance(300_000))
      const side = a.length === 0 ? [rng.pick(hosts)] : a
      const b = hosts.filter((host) => !side.includes(host))
      return { kind, atMs, forMs, a: side, b, direction: rng.pick(["both", "a-to-b"]) }
    }
    case "nat-wipe":
    case "nat-rebind":
      return { kind, atMs, router: rng.pick(natRouters(scenario)) }
    case "crash":
      return { kind, atMs, node, downMs: drawDurationMs(rng) }
    case "pause":
      return { kind, atMs, forMs, node }
    case "clock-step":
      return { kind, atMs, node, stepMs: rng.between(-120_000, 120_000) }
    case "clock-drift":
      return { kind, atMs, forMs, node, driftPpm: rng.between(-500, 500) }
    case "store":
      return {
        kind,
        atMs,
        forMs,
        node: rng.pick(brokers(scenario)),
        mode: rng.pick(["busy", "full", "slow", "failed-commit"]),
        ppm: rng.pick([10_000, 100_000, 1_000_000]),
        delayMs: rng.between(1, 2_000)
      }
    case "outage":
      return { kind, atMs, forMs, node: rng.pick(brokers(scenario)), mode: rng.pick(["down", "half"]) }
    case "slow-consumer":
      return { kind, atMs, forMs, node, everyMs: rng.pick([5, 50, 500]) }
    case "upgrade":
      return { kind, atMs, nodes: nodes.filter(() => rng.chance(500_000)), everyMs: rng.between(100, 5_000) }
  }
}

/** From 100 ms to about 15 s, short ones more likely. */
const drawDurationMs = (rng: Rng): number => 100 + rng.below(1 << (8 + rng.below(7)))

const drawLink = (rng: Rng) => {
  const spec = linkSpec({
    delayUs: rng.below(200_000),
    jitterUs: rng.below(20_000),
    lossPpm: rng.pick([0, 1_000, 10_000, 100_000, 300_000]),
    duplicatePpm: rng.pick([0, 10_000]),
    corruptPpm: rng.pick([0, 0, 10_000]),
    rateBps: rng.pick([0, 0, 256_000, 2_000_000, 20_000_000]),
    reordering: rng.pick(["allowed", "forbidden"])
  })
  const { delayUs, jitterUs, lossPpm, duplicatePpm, corruptPpm, rateBps, reordering } = spec
  return { delayUs, jitterUs, lossPpm, duplicatePpm, corruptPpm, rateBps, reordering }
}
