/**
 * Builds the usual lab as data: an internet with a broker, gateways and game servers on it, and members at home behind NAT or
 * directly on it. Scenarios start from this and change what they are about.
 */

import type { HostSpec, NatKind, RouterSpec, SubnetSpec, Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import type { ActorSpec, CheckSpec, NodeSpec } from "./scenario.ts"

/** Keys that exist from the start of every lab; a lab's broker holds no secret worth keeping. */
const filler = (prefix: string, letter: string): string => prefix + letter.repeat(43)
export const ADMIN_TOKEN = filler("hza_", "A")
export const REGISTRATION_KEY = filler("hzr_", "R")
export const PERSONAL_KEY = filler("hzp_", "P")

/** UDP and TCP ports of the nodes in every lab. */
const BROKER_PORT = 8420
const GATEWAY_PORT = 8421
const GAME_PORT = 8422

export const BROKER_URL = `http://{broker}:${BROKER_PORT}`

/** A link of a data centre: short, fast. */
export const SERVER_LINK: Partial<LinkSpec> = { delayUs: 2_000, rateBps: 1_000_000_000 }
/** A home's line: 100 Mbit/s down, 20 up, 8 ms. */
export const HOME_UP: Partial<LinkSpec> = { delayUs: 8_000, rateBps: 20_000_000 }
export const HOME_DOWN: Partial<LinkSpec> = { delayUs: 8_000, rateBps: 100_000_000 }
/** A quiet wireless link inside the home. */
export const WIFI: Partial<LinkSpec> = { delayUs: 1_000, jitterUs: 500, reordering: "forbidden", rateBps: 300_000_000 }

export interface HomeSpec {
  readonly name: string
  /** `null`: the members hang directly on the internet. */
  readonly nat: NatKind | null
  readonly members: ReadonlyArray<string>
  /** Access links of the members; plain if left out. */
  readonly access?: { readonly up: Partial<LinkSpec>; readonly down: Partial<LinkSpec> }
  readonly udpTimeoutMs?: number
}

export interface LabSpec {
  readonly gateways: ReadonlyArray<string>
  readonly games: ReadonlyArray<string>
  readonly homes: ReadonlyArray<HomeSpec>
  /** Further hosts on the internet, for players and probes. */
  readonly extraHosts?: ReadonlyArray<string>
  /** Whether links are impaired at all; plain links run in every world. */
  readonly plainLinks?: boolean
  readonly clientConfig?: Readonly<Record<string, unknown>>
  readonly gatewayConfig?: Readonly<Record<string, unknown>>
  readonly brokerConfig?: Readonly<Record<string, unknown>>
}

export interface Lab {
  readonly topology: Topology
  readonly nodes: ReadonlyArray<NodeSpec>
}

/** A member's client node is named after its host. */
export const clientOf = (member: string): string => `client-${member}`

export const buildLab = (spec: LabSpec): Lab => {
  const subnets: Record<string, SubnetSpec> = { internet: { cidr: "198.51.100.0/24" } }
  const hosts: Record<string, HostSpec> = {}
  const routers: Record<string, RouterSpec> = {}
  const link = (up: Partial<LinkSpec>, down: Partial<LinkSpec>) => (spec.plainLinks === true ? {} : { up, down })
  for (const name of ["broker", ...spec.gateways, ...spec.games, ...(spec.extraHosts ?? [])]) {
    hosts[name] = { subnet: "internet", ...link(SERVER_LINK, SERVER_LINK) }
  }
  spec.homes.forEach((home, index) => {
    const access = home.access ?? (home.nat === null ? { up: HOME_UP, down: HOME_DOWN } : { up: WIFI, down: WIFI })
    if (home.nat !== null) {
      subnets[home.name] = { cidr: `192.168.${index + 1}.0/24` }
      routers[`router-${home.name}`] = {
        subnets: [home.name, "internet"],
        nat: { kind: home.nat, outside: "internet", udpTimeoutMs: home.udpTimeoutMs ?? 30_000, hairpin: true },
        ...(spec.plainLinks === true ? {} : { links: { internet: { up: HOME_UP, down: HOME_DOWN } } })
      }
    }
    for (const member of home.members) {
      hosts[member] = { subnet: home.nat === null ? "internet" : home.name, ...link(access.up, access.down) }
    }
  })
  return { topology: { subnets, hosts, routers }, nodes: labNodes(spec) }
}

const labNodes = (spec: LabSpec): ReadonlyArray<NodeSpec> => [
  {
    name: "broker",
    kind: "broker",
    host: "broker",
    config: {
      listenAddress: "{broker}",
      port: BROKER_PORT,
      bootstrapAdminToken: ADMIN_TOKEN,
      bootstrapRegistrationKeys: [REGISTRATION_KEY],
      bootstrapPersonalKeys: [`lab@lab=${PERSONAL_KEY}`],
      ...spec.brokerConfig
    }
  },
  ...spec.gateways.map(
    (name, index): NodeSpec => ({
      name,
      kind: "gateway",
      host: name,
      config: {
        name,
        brokerUrl: BROKER_URL,
        registrationKey: REGISTRATION_KEY,
        listenAddress: `{${name}}`,
        port: GATEWAY_PORT,
        network: `10.${77 + index}.0.0/16`,
        ...spec.gatewayConfig
      }
    })
  ),
  ...spec.games.map(
    (name): NodeSpec => ({
      name,
      kind: "game",
      host: name,
      config: {
        name,
        brokerUrl: BROKER_URL,
        registrationKey: REGISTRATION_KEY,
        listenAddress: `{${name}}`,
        port: GAME_PORT
      }
    })
  ),
  ...spec.homes.flatMap((home) => home.members.map((member) => clientNode(member, spec.clientConfig)))
]

/** A client node on a member's host. */
export const clientNode = (member: string, config: Readonly<Record<string, unknown>> = {}, startMs = 0): NodeSpec => ({
  name: clientOf(member),
  kind: "client",
  host: member,
  startMs,
  config: { brokerUrl: BROKER_URL, personalKey: PERSONAL_KEY, ...config }
})

export interface LanLoad {
  readonly members: ReadonlyArray<string>
  readonly ratePerSecond: number
  readonly bytes?: number
  readonly timeoutMs?: number
  readonly startMs?: number
}

/** Every member pings every other through the tunnel. */
export const lanActors = (load: LanLoad): ReadonlyArray<ActorSpec> =>
  load.members.map((member) => ({
    name: `lan-${member}`,
    kind: "tunnel-member",
    host: member,
    over: "tunnel",
    startMs: load.startMs ?? 3_000,
    params: {
      peers: load.members.filter((peer) => peer !== member),
      ratePerSecond: load.ratePerSecond,
      bytes: load.bytes ?? 200,
      timeoutMs: load.timeoutMs ?? 2_000,
      untilMs: null
    }
  }))

/** `count` players on a host. */
export const playerActors = (
  host: string,
  game: string,
  count: number,
  change: Readonly<Record<string, unknown>> = {},
  first = 1
): ReadonlyArray<ActorSpec> =>
  Array.from({ length: count }, (_, index) => ({
    name: `player-${first + index}`,
    kind: "player",
    host,
    over: "network",
    startMs: 1_000 + index * 50,
    params: { brokerUrl: BROKER_URL, personalKey: PERSONAL_KEY, server: game, ...change }
  }))

/** What holds in every lab, whatever strikes it. */
export const ALWAYS: ReadonlyArray<CheckSpec> = [
  { check: "no-node-failed", params: {} },
  { check: "one-holder-per-address", params: {} },
  { check: "watched-invariants", params: {} }
]

/** Clients say only what is so. */
export const STATUS_TRUTHFUL: CheckSpec = { check: "status-truthful", params: {} }

/** Of the pings through the tunnel that were due in a window, at most a share is lost; none if no share is named. */
export const pings = (params: {
  readonly fromMs: number
  readonly toMs: number
  readonly actors?: ReadonlyArray<string>
  readonly to?: ReadonlyArray<string>
  readonly lostPpmMax?: number
  /** Completes "of tunnel-ping … at most". */
  readonly because?: string
}): CheckSpec => ({ check: "ops-succeed", params: { op: "tunnel-ping", ...params } })

/** Only the pings among these members. */
export const among = (...members: ReadonlyArray<string>) => ({
  actors: members.map((member) => `lan-${member}`),
  to: members
})

/** Everybody is connected and reaches everybody. */
export const BACK_TO_NORMAL: ReadonlyArray<CheckSpec> = [
  { check: "clients-are", params: { state: "connected" } },
  { check: "ops-recovered", params: { op: "tunnel-ping", actorKind: "tunnel-member" } }
]
