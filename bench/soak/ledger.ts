/**
 * The books of gateway and client: of what goes into each stage of a node, all comes out, is dropped for a named reason, or is the session's
 * own (pings and proofs, of which there are few each second). Each balance is of the packets between two snapshots of one node.
 */

import { type Snapshot, sumIn, valueIn } from "./node-figures.ts"

export interface Balance {
  readonly node: string
  /** What goes in and what comes out. */
  readonly sentence: string
  readonly packetsIn: number
  readonly packetsOut: number
  /** Dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Made or kept by the session itself. */
  readonly own: number
  /** What is left when all that is explained: 0 if the books balance. */
  readonly unexplained: number
}

/** So many packets, and so many more in each second. */
interface Quota {
  readonly once: number
  readonly perSecond: number
}
/** A session's own: a ping and a pong each way, a proof each way; and some for a moment of repetition. */
const SESSION: Quota = { once: 16, perSecond: 8 }
/** Datagrams outside of sessions: a handshake, and now and then a probe of how far a gateway is. */
const HANDSHAKES: Quota = { once: 12, perSecond: 0.5 }

/** Who a session's own packets are with: they are added to what comes out of a stage, or missing from it. */
type Own = "added" | "kept" | "none"

interface Stage {
  readonly sentence: string
  readonly packetsIn: (values: Values) => number
  readonly packetsOut: (values: Values) => number
  /** Prefixes or names of the figures that count what this stage drops. */
  readonly drops: ReadonlyArray<string>
  readonly own: Own
  /** How many of its own there may be; those of a session if left out. */
  readonly quota?: Quota
}

/** Figures of one node, as differences of two snapshots. */
class Values {
  private readonly from: Snapshot
  private readonly to: Snapshot
  private readonly node: string

  constructor(node: string, from: Snapshot, to: Snapshot) {
    this.node = node
    this.from = from
    this.to = to
  }

  get(name: string): number {
    return valueIn(this.to, `${this.node}.${name}`) - valueIn(this.from, `${this.node}.${name}`)
  }

  sum(prefix: string): number {
    return sumIn(this.to, `${this.node}.${prefix}`) - sumIn(this.from, `${this.node}.${prefix}`)
  }

  /** Those that are not zero, by the end of their name. */
  named(prefix: string): Record<string, number> {
    const named: Record<string, number> = {}
    const whole = `${this.node}.${prefix}`
    for (const name of this.to.values.keys()) {
      if (!name.startsWith(whole)) continue
      const value = this.get(name.slice(this.node.length + 1))
      if (value !== 0) named[name === whole ? prefix : name.slice(whole.length)] = value
    }
    return named
  }
}

const RECEIVED: Stage = {
  sentence: "datagrams received = datagrams opened + dropped by the session + of handshakes and probes",
  packetsIn: (values) => values.get("udp.packets-in"),
  packetsOut: (values) => values.get("session.packets-in"),
  drops: ["datagram-dropped."],
  own: "kept",
  quota: HANDSHAKES
}
const SENT: Stage = {
  sentence: "datagrams sealed + of handshakes and probes = datagrams sent + refused by the system",
  packetsIn: (values) => values.get("session.packets-out"),
  packetsOut: (values) => values.get("udp.packets-out"),
  drops: ["udp.drops-out"],
  own: "added",
  quota: HANDSHAKES
}

/** All that the gateway's switch decided upon. */
const fates = (values: Values): number => values.get("delivered") + values.sum("dropped.")

const STAGES: Readonly<Record<string, ReadonlyArray<Stage>>> = {
  gateway: [
    RECEIVED,
    {
      sentence: "datagrams opened + packets of the host = packets switched + the session's own",
      packetsIn: (values) => values.get("session.packets-in") + values.get("tun.packets-in"),
      packetsOut: fates,
      drops: [],
      own: "kept"
    },
    {
      sentence: "packets switched = to members + to the host + dropped by the switch",
      packetsIn: fates,
      packetsOut: (values) => values.get("forwarded") + values.get("tun.packets-out"),
      drops: ["dropped.", "tun.drops-out"],
      own: "none"
    },
    {
      sentence: "packets to members + the session's own = datagrams sealed",
      packetsIn: (values) => values.get("forwarded"),
      packetsOut: (values) => values.get("session.packets-out"),
      drops: [],
      own: "added"
    },
    SENT
  ],
  client: [
    RECEIVED,
    {
      sentence: "datagrams opened = packets to the host + dropped + the session's own",
      packetsIn: (values) => values.get("session.packets-in"),
      packetsOut: (values) => values.get("tun.packets-out"),
      drops: ["dropped.noInterface", "dropped.notForHost", "tun.drops-out"],
      own: "kept"
    },
    {
      sentence: "packets of the host + the session's own = datagrams sealed + dropped",
      packetsIn: (values) => values.get("tun.packets-in"),
      packetsOut: (values) => values.get("session.packets-out"),
      drops: ["dropped.noSession", "dropped.notOwn", "dropped.notSent"],
      own: "added"
    },
    SENT
  ]
}

/** The balances of `gateway` or `client` between two of its snapshots, of the same session. */
export const balancesOf = (node: string, from: Snapshot, to: Snapshot): ReadonlyArray<Balance> => {
  const values = new Values(node, from, to)
  const seconds = (to.monotonicNs - from.monotonicNs) / 1e9
  return (STAGES[node] ?? []).map((stage) => balanceOf(node, stage, values, seconds))
}

const balanceOf = (node: string, stage: Stage, values: Values, seconds: number): Balance => {
  const { once, perSecond } = stage.quota ?? SESSION
  const packetsIn = stage.packetsIn(values)
  const packetsOut = stage.packetsOut(values)
  const dropped: Record<string, number> = Object.assign({}, ...stage.drops.map((prefix) => values.named(prefix)))
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0)
  const left = stage.own === "added" ? packetsOut + lost - packetsIn : packetsIn - packetsOut - lost
  const own = stage.own === "none" ? 0 : Math.min(Math.max(left, 0), once + perSecond * seconds)
  return { node, sentence: stage.sentence, packetsIn, packetsOut, dropped, own, unexplained: left - own }
}
