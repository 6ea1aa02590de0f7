/** The figures that nodes write into their traces, put together again: all that a node says of one moment is one snapshot. */

import type { TraceEventLine } from "@horizon/real/trace.ts"

/** All figures of a node at one moment, by name. */
export interface Snapshot {
  /** CLOCK_MONOTONIC, of the first figure. */
  readonly monotonicNs: number
  readonly values: ReadonlyMap<string, number>
}

/** A node takes all its figures in one call and writes them one behind the other, this one first. */
const FIRST = "sessions"

export class NodeFigures {
  private readonly snapshots = new Map<string, Array<{ monotonicNs: number; values: Map<string, number> }>>()

  /** Takes a line of a node's trace; those that are no figures are passed over. */
  take(node: string, line: TraceEventLine): void {
    if (line.kind !== "sample") return
    const { name, value } = line.fields as { readonly name: string; readonly value: number }
    const all = this.snapshots.get(node) ?? []
    this.snapshots.set(node, all)
    if (name === `${node}.${FIRST}`) all.push({ monotonicNs: line.monotonicNs, values: new Map() })
    all.at(-1)?.values.set(name, value)
  }

  /** In the order of time. The last one is left out: only the next tells that it is whole. */
  of(node: string): ReadonlyArray<Snapshot> {
    return (this.snapshots.get(node) ?? []).slice(0, -1)
  }
}

/** A figure, 0 if it is not there: nodes leave out what is zero. */
export const valueIn = (snapshot: Snapshot, name: string): number => snapshot.values.get(name) ?? 0

/** The sum of the figures whose names begin so. */
export const sumIn = (snapshot: Snapshot, prefix: string): number => {
  let sum = 0
  for (const [name, value] of snapshot.values) if (name.startsWith(prefix)) sum += value
  return sum
}
