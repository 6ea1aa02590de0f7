/**
 * The books of gateway and client: of what goes into each stage of a node, all comes out, is dropped for a named reason, or is the node's own
 * and counted as such (handshakes, probes, pings, proofs). Each balance is an exact equation between two snapshots of one node, without an
 * allowance: one packet that is lost, made or counted twice is seen.
 *
 * That holds while packets are on their way too. A node is one thread, and whatever brings packets (a socket, an interface, a timer) is one call
 * that hands all of them through the stages and flushes what came of them before it returns (SessionShell). Figures are taken in a call of
 * their own, so no packet is between two stages then.
 */

import { type Snapshot, valueIn } from "./node-figures.ts"

export interface Balance {
  readonly node: string
  /** What goes in and what comes out. */
  readonly sentence: string
  readonly packetsIn: number
  readonly packetsOut: number
  /** Dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** The node's own packets that end here, and those that begin here, by what they are. */
  readonly kept: Readonly<Record<string, number>>
  readonly made: Readonly<Record<string, number>>
  /** What is left when all that is explained: 0 if the books balance, below 0 if more came out than went in. */
  readonly unexplained: number
}

/** Names of figures, without the node's; a name that ends in a point means all that begin so. */
interface Stage {
  readonly sentence: string
  readonly packetsIn: ReadonlyArray<string>
  readonly packetsOut: ReadonlyArray<string>
  readonly dropped?: ReadonlyArray<string>
  readonly kept?: ReadonlyArray<string>
  readonly made?: ReadonlyArray<string>
}

const RECEIVED: Stage = {
  sentence: "datagrams received = datagrams opened + dropped by the session + of handshakes and probes",
  packetsIn: ["udp.packets-in"],
  packetsOut: ["session.packets-in"],
  dropped: ["datagram-dropped."],
  kept: ["handshake.packets-in", "probe.packets-in"],
  // What is dropped after it was opened is among both; the next stage has it.
  made: ["session.discarded"]
}
const SENT: Stage = {
  sentence: "datagrams sealed + of handshakes and probes = datagrams sent + refused by the system",
  packetsIn: ["session.packets-out"],
  packetsOut: ["udp.packets-out"],
  dropped: ["udp.drops-out"],
  made: ["handshake.packets-out", "probe.packets-out"]
}

/** All that the gateway's switch decided upon. */
const FATES = ["delivered", "dropped."]

const STAGES: Readonly<Record<string, ReadonlyArray<Stage>>> = {
  gateway: [
    RECEIVED,
    {
      sentence: "datagrams opened + packets of the host = packets switched + the session's own",
      packetsIn: ["session.packets-in", "tun.packets-in"],
      packetsOut: FATES,
      dropped: ["session.discarded"],
      kept: ["session.control-in"]
    },
    {
      sentence: "packets switched = to members + to the host + dropped by the switch",
      packetsIn: FATES,
      packetsOut: ["forwarded", "tun.packets-out"],
      dropped: ["dropped.", "tun.drops-out"],
      // A packet to all goes no further; its copies do. An ICMP error goes out for a packet that is dropped.
      kept: ["broadcasts"],
      made: ["broadcast-copies", "unreachables"]
    },
    {
      sentence: "packets to members + the session's own = datagrams sealed",
      packetsIn: ["forwarded"],
      packetsOut: ["session.packets-out"],
      made: ["session.control-out"]
    },
    SENT
  ],
  client: [
    RECEIVED,
    {
      sentence: "datagrams opened = packets to the host + dropped + the session's own and proofs",
      packetsIn: ["session.packets-in"],
      packetsOut: ["tun.packets-out"],
      dropped: [
        "dropped.noInterface",
        "dropped.notForHost",
        "dropped.notOpen",
        "dropped.notTunnel",
        "session.discarded",
        "tun.drops-out"
      ],
      kept: ["session.control-in", "proof.packets-in"]
    },
    {
      sentence: "packets of the host + the session's own and proofs = datagrams sealed + dropped",
      packetsIn: ["tun.packets-in"],
      packetsOut: ["session.packets-out"],
      dropped: ["dropped.noSession", "dropped.notOwn", "dropped.notSent"],
      made: ["session.control-out", "proof.packets-out"]
    },
    SENT
  ]
}

/** The balances of `gateway` or `client` between two of its snapshots, with the same interface in both. */
export const balancesOf = (node: string, from: Snapshot, to: Snapshot): ReadonlyArray<Balance> =>
  (STAGES[node] ?? []).map((stage) => {
    const moved = (figures: ReadonlyArray<string> = []) => named(node, figures, from, to)
    const packetsIn = sumOf(moved(stage.packetsIn))
    const packetsOut = sumOf(moved(stage.packetsOut))
    const [dropped, kept, made] = [moved(stage.dropped), moved(stage.kept), moved(stage.made)]
    const unexplained = packetsIn + sumOf(made) - packetsOut - sumOf(dropped) - sumOf(kept)
    return { node, sentence: stage.sentence, packetsIn, packetsOut, dropped, kept, made, unexplained }
  })

/** By how much figures of `node` have grown, by name, without those that have not. */
const named = (
  node: string,
  figures: ReadonlyArray<string>,
  from: Snapshot,
  to: Snapshot
): Readonly<Record<string, number>> => {
  const grown: Record<string, number> = {}
  for (const figure of figures) {
    const whole = `${node}.${figure}`
    const names = figure.endsWith(".") ? [...to.values.keys()].filter((name) => name.startsWith(whole)) : [whole]
    for (const name of names) {
      const value = valueIn(to, name) - valueIn(from, name)
      if (value !== 0) grown[name === whole ? figure : name.slice(whole.length)] = value
    }
  }
  return grown
}

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)
