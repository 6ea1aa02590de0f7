/**
 * The determinism check: every run in two fresh processes must give one digest, and a seed alone the digest that it has inside a
 * batch. `node bench/runner/determinism.ts SEEDS` (20 if left out) checks every simulated scenario; exit code 4 if any differs.
 */

import { availableParallelism } from "node:os"
import { SCENARIOS } from "@horizon/scenarios/registry.ts"
import { WORLDS } from "../world/registry.ts"
import type { PlannedRun } from "./plan.ts"
import { offered, planRuns } from "./plan.ts"
import { WorkerPool } from "./worker-pool.ts"

export interface DigestPair {
  readonly scenario: string
  readonly seed: number
  /** From a process of its own, another process of its own, and a process that ran other seeds before. */
  readonly digests: ReadonlyArray<string>
}

/** Digests of every scenario and seed, each from two fresh processes and from a batch. */
export const collectDigests = async (
  names: ReadonlyArray<string>,
  seeds: ReadonlyArray<number>,
  onPair: (pair: DigestPair) => void = () => {}
): Promise<ReadonlyArray<DigestPair>> => {
  const planned = planRuns(names, false, "simulated", seeds).map((run) => ({ ...run, twice: false }))
  const batch = await inBatch(planned)
  const pairs: Array<DigestPair> = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < planned.length) {
      const index = next++
      const alone = [await inFreshProcess(planned[index]), await inFreshProcess(planned[index])]
      const pair = {
        scenario: planned[index].scenario.name,
        seed: planned[index].seed,
        digests: [...alone, batch[index]]
      }
      pairs.push(pair)
      onPair(pair)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, lane))
  return pairs
}

export const simulatedScenarios = (): ReadonlyArray<string> =>
  SCENARIOS.filter((scenario) => offered(scenario, WORLDS[0])).map((scenario) => scenario.name)

const inFreshProcess = async (run: PlannedRun): Promise<string> => (await inBatch([run]))[0]

const inBatch = async (runs: ReadonlyArray<PlannedRun>): Promise<ReadonlyArray<string>> => {
  const pool = new WorkerPool(1, () => {})
  const digests: Array<string> = []
  try {
    await pool.runAll(runs, ({ run }) => void digests.push(run.digest))
  } finally {
    pool.close()
  }
  return digests
}

if (import.meta.main) {
  const seeds = Array.from({ length: Number(process.argv[2] ?? 20) }, (_, index) => index + 1)
  let differing = 0
  const pairs = await collectDigests(simulatedScenarios(), seeds, ({ scenario, seed, digests }) => {
    const same = new Set(digests).size === 1 && digests[0] !== ""
    if (!same) differing++
    console.log(`${same ? "same" : "DIFFERENT"} ${scenario} seed ${seed}: ${same ? digests[0] : digests.join(", ")}`)
  })
  console.log(`${pairs.length - differing} of ${pairs.length} runs replay`)
  process.exitCode = differing === 0 ? 0 : 4
}
