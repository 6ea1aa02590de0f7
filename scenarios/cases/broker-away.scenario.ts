/** The broker is away: members must not notice, new ones must be told, and its return must not be a stampede. */

import {
  ALWAYS,
  among,
  BACK_TO_NORMAL,
  BROKER_URL,
  buildLab,
  clientNode,
  clientOf,
  lanActors,
  PERSONAL_KEY,
  pings,
  STATUS_TRUTHFUL
} from "../plan.ts"
import type { ActorSpec, Scenario } from "../scenario.ts"

const members = ["ada", "ben", "cem", "dora"]
const late = "lou"
const OUTAGE_MS = { from: 15_000, to: 45_000 }

const lab = buildLab({
  gateways: ["gw-north", "gw-south"],
  games: ["arena"],
  homes: [
    { name: "home-a", nat: "full-cone", members: ["ada", "ben"] },
    { name: "home-b", nat: "symmetric", members: ["cem", "dora"] },
    { name: "home-c", nat: "port-restricted", members: [] }
  ],
  extraHosts: [late, "probe"],
  clientConfig: { server: "gw-north" },
  brokerConfig: { ticketLifetimeMs: 120_000 }
})

const probe: ActorSpec = {
  name: "probe",
  kind: "broker-probe",
  host: "probe",
  over: "network",
  startMs: 2_000,
  params: { brokerUrl: BROKER_URL, personalKey: PERSONAL_KEY, ratePerSecond: 5 }
}

/** The same questions for a broker that refuses connections and for one that accepts them and never answers. */
const brokerAway = (name: string, mode: "down" | "half", summary: string): Scenario => ({
  name,
  summary,
  tags: ["broker", "resilience"],
  durationMs: 60_000,
  livenessMs: 20_000,
  topology: lab.topology,
  nodes: [...lab.nodes, clientNode(late, { server: "gw-north" }, OUTAGE_MS.from + 5_000)],
  actors: [...lanActors({ members, ratePerSecond: 10 }), probe],
  faults: [
    { kind: "outage", node: "broker", mode, atMs: OUTAGE_MS.from, forMs: OUTAGE_MS.to - OUTAGE_MS.from },
    // A member that lost its session during the outage comes back on the ticket it has.
    { kind: "crash", node: clientOf("ben"), atMs: 25_000, downMs: 2_000 }
  ],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({
      ...among("ada", "cem", "dora"),
      fromMs: OUTAGE_MS.from - 5_000,
      toMs: 55_000,
      because: "during the outage"
    }),
    pings({ actors: ["lan-ben"], fromMs: 31_000, toMs: OUTAGE_MS.to, because: "after a restart on an old ticket" }),
    { check: "client-says", params: { client: clientOf(late), pattern: "broker" } },
    {
      check: "broker-link-recovers",
      params: { nodes: ["gw-north", "gw-south", "arena"], endMs: OUTAGE_MS.to, withinMs: 5_000 }
    },
    { check: "no-thundering-herd", params: { endMs: OUTAGE_MS.to, forMs: 5_000, windowMs: 100, attemptsMax: 4 } },
    {
      check: "ops-succeed",
      params: { op: "broker-list", fromMs: OUTAGE_MS.to + 1_000, toMs: 58_000, because: "after the broker's return" }
    }
  ],
  goals: BACK_TO_NORMAL
})

export const brokerOutage = brokerAway(
  "broker-outage",
  "down",
  "The broker refuses connections for 30 s: no tunnel packet is lost for it, old tickets keep working, new members are told, recovery is quick and calm."
)

export const brokerHalfOutage = brokerAway(
  "broker-half-outage",
  "half",
  "The broker accepts connections and never answers for 30 s: nobody hangs on it, everything else is as in an outage."
)

/** Forty members and four servers that all lose the broker at one moment and get it back at one moment. */
const crowd = Array.from({ length: 40 }, (_, index) => `member-${index + 1}`)
const herd = buildLab({
  gateways: ["gw-1", "gw-2", "gw-3", "gw-4"],
  games: [],
  homes: [{ name: "net", nat: null, members: crowd }],
  brokerConfig: { ticketLifetimeMs: 30_000, heartbeatIntervalMs: 2_000 }
})

export const brokerHerd: Scenario = {
  name: "broker-herd",
  summary:
    "Forty members with short tickets and four gateways lose the broker for 25 s: on its return they all come back within 5 s, spread out.",
  tags: ["broker", "resilience"],
  durationMs: 60_000,
  livenessMs: 20_000,
  ...herd,
  actors: [],
  faults: [{ kind: "outage", node: "broker", mode: "down", atMs: 15_000, forMs: 25_000 }],
  checks: [
    ...ALWAYS,
    {
      check: "broker-link-recovers",
      params: { nodes: ["gw-1", "gw-2", "gw-3", "gw-4"], endMs: 40_000, withinMs: 5_000 }
    },
    { check: "broker-requests-bounded", params: { fromMs: 40_000, toMs: 50_000, windowMs: 100, requestsMax: 10 } },
    {
      check: "occurs",
      params: { kind: "session.closed", atLeast: 0, atMost: 0, because: "sessions closed for want of the broker" }
    }
  ],
  goals: [{ check: "clients-are", params: { state: "connected" } }]
}
