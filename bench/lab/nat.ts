/**
 * A NAT as an nftables table: the behaviours of sim/net/nat.ts (RFC 4787) with the kernel's connection tracking as the hand that
 * rewrites packets, and sets with time-outs as the memory that decides.
 *
 * The kernel's own NAT keeps one outside port for each flow, forgets by flow, and is kept awake by what comes in. So it is told the
 * port each time: when the first packet of a flow leaves, `outward` gives the outside port of its inside endpoint (of inside and
 * remote endpoint if symmetric); if there is none, the kernel keeps the inside port if it is free and draws one if not, and what it
 * chose is written down. Every packet that leaves, and none that enters, refreshes:
 *
 * - `outward`  inside endpoint (and remote endpoint if symmetric) → outside endpoint
 * - `inward`   outside port → inside endpoint
 * - `taken`    outside ports in use
 * - `peers`    outside port and remote address (and port): who may enter. Full cone has none.
 *
 * What enters is judged by these sets before connection tracking sees it. Connection tracking runs in a zone; in a new zone it
 * knows none of the old flows, which is how a wipe or a new binding takes hold at once.
 *
 * Against the simulated NAT: a drawn port has any parity unless a rebinding drew it; two flows that draw one port at the same time
 * cost the later one its first packet; streams follow the same sets (RFC 5382), with a life of two hours.
 */

import type { NatKind } from "@horizon/core/lab/topology.ts"

export interface NatOptions {
  readonly kind: NatKind
  readonly udpTimeoutMs: number
  readonly hairpin: boolean
  /** Device of the router towards the outside, and its address. */
  readonly outsideDevice: string
  readonly outsideAddress: string
}

/** Zones of connection tracking are 16 bits; 0 is everybody's. */
const ZONES = 65_535
/** The zone after `zone`. */
export const nextZone = (zone: number): number => (zone % ZONES) + 1

/** Life of an unused stream mapping, in seconds, as in the simulator. */
const STREAM_SECONDS = 7_200
/** Entries of each set. */
const ENTRIES_MAX = 65_536
/** Bits of the packet mark inside the router: the packet makes a new mapping; it turns around. */
const NEW = 1
const TURNS = 2
const PROTOCOLS = ["udp", "tcp"] as const
type Protocol = (typeof PROTOCOLS)[number]

/**
 * Settings of the router's namespace, once the table stands. A flow of UDP that the kernel forgets costs nothing, because its port is
 * written down; one that it remembers after its port has gone to somebody else would be in the way.
 */
export const NAT_SETTINGS: ReadonlyArray<string> = [
  "net.netfilter.nf_conntrack_udp_timeout=1",
  "net.netfilter.nf_conntrack_udp_timeout_stream=1",
  // Impaired links reorder; a window is not this NAT's business.
  "net.netfilter.nf_conntrack_tcp_be_liberal=1"
]

/** The table, for `nft -f` in the router's namespace. */
export const natRuleset = (nat: NatOptions, zone: number): string => {
  const { kind, outsideAddress: address, outsideDevice: device } = nat
  const judged = kind !== "full-cone"
  return `
table ip ${TABLE} {
  ${each((protocol) => setsOf(kind, protocol).map(({ definition }) => definition))}

  chain zone {
    type filter hook prerouting priority -301
    ct zone set ${zone}
  }
  chain judge {
    type filter hook prerouting priority -300
    iifname "${device}" ip daddr != ${address} drop
    ip daddr ${address} meta l4proto { udp, tcp } goto to_outside
  }
  chain to_outside {
    iifname != "${device}" ${nat.hairpin ? `meta mark set ${TURNS}` : "drop"}
    ${each((protocol) => [
      `${protocol} dport != @${protocol}_taken drop`,
      ...(judged
        ? [
            `iifname "${device}" meta l4proto ${protocol} ${peer(kind, "th dport", "ip saddr", "th sport")} != @${protocol}_peers drop`
          ]
        : [])
    ])}
  }
  chain enter {
    type nat hook prerouting priority dstnat
    ${each((protocol) => [`ip daddr ${address} dnat ip to ${protocol} dport map @${protocol}_inward`])}
  }
  chain route {
    type filter hook forward priority filter
    ct state invalid drop
  }

  chain leave {
    type nat hook postrouting priority srcnat
    oifname "${device}" goto translate
    meta mark & ${TURNS} == ${TURNS} goto translate
  }
  chain translate {
    ${each((protocol) => [`meta l4proto ${protocol} snat ip to ${insideKey(kind, "original")} map @${protocol}_outward`])}
    meta mark set meta mark | ${NEW}
    ${each((protocol) => [`${protocol} sport @${protocol}_taken snat to ${address}:1024-65535 fully-random`])}
    snat to ${address}
  }
  chain learn {
    type filter hook postrouting priority srcnat + 1
    oifname "${device}" meta l4proto { udp, tcp } jump remember
    meta mark & ${TURNS} == ${TURNS} jump remember
    ${judged ? `meta mark & ${TURNS} == ${TURNS} jump turn` : ""}
  }
  chain remember {
    ${each((protocol) => [`meta mark & ${NEW} == ${NEW} ${protocol} sport @${protocol}_taken drop`])}
    ${eachWay((way) => `ct direction ${way} jump remember_${way}`)}
  }
  chain remember_original {
    ${each((protocol) => remember(nat, protocol, "original"))}
  }
  chain remember_reply {
    ${each((protocol) => remember(nat, protocol, "reply"))}
  }
  chain turn {
    ${each((protocol) => (judged ? turn(kind, protocol) : []))}
  }
}
`
}

/** Forgets everything, for `nft -f`: from now on in another zone. */
export const natWipe = (kind: NatKind, zone: number): string =>
  [
    ...PROTOCOLS.flatMap((protocol) =>
      setsOf(kind, protocol).map(({ form, name }) => `flush ${form} ip ${TABLE} ${name}`)
    ),
    `flush chain ip ${TABLE} zone`,
    `add rule ip ${TABLE} zone ct zone set ${zone}`
  ].join("\n")

/** What lists the table with its elements: arguments of `nft`. */
export const NAT_LISTING: ReadonlyArray<string> = ["list", "table", "ip", "horizon"]

/**
 * Gives every live flow a new outside port, for `nft -f`: what may enter by it, and how long it has to live, stay as they were. Ports
 * keep range and parity (RFC 4787 REQ-3b, REQ-4) and are never the inside port. `draw(n)` is an integer from 0 to n - 1.
 */
export const natRebind = (kind: NatKind, listing: string, zone: number, draw: (below: number) => number): string => {
  const lines: Array<string> = []
  for (const protocol of PROTOCOLS) {
    const add = (name: string, element: string): void =>
      void lines.push(`add element ip ${TABLE} ${protocol}_${name} { ${element} }`)
    const flows = elementsOf(listing, `${protocol}_outward`)
    const taken = new Set(flows.map(({ value }) => Number(value[1])))
    const moved = new Map<string, number>()
    for (const { key, life, value } of flows) {
      const port = drawPort(Number(key[1]), taken, draw) ?? Number(value[1])
      moved.set(value[1], port)
      add("outward", `${key.join(" . ")} ${life} : ${value[0]} . ${port}`)
      add("inward", `${port} ${life} : ${key[0]} . ${key[1]}`)
      add("taken", `${port} ${life}`)
    }
    for (const { key, life } of elementsOf(listing, `${protocol}_peers`)) {
      const port = moved.get(key[0])
      if (port !== undefined) add("peers", `${[port, ...key.slice(1)].join(" . ")} ${life}`)
    }
  }
  return `${natWipe(kind, zone)}\n${lines.join("\n")}`
}

const TABLE = "horizon"

interface SetPlan {
  readonly form: "map" | "set"
  readonly name: string
  readonly definition: string
}

/** The sets of one protocol. They are apart, because tools of today stumble over keys of more than four parts. */
const setsOf = (kind: NatKind, protocol: Protocol): ReadonlyArray<SetPlan> => {
  const plan = (form: "map" | "set", noun: string, type: string): SetPlan => {
    const name = `${protocol}_${noun}`
    return { form, name, definition: `${form} ${name} { type ${type}; flags dynamic,timeout; size ${ENTRIES_MAX}; }` }
  }
  const endpoint = "ipv4_addr . inet_service"
  const sets = [
    plan("map", "outward", `${kind === "symmetric" ? `${endpoint} . ${endpoint}` : endpoint} : ${endpoint}`),
    plan("map", "inward", `inet_service : ${endpoint}`),
    plan("set", "taken", "inet_service")
  ]
  if (kind === "full-cone") return sets
  return [
    ...sets,
    plan("set", "peers", kind === "address-restricted" ? "inet_service . ipv4_addr" : `inet_service . ${endpoint}`)
  ]
}

type Way = "original" | "reply"

/** Who may enter by an outside port: address-dependent filtering does not look at the remote port. */
const peer = (kind: NatKind, outsidePort: string, remoteAddress: string, remotePort: string): string =>
  `${outsidePort} . ${remoteAddress}${kind === "address-restricted" ? "" : ` . ${remotePort}`}`

/** A packet's ends as they were before translation, which connection tracking knows: those of its own way of the flow. */
const insideKey = (kind: NatKind, way: Way): string =>
  `ct ${way} ip saddr . ct ${way} proto-src${kind === "symmetric" ? ` . ct ${way} ip daddr . ct ${way} proto-dst` : ""}`

/** Rules that write down, or refresh, what a packet on its way out says; its source is the outside endpoint already. */
const remember = ({ kind, udpTimeoutMs }: NatOptions, protocol: Protocol, way: Way): ReadonlyArray<string> => {
  const life = `timeout ${protocol === "udp" ? `${udpTimeoutMs}ms` : `${STREAM_SECONDS}s`}`
  const remote = peer(kind, "th sport", `ct ${way} ip daddr`, `ct ${way} proto-dst`)
  return [
    `update @${protocol}_outward { ${insideKey(kind, way)} ${life} : ip saddr . th sport }`,
    `update @${protocol}_inward { th sport ${life} : ct ${way} ip saddr . ct ${way} proto-src }`,
    `update @${protocol}_taken { th sport ${life} }`,
    ...(kind === "full-cone" ? [] : [`update @${protocol}_peers { ${remote} ${life} }`])
  ].map((rule) => `meta l4proto ${protocol} ${rule}`)
}

/** A packet that turns around is judged when its outside endpoint is known: it must be one to which its receiver has sent. */
const turn = (kind: NatKind, protocol: Protocol): ReadonlyArray<string> =>
  (["original", "reply"] as const).map((way) => {
    const remote = peer(kind, `ct ${way} proto-dst`, "ip saddr", "th sport")
    return `ct direction ${way} meta l4proto ${protocol} ${remote} != @${protocol}_peers drop`
  })

const each = (rules: (protocol: Protocol) => ReadonlyArray<string>): string => PROTOCOLS.flatMap(rules).join("\n    ")
const eachWay = (rule: (way: Way) => string): string => (["original", "reply"] as const).map(rule).join("\n    ")

interface Element {
  /** Parts of the key. */
  readonly key: ReadonlyArray<string>
  /** `timeout … expires …`, as it is to be added again. */
  readonly life: string
  /** Parts of the value; empty in a set. */
  readonly value: ReadonlyArray<string>
}

/** The elements of a set in a listing of nft, such as `10.0.0.2 . 40000 timeout 30s expires 29s880ms : 198.51.100.1 . 40000`. */
const elementsOf = (listing: string, set: string): ReadonlyArray<Element> => {
  // A set is listed up to a bracket on a line of its own, and its elements, last, in brackets.
  const own = new RegExp(`\\b(?:map|set) ${set} \\{(.*?)\\n\\t\\}`, "s").exec(listing)?.[1] ?? ""
  return (/elements = \{(.*)\}/s.exec(own)?.[1] ?? "")
    .split(",")
    .map((text) => /^\s*(.*?)\s+(timeout \S+ expires \S+)(?:\s*:\s*(.*?))?\s*$/.exec(text))
    .filter((match) => match !== null)
    .map(([, key, life, value]) => ({ key: key.split(" . "), life, value: value?.split(" . ") ?? [] }))
}

/** A free port of the inside port's range and parity, from now on taken; `undefined` if there is none. */
const drawPort = (insidePort: number, taken: Set<number>, draw: (below: number) => number): number | undefined => {
  const low = insidePort < 1024 ? 0 : 1024
  const pairs = (insidePort < 1024 ? 1024 : 65_536 - 1024) / 2
  const start = draw(pairs)
  for (let i = 0; i < pairs; i++) {
    const port = low + ((start + i) % pairs) * 2 + (insidePort & 1)
    if (port === 0 || port === insidePort || taken.has(port)) continue
    taken.add(port)
    return port
  }
  return undefined
}
