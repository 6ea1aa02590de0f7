/**
 * The simulated world: one process, virtual time, real node code. The run is cut into slices of a simulated second; each slice
 * runs with the guard up, between them the command line may draw its progress.
 */

import type { Crypto } from "@horizon/core/crypto/crypto.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { stubCrypto } from "@horizon/core/crypto/stub.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import { validateScenario } from "@horizon/scenarios/judge.ts"
import { Digest } from "@horizon/sim/kernel/digest.ts"
import { Kernel, Livelock } from "@horizon/sim/kernel/kernel.ts"
import { simulatedLabel } from "../calibrate/store.ts"
import { driveFaults } from "./fault-driver.ts"
import { metNow } from "./goals.ts"
import { Guard, WorldLeak } from "./guard.ts"
import { openMemoryEngine } from "./memory-engine.ts"
import { sampleNetwork } from "./sampler.ts"
import { SimLab } from "./sim-lab.ts"
import { drawSwarm, NO_SWARM, withKnobs } from "./swarm.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

const SLICE_NS = 1e9

export interface SimulatedOptions {
  /** `noble` is real cryptography; `stub` measures the simulator without it. */
  readonly crypto?: "noble" | "stub"
}

export const makeSimulated = (options: SimulatedOptions = {}): World => ({
  name: "simulated",
  summary: "one process, virtual time, every fault; a seed replays exactly",
  fidelity: `simulated, ${limitsOf(options)}`,
  offers: new Set([
    "impaired-links",
    "nat",
    "partition",
    "crash",
    "outage",
    "pause",
    "clock-control",
    "store-faults",
    "slow-consumer",
    "upgrade",
    "swarm",
    "planted-faults",
    "virtual-time"
  ]),
  run: async (run) => ({
    ...(await runSimulated(run, options.crypto === "stub" ? stubCrypto : nobleCrypto)),
    fidelity: `${simulatedLabel()}, ${limitsOf(options)}`
  })
})

/** What this world does not imitate. */
const limitsOf = ({ crypto }: SimulatedOptions): string =>
  crypto === "stub" ? "infinitely fast CPU, stub cryptography" : "infinitely fast CPU"

const runSimulated = async (options: WorldRunOptions, crypto: Crypto): Promise<WorldRunOutcome> => {
  const { seed } = options
  const problems = validateScenario(options.scenario)
  if (problems.length > 0) throw new Error(`scenario ${options.scenario.name} is not sound: ${problems.join("; ")}`)
  const swarm = options.scenario.swarm === undefined ? undefined : drawSwarm(options.scenario, seed)
  const scenario = swarm === undefined ? options.scenario : withKnobs(options.scenario, swarm.knobs)
  const timeline = options.timeline ?? [...scenario.faults, ...(swarm?.timeline ?? [])]
  const { order, preemptPpm, maxOpsBeforeYield } = swarm ?? NO_SWARM
  const digest = new Digest(options.record?.from, options.record?.to)
  const kernel = new Kernel({ seed, order, preemptPpm, maxOpsBeforeYield, digest })
  const guard = new Guard()
  const lab = new SimLab({ kernel, scenario, crypto, openEngine: openMemoryEngine })
  kernel.afterStep = () => {
    if (guard.leak !== undefined) kernel.abort = guard.leak
  }
  sampleNetwork(lab)
  const driver = driveFaults(
    timeline,
    lab.handles,
    (ms, work) => void kernel.callAt(ms * 1e6, work),
    lab.trace,
    () => kernel.nowNs
  )
  const failures: Array<Failure> = []
  let livenessNs: number | undefined
  try {
    const endNs = scenario.durationMs * 1e6
    await runSlices(kernel, guard, endNs, options, () => false)
    guard.during(() => {
      livenessNs = kernel.nowNs
      driver.heal()
      lab.write("world", "phase.liveness", {})
    })
    const met = (): boolean => metNow(lab, scenario, livenessNs, true)
    await runSlices(kernel, guard, endNs + scenario.livenessMs * 1e6, options, met)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    failures.push(harnessFailure(error))
  }
  for (const sentence of lab.actorFailures) failures.push({ id: "actor", verdict: "harness", sentence, events: [] })
  lab.close()
  return {
    trace: lab.trace,
    watched: lab.watched(),
    failures,
    digest: digest.hex(),
    checkpoints: digest.checkpoints,
    recorded: digest.recorded.map(({ index, atNs, node, kind, size, hash }) => ({
      index,
      atNs,
      words: lab.describe(node, kind, size, hash)
    })),
    events: kernel.events + kernel.tasks,
    packets: lab.network.counters.sent,
    seconds: kernel.nowNs / 1e9,
    livenessNs,
    timeline,
    drawn: swarm?.drawn ?? {}
  }
}

/** Runs to `untilNs`, or until `done` holds at the end of a slice. */
const runSlices = async (
  kernel: Kernel,
  guard: Guard,
  untilNs: number,
  options: WorldRunOptions,
  done: () => boolean
): Promise<void> => {
  while (kernel.nowNs < untilNs && !done() && !options.signal?.aborted) {
    guard.during(() => kernel.run(Math.min(kernel.nowNs + SLICE_NS, untilNs)))
    options.progress?.(kernel.nowNs / 1e9)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const harnessFailure = (error: Error): Failure => ({
  id: error instanceof WorldLeak ? "guard" : error instanceof Livelock ? "livelock" : "kernel",
  verdict: "harness",
  sentence: error instanceof WorldLeak || error instanceof Livelock ? error.message : (error.stack ?? error.message),
  events: []
})
