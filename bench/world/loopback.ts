/**
 * The loopback world: the nodes and actors of a scenario in this process, on real sockets, real files and real time, and between them
 * the simulator's network on the machine's clock. Each host of the topology has an address of its own in 127.0.0.0/8; the tunnel's far
 * side is the same user-land IP stack as in the simulated world.
 *
 * A seed gives the same draws of the links here, and not the same run: what the machine does in real time does not replay.
 */

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { validateScenario } from "@horizon/scenarios/judge.ts"
import { driveFaults } from "./fault-driver.ts"
import { metNow } from "./goals.ts"
import { type LoopbackLab, openLoopbackLab } from "./loopback/lab.ts"
import { sampleNetwork } from "./sampler.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

const TICK_MS = 250
const LATENESS_PERIOD_NS = 1e9
/** Sample of how late the network's events were at worst in the last second: a machine that is busy elsewhere delays all of them. */
export const LATENESS = "lateness of the network"

export const makeLoopback = (): World => ({
  name: "loopback",
  summary:
    "all nodes in one process on real sockets, files and time; links, NAT and faults by the simulator's machines",
  fidelity: "measured on loopback",
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
    "planted-faults"
  ]),
  run: runLoopback
})

const runLoopback = async (options: WorldRunOptions): Promise<WorldRunOutcome> => {
  const { scenario, seed } = options
  const problems = validateScenario(scenario)
  if (problems.length > 0) throw new Error(`scenario ${scenario.name} is not sound: ${problems.join("; ")}`)
  const timeline = options.timeline ?? scenario.faults
  const folder = await mkdtemp(join(tmpdir(), "horizon-loopback-"))
  try {
    const lab = await openLoopbackLab({ scenario, seed, folder })
    const livenessNs = await runPhases(lab, { ...options, timeline })
    return {
      trace: lab.trace,
      watched: lab.watched(),
      failures: lab.failures,
      digest: "",
      checkpoints: [],
      recorded: [],
      events: lab.kernel.events,
      packets: lab.network.counters.sent,
      seconds: lab.nowNs() / 1e9,
      livenessNs,
      timeline,
      drawn: {},
      fidelity: fidelityOf(lab)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs the safety and the liveness phase, and closes the lab; when the second one began. */
const runPhases = async (
  lab: LoopbackLab,
  options: WorldRunOptions & Required<Pick<WorldRunOptions, "timeline">>
): Promise<number> => {
  const { scenario, timeline } = options
  try {
    sampleNetwork(lab)
    sampleLateness(lab)
    const driver = driveFaults(
      timeline,
      lab.handles,
      (ms, work) => void lab.kernel.callAt(ms * 1e6, work),
      lab.trace,
      () => lab.nowNs()
    )
    await runUntil(lab, scenario.durationMs, options, () => false)
    const livenessNs = lab.nowNs()
    driver.heal()
    lab.write("world", "phase.liveness", {})
    const met = (): boolean => metNow(lab, scenario, livenessNs, false)
    await runUntil(lab, scenario.durationMs + scenario.livenessMs, options, met)
    return livenessNs
  } finally {
    await lab.close()
  }
}

/** Lets time pass until `untilMs` of the run, or until `done` holds, or until the lab has failed. */
const runUntil = async (
  lab: LoopbackLab,
  untilMs: number,
  { progress, signal }: WorldRunOptions,
  done: () => boolean
): Promise<void> => {
  while (lab.nowNs() < untilMs * 1e6 && !done() && lab.failures.length === 0 && !signal?.aborted) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    progress?.(lab.nowNs() / 1e9)
  }
}

const sampleLateness = (lab: LoopbackLab): void => {
  const sample = (): void => {
    lab.write("world", "sample", { name: LATENESS, value: lab.kernel.takeWorstNs() / 1e6, unit: "ms" })
    lab.kernel.callAt(lab.kernel.nowNs + LATENESS_PERIOD_NS, sample)
  }
  lab.kernel.callAt(LATENESS_PERIOD_NS, sample)
}

const fidelityOf = ({ kernel: { late } }: LoopbackLab): string => {
  const ms = (p: number): string => `${(late.percentile(p) / 1e6).toFixed(2)} ms`
  return `measured on loopback, the network's events late by ${ms(50)} (p50), ${ms(99)} (p99)`
}
