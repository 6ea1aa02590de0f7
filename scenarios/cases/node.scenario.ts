/** Nodes die, and clocks jump. */

import { ALWAYS, among, BACK_TO_NORMAL, buildLab, clientOf, lanActors, pings, STATUS_TRUTHFUL } from "../plan.ts"
import type { Scenario } from "../scenario.ts"

const members = ["ada", "ben", "cem", "dora"]
const homes = [
  { name: "home-a", nat: "full-cone" as const, members: ["ada", "ben"] },
  { name: "home-b", nat: "symmetric" as const, members: ["cem", "dora"] }
]

const crash = buildLab({ gateways: ["gateway"], games: [], homes })

export const gatewayCrashRestart: Scenario = {
  name: "gateway-crash-restart",
  summary: "The gateway dies and comes back: members reconnect by themselves and keep their tunnel addresses.",
  tags: ["tunnel", "resilience"],
  durationMs: 40_000,
  livenessMs: 20_000,
  ...crash,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [{ kind: "crash", node: "gateway", atMs: 12_000, downMs: 3_000 }],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    { check: "same-addresses", params: {} },
    pings({ fromMs: 30_000, toMs: 38_000, because: "well after the restart" })
  ],
  goals: BACK_TO_NORMAL
}

const clock = buildLab({
  gateways: ["gateway"],
  games: [],
  homes,
  brokerConfig: { ticketLifetimeMs: 60_000 }
})

export const clockStepOverTicketExpiry: Scenario = {
  name: "clock-step-over-ticket-expiry",
  summary:
    "The gateway's clock jumps past the expiry of every ticket: live sessions go on, members that reconnect get in with fresh tickets, and say why if they cannot.",
  tags: ["tunnel", "clock"],
  durationMs: 50_000,
  livenessMs: 30_000,
  ...clock,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [
    { kind: "clock-step", node: "gateway", atMs: 12_000, stepMs: 90_000 },
    { kind: "crash", node: clientOf("ben"), atMs: 16_000, downMs: 2_000 },
    { kind: "clock-step", node: "gateway", atMs: 30_000, stepMs: -90_000 }
  ],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({ ...among("ada", "cem", "dora"), fromMs: 6_000, toMs: 48_000, because: "whose sessions were up" }),
    pings({ actors: ["lan-ben"], fromMs: 40_000, toMs: 48_000, because: "of the member that came back" })
  ],
  goals: BACK_TO_NORMAL
}

const pause = buildLab({ gateways: ["gw-north", "gw-south"], games: [], homes })

/** First found by swarm seed 671: what a client said before it was stopped was taken for what it says. */
export const pausedClient: Scenario = {
  name: "paused-client",
  summary:
    "A member's client stands still for 16 s, longer than sessions live: the others go on, and it comes back by itself to its address.",
  tags: ["tunnel", "resilience", "regression"],
  durationMs: 40_000,
  livenessMs: 20_000,
  ...pause,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [{ kind: "pause", node: clientOf("ada"), atMs: 8_000, forMs: 16_000 }],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    { check: "same-addresses", params: {} },
    pings({ ...among("ben", "cem", "dora"), fromMs: 6_000, toMs: 38_000, because: "between the others" }),
    pings({ fromMs: 26_000, toMs: 38_000, because: "two seconds after it goes on" })
  ],
  goals: BACK_TO_NORMAL
}
