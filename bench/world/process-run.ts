/** One run of a scenario with real processes on a network of real interfaces, whatever made that: boot, both phases, and the end. */

import { mkdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Fault } from "@horizon/core/lab/fault.ts"
import { validateScenario } from "@horizon/scenarios/judge.ts"
import { LabError } from "../lab/lab-error.ts"
import type { LabNetwork } from "../lab/lab-network.ts"
import { ProcessLab } from "../lab/process/process-lab.ts"
import { StallWatch } from "../lab/process/stall-watch.ts"
import { recordFolder } from "../lab/registry.ts"
import { driveFaults } from "./fault-driver.ts"
import { metNow } from "./goals.ts"
import type { WorldRunOptions, WorldRunOutcome } from "./world.ts"

/** How often a run looks whether it is over, and tells how far it is. */
const TICK_MS = 250

/** Labs that this process has made: each gets a name of its own, so that several can stand side by side. */
let labs = 0

/** Builds a network, runs the scenario on it and takes it away. `place` is where figures are measured, for people. */
export const runInLab = async (
  options: WorldRunOptions,
  place: string,
  build: (lab: { readonly id: string; readonly purpose: string }) => Promise<LabNetwork>
): Promise<WorldRunOutcome> => {
  const { scenario } = options
  const problems = validateScenario(scenario)
  if (problems.length > 0) throw new Error(`scenario ${scenario.name} is not sound: ${problems.join("; ")}`)
  const id = `hz${process.pid}-${++labs}`
  const network = await build({ id, purpose: `scenario ${scenario.name}` })
  const folder = join(tmpdir(), `horizon-${id}`)
  try {
    recordFolder(id, folder)
    await mkdir(folder, { mode: 0o700 })
    return await runOnNetwork(network, options, folder, `measured in ${place} (driver ${network.driver})`)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await network.close()
  }
}

/** Runs the scenario; the network stays as it is, for whoever made it to take away. `folder` is empty, and holds what nodes keep. */
export const runOnNetwork = async (
  network: LabNetwork,
  options: WorldRunOptions,
  folder: string,
  fidelity: string
): Promise<WorldRunOutcome> => {
  const { scenario, signal } = options
  const timeline = options.timeline ?? scenario.faults
  const lab = new ProcessLab({ scenario, network, folder })
  const stalls = new StallWatch(() => lab.nowNs() / 1e6)
  let livenessNs: number | undefined
  let seconds = 0
  try {
    await lab.boot(signal)
    livenessNs = await runPhases(lab, options, timeline)
    seconds = lab.nowNs() / 1e9
    for (const note of network.notes) lab.write("world", "fact", { name: "link-note", value: note })
    await countLinks(network, lab)
  } finally {
    stalls.stop()
    await lab.close(signal?.aborted)
  }
  if (lab.unavailable !== undefined) throw new LabError("missing", lab.unavailable)
  return {
    trace: lab.trace,
    watched: lab.watched(),
    failures: lab.failures,
    digest: "",
    checkpoints: [],
    recorded: [],
    events: lab.trace.events.length,
    packets: lab.packets(),
    seconds,
    livenessNs,
    timeline,
    drawn: {},
    caveats: stalls.caveats(),
    fidelity
  }
}

/** Runs the safety and the liveness phase; when the second one began. */
const runPhases = async (
  lab: ProcessLab,
  options: WorldRunOptions,
  timeline: ReadonlyArray<Fault>
): Promise<number | undefined> => {
  const { scenario } = options
  const timers: Array<NodeJS.Timeout> = []
  const at = (ms: number, work: () => void): void => {
    timers.push(setTimeout(work, Math.max(0, ms - lab.nowNs() / 1e6)))
  }
  try {
    const driver = driveFaults(timeline, lab.handles, at, lab.trace, () => lab.nowNs())
    if (!(await runUntil(lab, scenario.durationMs, options, () => false))) return undefined
    driver.heal()
    await lab.settled()
    const livenessNs = lab.nowNs()
    lab.write("world", "phase.liveness", {})
    const met = (): boolean => metNow(lab, scenario, livenessNs, false)
    await runUntil(lab, scenario.durationMs + scenario.livenessMs, options, met)
    return livenessNs
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}

/** Lets time pass until `untilMs` of the run, or until `done` holds; false if there is no sense in going on. */
const runUntil = async (
  lab: ProcessLab,
  untilMs: number,
  options: WorldRunOptions,
  done: () => boolean
): Promise<boolean> => {
  for (;;) {
    if (options.signal?.aborted || lab.unavailable !== undefined) return false
    const restMs = untilMs - lab.nowNs() / 1e6
    if (restMs <= 0 || done()) return true
    await new Promise((resolve) => setTimeout(resolve, Math.min(TICK_MS, restMs)))
    options.progress?.(lab.nowNs() / 1e9)
  }
}

/** Asks the links what they did: one that did not do what it was told makes the run worthless. */
const countLinks = async (network: LabNetwork, lab: ProcessLab): Promise<void> => {
  try {
    await network.counts()
  } catch (cause) {
    lab.fail("lab", cause instanceof Error ? cause.message : String(cause))
  }
}
