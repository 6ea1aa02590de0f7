/** Order statistics of few values. */

/** The middle value, or the mean of the two middle ones; NaN of nothing. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** The smallest value that at least `ppm` of all values do not exceed; NaN of nothing. */
export const percentile = (values: ReadonlyArray<number>, ppm: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil((ppm / 1e6) * sorted.length) - 1)]
}
