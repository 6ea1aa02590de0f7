/**
 * The stages behind the shaper: propagation delay, jitter, and what packets that overtake each other do. As with the
 * shaper, times come out as fields.
 */

import { JitterSource } from "./jitter.ts"
import { chanceLimit, type Uniform } from "./probability.ts"
import type { Shaper } from "./shaper.ts"
import type { LinkSpec } from "./spec.ts"

export class DelayLine {
  /** When the last packet leaves the link. */
  exitNs = 0
  /** Propagation of the last packet; 0 for one that a reorder gap let skip the delay. */
  propagationNs = 0
  /** What jitter added to the last packet, of either sign, with the wait that keeps the order. */
  jitterNs = 0
  /** Packets that left before one that had entered earlier. */
  reordered = 0
  private readonly random: (stage: string) => Uniform
  private jitter: JitterSource | null = null
  private jittery = false
  private ordered = false
  private delayNs = 0
  private reorderRandom: Uniform | null = null
  private gap = 0
  private reorderLimit = 0
  /** Packets since the last one that skipped the delay. */
  private sinceReorder = 0
  private latestNs = 0

  constructor(random: (stage: string) => Uniform) {
    this.random = random
  }

  configure(spec: LinkSpec): void {
    this.delayNs = spec.delayUs * 1000
    this.jittery = spec.jitterUs > 0
    if (this.jittery) {
      this.jitter ??= new JitterSource(this.random("jitter"))
      this.jitter.configure(spec.jitterUs * 1000, spec.distribution)
    }
    this.ordered = spec.reordering === "forbidden"
    if (spec.reorderGap === null) {
      this.gap = 0
      this.sinceReorder = 0
    } else {
      this.reorderRandom ??= this.random("reorder")
      this.gap = spec.reorderGap.gap
      this.reorderLimit = chanceLimit(spec.reorderGap.ppm)
    }
  }

  /** Takes a packet that the shaper has just served and sets when it leaves the link: never before it left the shaper. */
  pass(shaper: Shaper): void {
    let propagationNs = this.delayNs
    let jitterNs = 0
    if (this.jittery) {
      // A packet that then skips the delay draws too, so that a reorder gap does not shift the others' jitter.
      const drawnNs = this.jitter!.nextNs()
      jitterNs = Math.max(drawnNs, -propagationNs)
    }
    if (this.gap > 0 && this.skipsDelay()) {
      propagationNs = 0
      jitterNs = 0
    }
    let exitNs = shaper.departNs + propagationNs + jitterNs
    if (exitNs >= this.latestNs) this.latestNs = exitNs
    else if (this.ordered) {
      jitterNs += this.latestNs - exitNs
      exitNs = this.latestNs
    } else this.reordered++
    this.propagationNs = propagationNs
    this.jitterNs = jitterNs
    this.exitNs = exitNs
  }

  /** The first `gap - 1` packets never skip; from then on each does with the given chance, and the count starts again. */
  private skipsDelay(): boolean {
    if (++this.sinceReorder < this.gap) return false
    if (this.reorderRandom!.u32() >= this.reorderLimit) return false
    this.sinceReorder = 0
    return true
  }
}
