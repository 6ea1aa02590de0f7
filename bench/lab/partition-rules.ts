/**
 * Partitions as nftables rules of the switch. A packet is judged where it arrives, by the host that sent it, as in the simulator:
 * its addresses would not tell, because a NAT may have rewritten them. So while partitions last, what a host of theirs sends gets a
 * mark in the six DSCP bits of its IP header at the sender's port, and is judged by it at the receiver's port.
 */

import { LabError } from "./lab-error.ts"

/** No packet passes from a host of `from` to one of `to`. */
export interface Cut {
  readonly from: ReadonlyArray<string>
  readonly to: ReadonlyArray<string>
}

/** The whole table for the cuts that last, for `nft -f` in the switch's namespace; it replaces the one before at once. */
export const partitionRuleset = (cuts: ReadonlyArray<Cut>, portOf: (host: string) => string): string => {
  // Deleting what is not there is an error, so it is made first.
  const clear = `table bridge ${TABLE} {}\ndelete table bridge ${TABLE}\n`
  const classes = classesOf(cuts)
  if (classes.length === 0) return clear
  const send = classes.map(({ mark, senders }) => `    iifname ${set(senders.map(portOf))} ip dscp set ${mark}`)
  const receivers = new Map<string, Array<number>>()
  for (const { mark, unreachable } of classes)
    for (const host of unreachable) receivers.set(host, [...(receivers.get(host) ?? []), mark])
  const receive = [...receivers].map(
    ([host, marks]) => `    oifname "${portOf(host)}" ip dscp { ${marks.join(", ")} } drop`
  )
  return `${clear}table bridge ${TABLE} {
  chain send {
    type filter hook prerouting priority 0
${send.join("\n")}
  }
  chain receive {
    type filter hook postrouting priority 0
${receive.join("\n")}
  }
}
`
}

/** Hosts that cannot reach the same hosts: they share a mark. */
interface Class {
  readonly mark: number
  readonly senders: ReadonlyArray<string>
  readonly unreachable: ReadonlyArray<string>
}

const classesOf = (cuts: ReadonlyArray<Cut>): ReadonlyArray<Class> => {
  const unreachable = new Map<string, Set<string>>()
  for (const { from, to } of cuts)
    for (const sender of from) {
      const known = unreachable.get(sender) ?? new Set()
      for (const host of to) if (host !== sender) known.add(host)
      if (known.size > 0) unreachable.set(sender, known)
    }
  const classes = new Map<string, { senders: Array<string>; unreachable: ReadonlyArray<string> }>()
  for (const [sender, hosts] of unreachable) {
    const key = [...hosts].sort().join("\n")
    const known = classes.get(key)
    if (known === undefined) classes.set(key, { senders: [sender], unreachable: [...hosts] })
    else known.senders.push(sender)
  }
  if (classes.size > MARKS.length)
    throw new LabError(
      "failed",
      `partitions overlap in ${classes.size} ways; at most ${MARKS.length} can be told apart`
    )
  return [...classes.values()].map((one, index) => ({ ...one, mark: MARKS[index] }))
}

const TABLE = "horizon_partition"

/**
 * DSCP values, first those for local use (RFC 2474 §6: xxxx11). Not 48 to 55: a router's ICMP error carries 48 and the low bits of
 * what it is about, and it has no sender that could be partitioned.
 */
const MARKS: ReadonlyArray<number> = Array.from({ length: 63 }, (_, index) => index + 1)
  .filter((mark) => mark < 48 || mark > 55)
  .sort((a, b) => Number(b % 4 === 3) - Number(a % 4 === 3))

const set = (ports: ReadonlyArray<string>): string => `{ ${ports.map((port) => `"${port}"`).join(", ")} }`
