/** Without faults: the main job at rest, a LAN party, a full game. These run on plain links, so in every world. */

import { ALWAYS, buildLab, lanActors, pings, playerActors, STATUS_TRUTHFUL } from "../plan.ts"
import type { Scenario } from "../scenario.ts"

const pair = ["alice", "bob"]
const steady = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [{ name: "net", nat: null, members: pair }],
  plainLinks: true
})

export const steadyState: Scenario = {
  name: "steady-state",
  summary: "Broker, gateway and two members at rest: everything that is sent through the tunnel arrives.",
  tags: ["smoke", "tunnel"],
  durationMs: 10_000,
  livenessMs: 5_000,
  ...steady,
  actors: lanActors({ members: pair, ratePerSecond: 10 }),
  faults: [],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({ fromMs: 5_000, toMs: 9_000 }),
    { check: "all-pairs", params: { op: "tunnel-ping", hosts: pair } }
  ],
  goals: [{ check: "clients-are", params: { state: "connected" } }]
}

const party = ["ada", "ben", "cem", "dora", "eve", "finn", "gil", "hana"]
const lan = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [{ name: "net", nat: null, members: party }],
  plainLinks: true
})

export const lanParty: Scenario = {
  name: "lan-party",
  summary: "Eight members of one virtual LAN: all 56 ordered pairs talk through the tunnel.",
  tags: ["smoke", "tunnel"],
  durationMs: 12_000,
  livenessMs: 5_000,
  ...lan,
  actors: lanActors({ members: party, ratePerSecond: 5 }),
  faults: [],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({ fromMs: 6_000, toMs: 11_000, lostPpmMax: 2_000 }),
    { check: "all-pairs", params: { op: "tunnel-ping", hosts: party } }
  ],
  goals: [{ check: "clients-are", params: { state: "connected" } }]
}

const arena = buildLab({
  gateways: [],
  games: ["arena"],
  homes: [],
  extraHosts: ["arcade"],
  plainLinks: true
})

export const game32: Scenario = {
  name: "game-32-players",
  summary: "32 players in one game at 60 Hz: inputs take effect in time, nobody honest is corrected.",
  tags: ["smoke", "game"],
  durationMs: 15_000,
  livenessMs: 5_000,
  ...arena,
  actors: playerActors("arcade", "arena", 32),
  faults: [],
  checks: [
    { check: "no-node-failed", params: {} },
    { check: "watched-invariants", params: {} },
    { check: "honest-never-flagged", params: { cheaters: [] } },
    { check: "views-agree", params: {} },
    { check: "occurs", params: { kind: "game.player-joined", atLeast: 32, because: "players join" } },
    { check: "input-effect", params: { fromMs: 5_000, percentile: 99, maxUs: 100_000 } }
  ],
  goals: [{ check: "occurs", params: { kind: "op.histogram", atLeast: 32 } }]
}
