import { swarm } from "@horizon/scenarios/cases/swarm.scenario.ts"
import { validateScenario } from "@horizon/scenarios/judge.ts"
import { expect, test } from "vitest"
import { drawSwarm, withKnobs } from "./swarm.ts"

const SEEDS = Array.from({ length: 400 }, (_, seed) => seed)
const draws = SEEDS.map((seed) => drawSwarm(swarm, seed))

test("a seed always draws the same swarm, and other seeds draw others", () => {
  expect(SEEDS.map((seed) => drawSwarm(swarm, seed))).toEqual(draws)
  expect(new Set(draws.map((draw) => JSON.stringify(draw))).size).toBe(SEEDS.length)
})

test("every drawn timeline is one that the scenario can run, in the order of time", () => {
  for (const { timeline, knobs } of draws) {
    expect(validateScenario({ ...withKnobs(swarm, knobs), faults: timeline })).toEqual([])
    expect(timeline.map((fault) => fault.atMs)).toEqual(timeline.map((fault) => fault.atMs).sort((a, b) => a - b))
    for (const fault of timeline)
      if ("forMs" in fault) expect(fault.atMs + fault.forMs).toBeLessThanOrEqual(swarm.durationMs)
  }
})

test("every family of faults strikes in some seeds and is left out in about half of them", () => {
  const families = new Set(draws.flatMap(({ timeline }) => timeline.map((fault) => fault.kind)))
  expect([...families].sort()).toEqual([
    "clock-drift",
    "clock-step",
    "crash",
    "link",
    "nat-rebind",
    "nat-wipe",
    "outage",
    "partition",
    "pause",
    "slow-consumer",
    "store",
    "upgrade"
  ])
  for (const family of families) {
    const drawn = draws.filter(({ drawn }) => drawn[`weight:${family}`] !== undefined).length / SEEDS.length
    expect(drawn, family).toBeGreaterThan(0.4)
    expect(drawn, family).toBeLessThan(0.6)
  }
})

test("knobs replace settings of the nodes of their kind and nothing else", () => {
  const turned = withKnobs(swarm, { gateway: { replayWindow: 64 } })
  for (const [index, node] of turned.nodes.entries()) {
    const before = swarm.nodes[index].config
    expect(node.config).toEqual(node.kind === "gateway" ? { ...before, replayWindow: 64 } : before)
  }
})
