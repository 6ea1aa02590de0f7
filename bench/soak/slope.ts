/** The trend of a noisy series, which a few outliers do not move (Theil and Sen: the median of the slopes of all pairs). */

import { median } from "../net/median.ts"

/** Change of the values in a unit of `at`; 0 for fewer than two points. */
export const slopeOf = (at: ReadonlyArray<number>, values: ReadonlyArray<number>): number => {
  const slopes: Array<number> = []
  for (let i = 0; i < at.length; i++) {
    for (let j = i + 1; j < at.length; j++) {
      if (at[j] !== at[i]) slopes.push((values[j] - values[i]) / (at[j] - at[i]))
    }
  }
  return slopes.length === 0 ? 0 : median(slopes)
}
