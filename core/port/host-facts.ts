/**
 * Port: what a host is made of, as far as it stays the same from start to start. A server derives its hardware fingerprint from
 * it (api/fingerprint.ts); nothing else may leave the host.
 *
 * Reading never fails: what this host does not tell, or not to this user, is left out.
 */

import { Context, type Effect } from "effect"

/** `machine-id` is that of the installed system; `board` is the mainboard's or virtual machine's own number. */
export const HOST_FACT_KINDS = ["machine-id", "cpu", "memory", "nic", "board"] as const
export type HostFactKind = (typeof HOST_FACT_KINDS)[number]

/** One thing that stays. A kind may occur several times, for example once for each network interface. */
export interface HostFact {
  readonly kind: HostFactKind
  readonly value: string
}

/** Most facts of one host. */
export const HOST_FACTS_MAX = 16
/** Longest value, UTF-16 units; what is longer is cut. */
export const HOST_FACT_CHARACTERS_MAX = 128

export class HostFacts extends Context.Service<
  HostFacts,
  {
    /** The facts as `orderFacts` gives them. */
    readonly read: Effect.Effect<ReadonlyArray<HostFact>>
  }
>()("horizon/HostFacts") {}

/**
 * The facts in the one form that every layer gives: trimmed, cut, without empty values and duplicates, sorted by kind and value.
 * `nic`, the only kind of which a host has many, is last, so that the bound drops network interfaces and nothing else.
 */
export const orderFacts = (found: ReadonlyArray<HostFact>): ReadonlyArray<HostFact> => {
  const distinct = new Map<string, HostFact>()
  for (const { kind, value } of found) {
    const kept = value.trim().slice(0, HOST_FACT_CHARACTERS_MAX)
    if (kept !== "") distinct.set(`${kind} ${kept}`, { kind, value: kept })
  }
  return [...distinct]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, fact]) => fact)
    .slice(0, HOST_FACTS_MAX)
}
