/** The main job: everything together, and a bad evening for it. */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { ALWAYS, BACK_TO_NORMAL, buildLab, lanActors, pings, playerActors, STATUS_TRUTHFUL } from "../plan.ts"
import type { Scenario } from "../scenario.ts"
import { WIFI_STORM } from "../storm/wifi.ts"

const members = ["ada", "ben", "cem", "dora", "eve", "finn", "gil", "hana"]
const wireless = ["ada", "ben", "cem", "dora"]

const lab = buildLab({
  gateways: ["gw-north", "gw-south"],
  games: ["arena"],
  homes: [
    { name: "home-a", nat: "full-cone", members: ["ada", "ben"] },
    { name: "home-b", nat: "address-restricted", members: ["cem", "dora"] },
    { name: "home-c", nat: "port-restricted", members: ["eve", "finn"] },
    { name: "home-d", nat: "symmetric", members: ["gil", "hana"] }
  ],
  extraHosts: ["arcade-1", "arcade-2", "arcade-3", "arcade-4"]
})

const storm: ReadonlyArray<Fault> = wireless.map((host) => ({
  kind: "link",
  atMs: 20_000,
  forMs: 20_000,
  interface: host,
  direction: "both",
  change: WIFI_STORM
}))

export const flagship: Scenario = {
  name: "flagship",
  summary:
    "A broker, two gateways, eight members behind four kinds of NAT and a game with 32 players go through a Wi-Fi storm, a broker outage and a gateway crash.",
  tags: ["flagship"],
  durationMs: 120_000,
  livenessMs: 10_000,
  ...lab,
  actors: [
    ...lanActors({ members, ratePerSecond: 4 }),
    ...[1, 2, 3, 4].flatMap((arcade) => playerActors(`arcade-${arcade}`, "arena", 8, {}, 8 * arcade - 7))
  ],
  faults: [
    ...storm,
    { kind: "outage", node: "broker", mode: "down", atMs: 50_000, forMs: 20_000 },
    { kind: "crash", node: "gw-south", atMs: 80_000, downMs: 15_000 }
  ],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    { check: "honest-never-flagged", params: { cheaters: [] } },
    { check: "views-agree", params: {} },
    pings({ fromMs: 8_000, toMs: 18_000, because: "before the storm" }),
    pings({ fromMs: 20_000, toMs: 40_000, lostPpmMax: 80_000, because: "in the Wi-Fi storm" }),
    pings({ fromMs: 45_000, toMs: 78_000, because: "before, during and after the broker outage" }),
    {
      check: "broker-link-recovers",
      params: { nodes: ["gw-north", "gw-south", "arena"], endMs: 70_000, withinMs: 5_000 }
    },
    { check: "no-thundering-herd", params: { endMs: 70_000, forMs: 5_000, windowMs: 100, attemptsMax: 6 } },
    pings({ fromMs: 90_000, toMs: 118_000, because: "after the gateway crash" }),
    {
      check: "occurs",
      params: {
        kind: "session.established",
        node: "gw-north",
        fromMs: 80_000,
        atLeast: 8,
        because: "members fail over to the other gateway"
      }
    },
    { check: "input-effect", params: { fromMs: 5_000, percentile: 99, maxUs: 100_000 } }
  ],
  goals: [...BACK_TO_NORMAL, { check: "players-play", params: {} }]
}
