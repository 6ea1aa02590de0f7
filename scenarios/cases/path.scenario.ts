/** The path between members and gateways misbehaves: burst loss, lost proofs, one-way silence, a NAT that forgets. */

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
    },
    // All stops at once: then packets that came before do not keep the tunnel.
    {
      check: "status-reaches",
      params: { client: clientOf("ada"), state: "reconnecting", fromMs: 12_000, withinMs: 8_000 }
    }
  ],
  goals: BACK_TO_NORMAL
}

const flooded = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [{ name: "net", nat: null, members: ["ada", "ben"], access: { up: HOME_UP, down: HOME_DOWN } }]
})

/** First seen under a benchmark on a starved machine: full queues lost every proof for six seconds, and a tunnel full of data was torn down. */
export const lostProofs: Scenario = {
  name: "lost-proofs",
  summary:
    "For 24 s a member's downlink loses 49 packets in 50, and the proofs with them: what still arrives of a dense stream keeps the tunnel.",
  tags: ["tunnel", "links", "regression"],
  durationMs: 50_000,
  livenessMs: 10_000,
  ...flooded,
  actors: [
    ...lanActors({ members: ["ada", "ben"], ratePerSecond: 10 }).filter(({ host }) => host === "ada"),
    ...lanActors({ members: ["ben", "ada"], ratePerSecond: 1_000 }).filter(({ host }) => host === "ben")
  ],
  faults: [
    { kind: "link", interface: "ada", direction: "down", change: { lossPpm: 980_000 }, atMs: 10_000, forMs: 24_000 }
  ],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    // A proof is 3.5 s old by then, so this is longer than a silent tunnel is kept.
    { check: "status-lasts", params: { client: clientOf("ada"), state: "degraded", forMs: 3_000 } },
    { check: "occurs", params: { kind: "session.closed", atLeast: 0, atMost: 0, because: "sessions closed" } },
    { check: "same-addresses", params: {} },
    pings({ fromMs: 36_000, toMs: 48_000, because: "once the link is itself again" })
  ],
  goals: BACK_TO_NORMAL
}

const unheard = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [{ name: "net", nat: null, members, access: { up: HOME_UP, down: HOME_DOWN } }]
})

export const unheardMembers: Scenario = {
  name: "unheard-members",
  summary:
    "For 20 s the gateway hears nothing of two members while all it sends reaches them, but to one not its goodbye: what comes keeps neither in a tunnel that works one way only.",
  tags: ["tunnel", "resilience"],
  durationMs: 50_000,
  livenessMs: 20_000,
  ...unheard,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [
    { kind: "partition", a: ["ada", "ben"], b: ["gateway"], direction: "a-to-b", atMs: 12_000, forMs: 20_000 },
    { kind: "partition", a: ["gateway"], b: ["ben"], direction: "a-to-b", atMs: 21_500, forMs: 10_500 }
  ],
  checks: [
    ...ALWAYS,
    STATUS_TRUTHFUL,
    pings({ ...among("cem", "dora"), fromMs: 6_000, toMs: 48_000 }),
    ...["ada", "ben"].map((member) => ({
      check: "status-reaches",
      params: { client: clientOf(member), state: "degraded", fromMs: 12_000, withinMs: 4_000 }
    })),
    // The gateway ends what it hears nothing of after 10 s. Ada is told; Ben finds out 3.5 to 4 s after the last packet.
    {
      check: "status-reaches",
      params: { client: clientOf("ada"), state: "reconnecting", fromMs: 12_000, withinMs: 10_500 }
    },
    {
      check: "status-reaches",
      params: { client: clientOf("ben"), state: "reconnecting", fromMs: 12_000, withinMs: 14_500 }
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
