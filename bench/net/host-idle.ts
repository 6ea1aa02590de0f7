/** How much of the host is free before something is measured: figures from a busy one are not worth much, and say so. */

import { cpus } from "node:os"

const SAMPLE_MS = 150

/** Share of all CPU time that nobody used for a moment, 0 to 1. */
export const hostIdleRatio = async (): Promise<number> => {
  const before = ticks()
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
  const after = ticks()
  const total = after.total - before.total
  return total > 0 ? (after.idle - before.idle) / total : 1
}

const ticks = (): { idle: number; total: number } => {
  let idle = 0
  let total = 0
  for (const { times } of cpus()) {
    idle += times.idle
    total += times.idle + times.user + times.nice + times.sys + times.irq
  }
  return { idle, total }
}
