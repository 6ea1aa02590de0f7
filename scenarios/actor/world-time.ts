/** World time in terms of a node's own clock, for who stamps many packets. */

import type { Clock } from "@horizon/core/port/clock.ts"
import type { Directory } from "./actor.ts"

/** A process may be put aside between two readings, but hardly each time. */
const READINGS = 32

/**
 * World time less the node's monotonic time. The world's clock is read first, so each difference is too small by what passed between the
 * two readings, and the largest is the best.
 */
export const worldOffsetNs = (directory: Directory["Service"], clock: Clock["Service"]): number => {
  let offsetNs = Number.NEGATIVE_INFINITY
  for (let i = 0; i < READINGS; i++) offsetNs = Math.max(offsetNs, directory.worldNs() - clock.nowNs())
  return offsetNs
}
