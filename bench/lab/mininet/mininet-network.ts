/**
 * Builds a topology in Mininet on this host: topology.py makes hosts, routers and switches in a place of its own (namespaces of
 * network, mounts and processes), and its nodes' networks get the names that a lab of namespaces has. From there on it is one: the
 * same drivers, faults and counts.
 *
 * Links without impairments are Mininet's own. Others are the driver's, whose devices then become ports of Mininet's switches.
 */

import type { Topology } from "@horizon/core/lab/topology.ts"
import { endProcessesIn, removeNamespaces } from "../clean.ts"
import { plainDriver } from "../driver-plain.ts"
import { LabError } from "../lab-error.ts"
import type { LabNetwork } from "../lab-network.ts"
import type { LinkDriver, MakeLinkDriver } from "../link-driver.ts"
import { NetnsLab } from "../netns-lab.ts"
import { linksOf, type NetnsPlan, namespacesOf, planNetns } from "../netns-plan.ts"
import { ipBatch } from "../network-tools.ts"
import { beginLab, endLab, recordNamespaces, recordPid } from "../registry.ts"
import { exportTopology } from "./export.ts"
import { MininetProcess, mininetMissing, type SwitchKind } from "./mininet-process.ts"

export interface MininetOptions {
  /** Name of the lab: `hz` and a few of a-z, 0-9 and "-"; no other lab on this host may have it. */
  readonly id: string
  /** What impairs the links; if left out they are Mininet's own, and perfect. */
  readonly driver?: MakeLinkDriver
  /** Open vSwitch where it works, unless a bridge is asked for: partitions, and links that are taken down, want one. */
  readonly switch: SwitchKind | "auto"
  /** What the lab is for, for people who list labs. */
  readonly purpose?: string
}

/** Builds a topology; rejects with a `LabError`, nothing left behind, if this host cannot. */
export const buildMininet = async (topology: Topology, options: MininetOptions): Promise<LabNetwork> => {
  const missing = mininetMissing()
  if (missing !== undefined) throw new LabError("missing", missing)
  const plan = planNetns(topology, options.id)
  beginLab(options.id, options.purpose ?? "mininet")
  const standing: Standing = { mininet: undefined, driver: undefined }
  try {
    recordNamespaces(options.id, namespacesOf(plan))
    const { driver } = options
    const mininet = new MininetProcess({ switch: options.switch, links: driver === undefined ? "own" : "given" })
    standing.mininet = mininet
    recordPid(options.id, mininet.pid)
    const { nodes, switches } = await mininet.build(exportTopology(options.id, topology))
    await ipBatch([
      `netns attach ${plan.switch} ${switches}`,
      ...plan.nodes.map(({ name, namespace }) => `netns attach ${namespace} ${nodes.get(name)}`)
    ])
    const links = linksOf(plan)
    if (driver === undefined) standing.driver = plainDriver(links, async () => {})
    else {
      standing.driver = await driver(options.id, links)
      await mininet.join()
    }
    const lab = new NetnsLab(plan, standing.driver, () => takeAway(plan, standing))
    await lab.start()
    return lab
  } catch (cause) {
    await takeAway(plan, standing)
    throw cause
  }
}

interface Standing {
  mininet: MininetProcess | undefined
  driver: LinkDriver | undefined
}

const takeAway = async (plan: NetnsPlan, { driver, mininet }: Standing): Promise<void> => {
  const failures: Array<unknown> = []
  const attempt = async (work: () => Promise<unknown> | undefined): Promise<void> => {
    try {
      await work()
    } catch (cause) {
      failures.push(cause)
    }
  }
  const namespaces = namespacesOf(plan)
  // Programs first, so that they do not see their network fall apart. Mininet's own shells are needed until it ends.
  await attempt(() => endProcessesIn(namespaces.slice(1), (pid) => mininet?.owns(pid) === true))
  await attempt(() => mininet?.stop())
  await attempt(() => driver?.close())
  await attempt(() => endProcessesIn(namespaces))
  await attempt(() => removeNamespaces(namespaces))
  // With something left the record stays, for `horizon lab clean`.
  if (failures.length > 0) throw failures[0]
  endLab(plan.lab)
}
