/**
 * Builds a topology as network namespaces of this host and gives it the handles of a lab: entering hosts, faults, counts, and an end
 * that leaves nothing behind. The links' impairments are the driver's; everything else is here.
 */

import { existsSync } from "node:fs"
import type { Topology } from "@horizon/core/lab/topology.ts"
import { endProcessesIn, removeNamespaces } from "./clean.ts"
import { forEachFew } from "./command.ts"
import { LabError } from "./lab-error.ts"
import type { LabNetwork } from "./lab-network.ts"
import type { LinkDriver, MakeLinkDriver } from "./link-driver.ts"
import { NetnsLab } from "./netns-lab.ts"
import { linksOf, type NetnsPlan, namespacesOf, planNetns } from "./netns-plan.ts"
import { BRIDGE_HOOKS_OFF, IPV6_OFF, nodeBatch, nodeSettings, switchBatch, switchTable } from "./netns-script.ts"
import { bridgeBatch, ipBatch, runIn } from "./network-tools.ts"
import { beginLab, endLab, recordNamespaces } from "./registry.ts"

export interface NetnsOptions {
  /** Name of the lab: `hz` and a few of a-z, 0-9 and "-"; no other lab on this host may have it. */
  readonly id: string
  readonly driver: MakeLinkDriver
  /** What the lab is for, for people who list labs. */
  readonly purpose?: string
}

/** Builds a topology; rejects with a `LabError`, nothing left behind, if this host cannot. */
export const buildNetns = async (topology: Topology, options: NetnsOptions): Promise<LabNetwork> => {
  if (process.getuid?.() !== 0)
    throw new LabError("missing", "network namespaces need root: run it again with sudo, or choose the simulated world")
  const plan = planNetns(topology, options.id)
  beginLab(options.id, options.purpose ?? "netns")
  let driver: LinkDriver | undefined
  try {
    recordNamespaces(options.id, namespacesOf(plan))
    await makeNamespaces(plan)
    driver = await options.driver(options.id, linksOf(plan))
    await connect(plan)
    const lab = new NetnsLab(plan, driver, () => takeAway(plan, driver))
    await lab.start()
    return lab
  } catch (cause) {
    await takeAway(plan, driver)
    throw cause
  }
}

const makeNamespaces = async (plan: NetnsPlan): Promise<void> => {
  await ipBatch(namespacesOf(plan).map((name) => `netns add ${name}`))
  const ipv6 = existsSync("/proc/sys/net/ipv6") ? IPV6_OFF : []
  const hooks = existsSync("/proc/sys/net/bridge") ? BRIDGE_HOOKS_OFF : []
  await forEachFew<readonly [string, ReadonlyArray<string>]>(
    [
      [plan.switch, [...ipv6, ...hooks]],
      ...plan.nodes.map((node) => [node.namespace, [...nodeSettings(node), ...ipv6]] as const)
    ],
    async ([namespace, settings]) => {
      if (settings.length > 0) await runIn(namespace, ["sysctl", "-q", "-w", ...settings])
    }
  )
}

/** Bridges, addresses, neighbours and routes, when the driver has made the devices. */
const connect = async (plan: NetnsPlan): Promise<void> => {
  const joinPorts = async (): Promise<void> => {
    await ipBatch(switchBatch(plan), plan.switch)
    await bridgeBatch(switchTable(plan), plan.switch)
  }
  await Promise.all([joinPorts(), forEachFew(plan.nodes, (node) => ipBatch(nodeBatch(plan, node), node.namespace))])
}

const takeAway = async (plan: NetnsPlan, driver: LinkDriver | undefined): Promise<void> => {
  const failures: Array<unknown> = []
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (cause) {
      failures.push(cause)
    }
  }
  // Programs first, so that they do not see their network fall apart; then the driver, whose processes may be in a namespace too.
  const nodes = plan.nodes.map(({ namespace }) => namespace)
  await attempt(() => endProcessesIn(nodes))
  await attempt(async () => driver?.close())
  await attempt(() => endProcessesIn([plan.switch]))
  await attempt(() => removeNamespaces(namespacesOf(plan)))
  // With something left the record stays, for `horizon lab clean`.
  if (failures.length > 0) throw failures[0]
  endLab(plan.lab)
}
