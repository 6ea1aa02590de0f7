/** Figures of a stream of a thousand datagrams that went well, with changes. */

import type { StreamFigures } from "@horizon/core/measure/calibration.ts"

export const figures = (change: Partial<StreamFigures> = {}): StreamFigures => ({
  sent: 1_000,
  received: 1_000,
  goodputBps: 1_000_000,
  delayMinNs: 1e6,
  delayP50Ns: 1e6,
  delayP99Ns: 1e6,
  delayMaxNs: 1e6,
  samples: 1_000,
  duplicates: 0,
  reordered: 0,
  lossRuns: 0,
  lateP99Ns: 100_000,
  lateMaxNs: 200_000,
  ...change
})
