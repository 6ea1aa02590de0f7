/**
 * What must happen now and then: rare paths that a swarm is there to reach. A suite of seeds in which one of these never happened
 * has tested less than it claims, and says so.
 */

import type { TraceEvent } from "@horizon/core/lab/trace.ts"

export interface Sometimes {
  /** What happens, as the end of the sentence "in some runs …". */
  readonly sentence: string
  readonly reached: (events: ReadonlyArray<TraceEvent>) => boolean
}

const some =
  (holds: (event: TraceEvent) => boolean) =>
  (events: ReadonlyArray<TraceEvent>): boolean =>
    events.some(holds)

const says = (state: string) => some((event) => event.kind === "client.status" && event.fields.state === state)
const closes = (words: RegExp) => some((event) => event.kind === "session.closed" && words.test(event.fields.reason))
const isRestart = (event: TraceEvent): boolean => event.kind === "node.ready" && event.fields.incarnation > 1

/** Two gateways admit one device in one run. */
const failsOver = (events: ReadonlyArray<TraceEvent>): boolean => {
  const gatewayOf = new Map<string, string>()
  return events.some((event) => {
    if (event.kind !== "lease.granted") return false
    const before = gatewayOf.get(event.fields.subject)
    gatewayOf.set(event.fields.subject, event.node)
    return before !== undefined && before !== event.node
  })
}

/** A gateway is ready while the broker is away from it, and admits somebody before the broker is back. */
const servesAlone = (events: ReadonlyArray<TraceEvent>): boolean => {
  const alone = new Set<string>()
  return events.some((event) => {
    if (event.kind === "node.ready" && event.fields.incarnation > 1) alone.add(event.node)
    else if (event.kind === "broker-link.up") alone.delete(event.node)
    return event.kind === "session.established" && event.fields.role === "server" && alone.has(event.node)
  })
}

export const SOMETIMES: Readonly<Record<string, Sometimes>> = {
  "session-roams": {
    sentence: "a session roams to a new address",
    reached: some((event) => event.kind === "session.roamed")
  },
  "session-times-out": { sentence: "a session ends because nothing was heard", reached: closes(/Nothing was heard/) },
  "session-replaced": { sentence: "a device takes the place of its older session", reached: closes(/was replaced/) },
  "handshake-refused": {
    sentence: "a handshake is refused",
    reached: some((event) => event.kind === "session.refused")
  },
  "client-degraded": { sentence: "a client says that its tunnel is not proved any more", reached: says("degraded") },
  "client-reconnects": { sentence: "a client reconnects", reached: says("reconnecting") },
  "client-fails-over": { sentence: "a device is leased an address by another gateway than before", reached: failsOver },
  "lease-expires": { sentence: "a lease expires", reached: some((event) => event.kind === "lease.released") },
  "node-restarts": { sentence: "a node serves again after it was down", reached: some(isRestart) },
  "broker-lost": { sentence: "a server loses the broker", reached: some((event) => event.kind === "broker-link.down") },
  "gateway-serves-alone": {
    sentence: "a restarted gateway admits members before it has reached the broker",
    reached: servesAlone
  },
  "player-leaves": {
    sentence: "a player leaves the game",
    reached: some((event) => event.kind === "game.player-left")
  },
  "stale-connections": {
    sentence: "the broker closes stale connections",
    reached: some((event) => event.kind === "broker.stale-connections-closed" && event.fields.count > 0)
  }
}

/** Seeds from which on a suite that never reached something is not trusted. */
export const SUITE_SEEDS = 100
