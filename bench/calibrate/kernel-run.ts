/** One run of calibration rows on a kernel, with links made by one driver. */

import { METER_HOST } from "@horizon/scenarios/calibration/plan.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { processesIn } from "../lab/clean.ts"
import { WIRE_NICE } from "../lab/driver-link.ts"
import { favour } from "../lab/favour.ts"
import type { LabNetwork } from "../lab/lab-network.ts"
import type { LinkCount, LinkWay, MakeLinkDriver } from "../lab/link-driver.ts"
import { buildNetns } from "../lab/netns.ts"
import { listLabs } from "../lab/registry.ts"
import { runInLab } from "../world/process-run.ts"
import type { WorldRunOutcome } from "../world/world.ts"
import { MachineWatch } from "./machine.ts"
import { besidePlain } from "./row-driver.ts"

/** Probes and meters come after wires, and ahead of everybody else. */
const ACTOR_NICE = -15

export interface RowRun {
  readonly scenario: Scenario
  readonly seed: number
  readonly progress: (seconds: number) => void
  readonly signal?: AbortSignal
}

export interface KernelRun {
  readonly outcome: WorldRunOutcome
  /** What the links did, by host. */
  readonly counts: ReadonlyMap<string, Readonly<Record<LinkWay, LinkCount>>>
  /** What the driver does only nearly, each with `host/way: ` in front. */
  readonly notes: ReadonlyArray<string>
  readonly machine: Pick<MachineWatch, "waited">
}

/** Runs the scenario; rejects with a `LabError` if this machine lacks something for it. */
export const runOnKernel = async (run: RowRun, make: MakeLinkDriver): Promise<KernelRun> => {
  const { progress, scenario, seed, signal } = run
  const machine = new MachineWatch()
  let counts: KernelRun["counts"] = new Map()
  let network: LabNetwork | undefined
  let namespaces: ReadonlyArray<string> = []
  let wires: ReadonlyArray<number> = []
  let begun = false
  const build = async ({ id, purpose }: { readonly id: string; readonly purpose: string }): Promise<LabNetwork> => {
    const built = await buildNetns(scenario.topology, { id, purpose, driver: besidePlain(new Set([METER_HOST]), make) })
    namespaces = listLabs().find((lab) => lab.id === id)?.namespaces ?? []
    // As yet only those run there that make the links.
    wires = processesIn(namespaces)
    favour(wires, WIRE_NICE)
    network = built
    return {
      ...built,
      get notes() {
        return built.notes
      },
      // The run asks at its end; afterwards nobody can.
      counts: async () => {
        counts = await built.counts()
        return counts
      }
    }
  }
  const onProgress = (seconds: number): void => {
    // All actors run from the beginning of the world's time to its end.
    if (!begun)
      favour(
        processesIn(namespaces).filter((pid) => !wires.includes(pid)),
        ACTOR_NICE
      )
    begun = true
    machine.sample(seconds * 1000, wires)
    progress(seconds)
  }
  const options = { scenario, seed, progress: onProgress, ...(signal === undefined ? {} : { signal }) }
  const outcome = await runInLab(options, "namespaces", build)
  return { outcome, counts, notes: network?.notes ?? [], machine }
}
