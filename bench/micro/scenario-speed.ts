/** The simulator's speed on whole scenarios: idle control plane, a full game, a loaded tunnel, chaos seeds. */

import { buildLab, lanActors, playerActors } from "@horizon/scenarios/plan.ts"
import { scenarioByName } from "@horizon/scenarios/registry.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { makeSimulated } from "../world/simulated.ts"
import type { SpeedFigure } from "./speed-figure.ts"

export interface SpeedScenario {
  readonly work: string
  readonly scenario: Scenario
  readonly crypto: "noble" | "stub"
  readonly seeds: ReadonlyArray<number>
  readonly must: number
  readonly unit: SpeedFigure["unit"]
}

const bare = { livenessMs: 1_000, faults: [], checks: [], goals: [], tags: [], summary: "speed" }

const idle: Scenario = {
  ...bare,
  name: "speed-idle",
  durationMs: 300_000,
  ...buildLab({ gateways: ["gateway"], games: [], homes: [{ name: "net", nat: null, members: ["ada"] }] }),
  actors: []
}

const game: Scenario = {
  ...bare,
  name: "speed-game",
  durationMs: 20_000,
  ...buildLab({ gateways: [], games: ["arena"], homes: [], extraHosts: ["arcade"] }),
  actors: playerActors("arcade", "arena", 32)
}

/** 100 Mbit/s of 1,000-byte pings and as much of answers: 6,250 of each a second between two members. */
const tunnel: Scenario = {
  ...bare,
  name: "speed-tunnel",
  durationMs: 8_000,
  ...buildLab({
    gateways: ["gateway"],
    games: [],
    homes: [{ name: "net", nat: null, members: ["ada", "ben"], access: { up: {}, down: {} } }]
  }),
  actors: lanActors({ members: ["ada", "ben"], ratePerSecond: 6_250, bytes: 1_000 })
}

export const SPEED_SCENARIOS: ReadonlyArray<SpeedScenario> = [
  { work: "idle control plane, 3 nodes", scenario: idle, crypto: "noble", seeds: [1], must: 500, unit: "× real time" },
  {
    work: "game, 32 clients, 60 Hz in, 30 Hz out",
    scenario: game,
    crypto: "noble",
    seeds: [1],
    must: 10,
    unit: "× real time"
  },
  {
    work: "tunnel, 100 Mbit/s, stub cryptography",
    scenario: tunnel,
    crypto: "stub",
    seeds: [1],
    must: 3,
    unit: "× real time"
  },
  {
    work: "chaos seeds of 30 s, all nodes",
    scenario: scenarioByName("swarm")!,
    crypto: "noble",
    seeds: [1, 2, 3, 4, 5],
    must: 1,
    unit: "seeds/s"
  }
]

export const measureScenario = async (speed: SpeedScenario): Promise<SpeedFigure> => {
  const world = makeSimulated({ crypto: speed.crypto })
  const started = performance.now()
  let events = 0
  let packets = 0
  let seconds = 0
  for (const seed of speed.seeds) {
    const outcome = await world.run({ scenario: speed.scenario, seed })
    if (outcome.failures.some((failure) => failure.verdict === "harness")) throw new Error(outcome.failures[0].sentence)
    events += outcome.events
    packets += outcome.packets
    seconds += outcome.seconds
  }
  const wall = (performance.now() - started) / 1000
  const ratio = seconds / wall
  return {
    work: speed.work,
    eventsPerSecond: events / wall,
    packetsPerSecond: packets / wall,
    ratio,
    must: speed.must,
    unit: speed.unit,
    value: speed.unit === "seeds/s" ? speed.seeds.length / wall : ratio
  }
}
