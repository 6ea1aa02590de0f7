/** A link's spec over time: the changes that faults have laid over it, and whether its counts bear out what it was asked to do. */

import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { overlay } from "@horizon/sim/net/interface.ts"
import type { LinkCount } from "./link-driver.ts"

/** One way of one link. */
export class LinkState {
  private readonly declared: LinkSpec
  private changes: ReadonlyArray<Partial<LinkSpec>> = []
  /** The spec in force, and the counts when it came into force. */
  private inForce: LinkSpec
  private since: LinkCount

  constructor(declared: LinkSpec, none: LinkCount) {
    this.declared = declared
    this.inForce = declared
    this.since = none
  }

  /** The declared spec with all changes laid over it. */
  get spec(): LinkSpec {
    return this.changes.reduce(overlay, this.declared)
  }

  /** Lays a change over it; the returned function takes this change away, whatever others came and went meanwhile. */
  change(change: Partial<LinkSpec>): () => void {
    const entry = { ...change }
    this.changes = [...this.changes, entry]
    return () => {
      this.changes = this.changes.filter((other) => other !== entry)
    }
  }

  /** What the spec in force asks for and the counts do not show. */
  findings(now: LinkCount): ReadonlyArray<string> {
    return unshown(this.inForce, this.since, now)
  }

  /** `spec` comes into force. */
  enter(now: LinkCount): void {
    this.inForce = this.spec
    this.since = now
  }
}

/**
 * What a spec asks of every so many packets, and what never happened although it should have `EVENTS_MIN` times: its chance of not
 * happening by luck is below e^-40. A count that the means cannot give says nothing.
 */
export const unshown = (spec: LinkSpec, before: LinkCount, after: LinkCount): ReadonlyArray<string> => {
  const passed = after.packets - before.packets
  const entered = passed + after.dropped - before.dropped
  const findings: Array<string> = []
  const look = (field: string, ppm: number, packets: number, seen: number | undefined): void => {
    if (ppm > 0 && seen === 0 && (packets * ppm) / 1e6 >= EVENTS_MIN)
      findings.push(
        `${field} asks for about ${Math.round((packets * ppm) / 1e6)} of ${packets} packets, and none is counted`
      )
  }
  const grown = (name: "duplicated" | "reordered" | "corrupted"): number | undefined => {
    const [now, then] = [after[name], before[name]]
    return now === undefined ? undefined : now - (then ?? 0)
  }
  const dropped = after.dropped - before.dropped
  look("lossPpm", spec.lossPpm, entered, dropped)
  look("burstLoss", burstPpm(spec), entered, dropped)
  look("duplicatePpm", spec.duplicatePpm, passed, grown("duplicated"))
  look("corruptPpm", spec.corruptPpm, passed, grown("corrupted"))
  if (spec.reorderGap !== null)
    look("reorderGap", spec.reorderGap.ppm / spec.reorderGap.gap, passed, grown("reordered"))
  return findings
}

const EVENTS_MIN = 40

/** How often a bad spell starts in which at least one packet is lost, at least: spells are what is independent of each other. */
const burstPpm = ({ burstLoss }: LinkSpec): number => {
  if (burstLoss === null || burstLoss.badToGoodPpm === 0) return 0
  const spells = (burstLoss.goodToBadPpm * burstLoss.badToGoodPpm) / (burstLoss.goodToBadPpm + burstLoss.badToGoodPpm)
  return (spells * burstLoss.lossBadPpm) / 1e6
}
