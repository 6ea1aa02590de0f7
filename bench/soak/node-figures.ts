/** The figures that nodes write into their traces, put together again: what a node says in one breath is one snapshot. */

import type { TraceEventLine } from "@horizon/real/trace.ts"

/** All figures of a node at one moment, by name. */
export interface Snapshot {
  /** CLOCK_MONOTONIC. */
  readonly monotonicNs: number
  readonly values: ReadonlyMap<string, number>
}

/** A node takes its figures at one moment and writes them one behind the other; those of the next moment come a second later at least. */
const BREATH_NS = 200_000_000

export class NodeFigures {
  private readonly snapshots = new Map<string, Array<{ monotonicNs: number; values: Map<string, number> }>>()

  /** Takes a line of a node's trace; those that are no figures are passed over. */
  take(node: string, line: TraceEventLine): void {
    if (line.kind !== "sample") return
    const { name, value } = line.fields as { readonly name: string; readonly value: number }
    const all = this.snapshots.get(node) ?? []
    this.snapshots.set(node, all)
    const last = all.at(-1)
    if (last !== undefined && line.monotonicNs - last.monotonicNs < BREATH_NS) last.values.set(name, value)
    else all.push({ monotonicNs: line.monotonicNs, values: new Map([[name, value]]) })
  }

  /** In the order of time. */
  of(node: string): ReadonlyArray<Snapshot> {
    return this.snapshots.get(node) ?? []
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
