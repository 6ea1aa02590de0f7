/**
 * Tells the packets that a sequence diagram wants to show: every handshake datagram that arrives, and the first datagrams that are
 * lost between two hosts for a reason. Bounded in rate and in number, so a storm does not drown the trace.
 */

import { formatV4 } from "@horizon/core/wire/address.ts"
import { KIND, kindAt } from "@horizon/core/wire/handshake.ts"
import { isSealed } from "@horizon/core/wire/header.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import type { Network, Tap } from "@horizon/sim/net/network.ts"
import { PROTOCOL } from "@horizon/sim/net/packet.ts"

const STORIES_MAX = 20_000
/** Losses told for one pair and reason in one second of the run. */
const LOSSES_PER_SECOND = 2

const NAMES = new Map<number, string>(Object.entries(KIND).map(([name, kind]) => [kind, name.toUpperCase()]))

/** What is told: from one node to another, or why it got lost. */
export type TellMessage = (from: string, to: string, label: string, bytes: number, lost: string) => void

/** A tap that tells messages between the scenario's nodes; hosts without a node go by their own name. */
export const packetStory = (network: Network, scenario: Scenario, tell: TellMessage): Tap => {
  const { pool, kernel } = network
  const nodeOn = new Map(scenario.nodes.map((node) => [node.host, node.name]))
  const nameOf = (host: string): string => nodeOn.get(host) ?? host
  const hostAt = new Map(network.interfaces.map((own) => [own.address, own.name]))
  let stories = 0
  let second = -1
  const losses = new Map<string, number>()

  const mayTellLoss = (key: string): boolean => {
    const now = Math.floor(kernel.nowNs / 1e9)
    if (now !== second) {
      second = now
      losses.clear()
    }
    const told = losses.get(key) ?? 0
    losses.set(key, told + 1)
    return told < LOSSES_PER_SECOND
  }
  return (point, packet, where, reason) => {
    if (point === "sent" || pool.protocol[packet] !== PROTOCOL.udp || stories >= STORIES_MAX) return
    const at = pool.offset(packet)
    const kind = isSealed(pool.slab, at) ? undefined : NAMES.get(kindAt(pool.slab, at, pool.length[packet]))
    if (point === "delivered" && kind === undefined) return
    const from = nameOf(network.interfaces[pool.origin[packet]]?.name ?? formatV4(pool.source[packet]))
    const target = point === "delivered" ? where : hostAt.get(pool.destination[packet])
    const to = nameOf(target ?? formatV4(pool.destination[packet]))
    if (from === to || (point === "dropped" && !mayTellLoss(`${from} ${to} ${reason}`))) return
    stories++
    tell(from, to, kind ?? "data", pool.length[packet], reason)
  }
}
