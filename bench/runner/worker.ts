/** The worker process of worker-pool.ts: takes jobs over the process channel, answers with events and results. */

import { planRuns } from "./plan.ts"
import { runOnce } from "./run-once.ts"
import type { WorkerJob, WorkerMessage } from "./worker-pool.ts"

const send = (message: WorkerMessage): void => void process.send?.(message)

process.on("message", async ({ scenario, world, seed, twice }: WorkerJob) => {
  const [planned] = planRuns([scenario], false, world, [seed])
  const ofSeconds = planned.scenario.durationMs / 1000
  send({ kind: "event", event: { kind: "started", scenario, world, seed } })
  const { run, document } = await runOnce({
    ...planned,
    twice,
    progress: (seconds) => send({ kind: "event", event: { kind: "progress", scenario, seed, seconds, ofSeconds } })
  })
  send({ kind: "result", result: document === undefined ? { run } : { run, document } })
})
// The parent's Ctrl-C reaches the whole process group; the parent decides what to do about it.
process.on("SIGINT", () => {})
process.on("disconnect", () => process.exit(0))
