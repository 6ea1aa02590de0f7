/** The path between members and gateways misbehaves: burst loss, one-way silence, a NAT that forgets. */

import {
  ALWAYS,
  among,
  BACK_TO_NORMAL,
  buildLab,
  clientOf,
  HOME_DOWN,
  HOME_UP,
  lanActors,
  pings,
  STATUS_TRUTHFUL,
  WIFI
} from "../plan.ts"
import type { Scenario } from "../scenario.ts"
import { WIFI_STORM } from "../storm/wifi.ts"

const members = ["ada", "ben", "cem", "dora"]

const wifi = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [
    {
      name: "home-a",
      nat: "full-cone",
      members: ["ada", "ben"],
      access: { up: { ...WIFI, ...WIFI_STORM }, down: { ...WIFI, ...WIFI_STORM } }
    },
    { name: "home-b", nat: "port-restricted", members: ["cem", "dora"] }
  ]
})

export const lossyWifi: Scenario = {
  name: "lossy-wifi",
  summary:
    "Two members on a wireless link with bursts of loss (Gilbert-Elliott): sessions stay up, loss is the link's and no more.",
  tags: ["tunnel", "links"],
  durationMs: 30_000,
  livenessMs: 10_000,
  ...wifi,
  actors: lanActors({ members, ratePerSecond: 20 }),
  faults: [],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    // Ada and Ben cross two lossy legs each way: four times about 1 % stationary loss.
    pings({ fromMs: 6_000, toMs: 28_000, lostPpmMax: 80_000 }),
    pings({ ...among("cem", "dora"), fromMs: 6_000, toMs: 28_000 }),
    { check: "occurs", params: { kind: "session.closed", atLeast: 0, atMost: 0, because: "sessions closed" } },
    { check: "latency-at-most", params: { op: "tunnel-ping", percentile: 99, maxUs: 80_000, fromMs: 6_000 } }
  ],
  goals: [{ check: "clients-are", params: { state: "connected" } }]
}

const oneWay = buildLab({
  gateways: ["gw-north", "gw-south"],
  games: [],
  homes: [{ name: "net", nat: null, members, access: { up: HOME_UP, down: HOME_DOWN } }],
  clientConfig: { server: "gw-north" }
})

export const oneWayPartition: Scenario = {
  name: "one-way-partition",
  summary:
    "For 20 s one member hears nothing of its gateway while the gateway hears it: the status says so, and it comes back by itself.",
  tags: ["tunnel", "resilience"],
  durationMs: 50_000,
  livenessMs: 20_000,
  ...oneWay,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [{ kind: "partition", a: ["gw-north"], b: ["ada"], direction: "a-to-b", atMs: 12_000, forMs: 20_000 }],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({ ...among("ben", "cem", "dora"), fromMs: 6_000, toMs: 48_000 }),
    {
      check: "status-leaves",
      params: { client: clientOf("ada"), state: "connected", fromMs: 12_000, withinMs: 12_000 }
    }
  ],
  goals: BACK_TO_NORMAL
}

const nat = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [
    { name: "home-a", nat: "full-cone", members: ["ada"] },
    { name: "home-b", nat: "address-restricted", members: ["ben"] },
    { name: "home-c", nat: "port-restricted", members: ["cem"] },
    { name: "home-d", nat: "symmetric", members: ["dora"] }
  ]
})

export const natRebinding: Scenario = {
  name: "nat-rebinding",
  summary:
    "Every kind of NAT moves its members to new outside ports: sessions roam without a new handshake, in one round trip.",
  tags: ["tunnel", "nat"],
  durationMs: 30_000,
  livenessMs: 10_000,
  ...nat,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: ["home-a", "home-b", "home-c", "home-d"].map((home, index) => ({
    kind: "nat-rebind" as const,
    router: `router-${home}`,
    atMs: 8_000 + index * 4_000
  })),
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    { check: "occurs", params: { kind: "session.roamed", atLeast: 4, because: "sessions roam" } },
    { check: "occurs", params: { kind: "session.closed", atLeast: 0, atMost: 0, because: "sessions closed" } },
    ...[0, 1, 2, 3].map((index) =>
      pings({
        fromMs: 8_100 + index * 4_000,
        toMs: 11_800 + index * 4_000,
        because: `0.1 s after rebinding ${index + 1}`
      })
    )
  ],
  goals: BACK_TO_NORMAL
}
