/** The swarm: all nodes, all families of faults, drawn from the seed. */

import { ALWAYS, buildLab, clientOf, lanActors, playerActors, STATUS_TRUTHFUL } from "../plan.ts"
import type { Scenario } from "../scenario.ts"
import { SOMETIMES } from "../sometimes.ts"

const members = ["ada", "ben", "cem", "dora"]

const lab = buildLab({
  gateways: ["gw-north", "gw-south"],
  games: ["arena"],
  homes: [
    { name: "home-a", nat: "full-cone", members: ["ada"] },
    { name: "home-b", nat: "port-restricted", members: ["ben"] },
    { name: "home-c", nat: "symmetric", members: ["cem"] },
    { name: "net", nat: null, members: ["dora"] }
  ],
  extraHosts: ["arcade"]
})

export const swarm: Scenario = {
  name: "swarm",
  summary:
    "Thirty seconds in which anything may go wrong, drawn from the seed; then everything must recover within a minute.",
  tags: ["swarm"],
  durationMs: 30_000,
  livenessMs: 60_000,
  ...lab,
  actors: [...lanActors({ members, ratePerSecond: 2 }), ...playerActors("arcade", "arena", 4)],
  faults: [],
  swarm: { nodes: ["broker", "gw-north", "gw-south", "arena", ...members.map(clientOf)], faultsMax: 12 },
  sometimes: Object.keys(SOMETIMES),
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    { check: "honest-never-flagged", params: { cheaters: [] } },
    { check: "views-agree", params: {} }
  ],
  goals: [
    { check: "clients-are", params: { state: "connected" } },
    { check: "ops-recovered", params: { op: "tunnel-ping", actorKind: "tunnel-member", lastN: 3 } },
    { check: "players-play", params: {} }
  ]
}
