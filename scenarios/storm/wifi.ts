/** A wireless link in a bad hour. */

import type { LinkSpec } from "@horizon/core/link/spec.ts"

/**
 * About 1 % stationary loss in bursts of five packets: the bad state is entered with 0.25 % and left with 20 % per packet
 * (stationary share 1.23 %), and four of five packets die in it.
 */
export const WIFI_STORM: Partial<LinkSpec> = {
  burstLoss: { goodToBadPpm: 2_500, badToGoodPpm: 200_000, lossBadPpm: 800_000, lossGoodPpm: 0 },
  jitterUs: 4_000,
  distribution: "pareto",
  reordering: "forbidden"
}
