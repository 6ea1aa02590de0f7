/** Canaries: runs with a planted fault that the testbed must find. One that is not found fails the suite. */

import { ALWAYS, BACK_TO_NORMAL, buildLab, lanActors } from "../plan.ts"
import type { Scenario } from "../scenario.ts"

const members = ["ada", "ben"]
const lab = buildLab({ gateways: ["gateway"], games: [], homes: [{ name: "net", nat: null, members }] })

const canary: Omit<Scenario, "name" | "summary" | "canary"> = {
  tags: ["canary"],
  durationMs: 15_000,
  livenessMs: 15_000,
  ...lab,
  actors: lanActors({ members, ratePerSecond: 20 }),
  faults: [],
  checks: [...ALWAYS],
  goals: BACK_TO_NORMAL
}

export const canaryReplay: Scenario = {
  ...canary,
  name: "canary-replay",
  summary: "Planted protocol bug: the replay window accepts everything, on links that duplicate packets.",
  faults: members.map((host) => ({
    kind: "link",
    atMs: 2_000,
    forMs: 12_000,
    interface: host,
    direction: "both",
    change: { duplicatePpm: 100_000 }
  })),
  plant: ["session.replay.accept"],
  canary: "safety"
}

export const canaryNonce: Scenario = {
  ...canary,
  name: "canary-nonce",
  summary: "Planted protocol bug: now and then a sequence number, and so a nonce, is used twice.",
  plant: ["session.sequence.reuse"],
  canary: "safety"
}

export const canaryLease: Scenario = {
  ...canary,
  name: "canary-lease",
  summary: "Planted bug: the gateway hands out an address that is in use.",
  plant: ["gateway.lease.double"],
  canary: "safety"
}

export const canaryReconnect: Scenario = {
  ...canary,
  name: "canary-reconnect",
  summary: "Planted liveness bug: a client that has lost its gateway never tries again.",
  faults: [{ kind: "crash", node: "gateway", atMs: 6_000, downMs: 1_000 }],
  plant: ["client.reconnect.never"],
  canary: "liveness"
}

export const canaryRealTime: Scenario = {
  ...canary,
  name: "canary-real-time",
  summary: "Planted leak: an actor looks at the machine's clock.",
  // Where time is real there is nothing wrong with looking at it.
  tags: ["canary", "virtual-time"],
  actors: [
    ...canary.actors,
    { name: "thief", kind: "time-thief", host: "ada", over: "network", startMs: 5_000, params: { afterMs: 1_000 } }
  ],
  plant: ["time-thief"],
  canary: "harness"
}
