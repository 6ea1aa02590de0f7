/** What the kernel threw away on the way between two nodes, by the counters that it has: so that every loss has a name. */

import { run } from "../lab/command.ts"
import type { PairEnd } from "../net/pair.ts"

/** Counters by name, such as `a: UDP receive buffer full`. */
export type KernelDrops = Readonly<Record<string, number>>

export const readKernelDrops = async (end: PairEnd, name: string): Promise<KernelDrops> => {
  const links = await run(["ip", "-n", end.namespace, "-s", "-j", "link", "show"])
  const snmp = await run([...end.enter, "cat", "/proc/net/snmp"])
  const drops: Record<string, number> = {}
  const add = (what: string, count: number): void => {
    drops[`${name}: ${what}`] = count
  }
  for (const link of JSON.parse(links) as ReadonlyArray<LinkCounts>) {
    if (link.ifname === "lo") continue
    const { rx, tx } = link.stats64
    add(`${link.ifname} receive`, rx.dropped + rx.errors)
    add(`${link.ifname} transmit`, tx.dropped + tx.errors)
  }
  for (const [counter, what] of UDP_COUNTERS) add(what, udpCounter(snmp, counter))
  return drops
}

/** What was dropped between two readings; without those that are zero. */
export const dropsBetween = (before: KernelDrops, after: KernelDrops): KernelDrops =>
  Object.fromEntries(
    Object.entries(after)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count !== 0)
  )

interface LinkCounts {
  readonly ifname: string
  readonly stats64: {
    readonly rx: { readonly dropped: number; readonly errors: number }
    readonly tx: { readonly dropped: number; readonly errors: number }
  }
}

/** Of proc_net(5)'s `Udp` line. One that coalesces counts a burst of many datagrams as one. */
const UDP_COUNTERS = [
  ["RcvbufErrors", "UDP receive buffer full"],
  ["SndbufErrors", "UDP send buffer full"],
  ["InCsumErrors", "UDP checksum wrong"],
  ["NoPorts", "UDP without a receiver"]
] as const

/** A counter of the table in /proc/net/snmp, which has a line of names and a line of values for each protocol. */
export const udpCounter = (snmp: string, counter: string): number => {
  const [names, values] = snmp.split("\n").filter((line) => line.startsWith("Udp: "))
  const index = names?.split(" ").indexOf(counter) ?? -1
  return index < 0 ? 0 : Number(values?.split(" ")[index] ?? 0)
}
