/**
 * The world of network namespaces: every host of the topology is a namespace with real interfaces, every node the process that ships,
 * every link the kernel's own or a process on real frames. Time is real, and so is what the machine adds to it.
 *
 * What is judged about cryptography is judged on the wire: captures at the hosts' interfaces, not what the nodes say of themselves.
 */

import { mkdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { validateScenario } from "@horizon/scenarios/judge.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { linkDriverOf } from "../lab/driver-link.ts"
import { makePlainDriver } from "../lab/driver-plain.ts"
import { kernelHasQdisc, makeTcDriver } from "../lab/driver-tc.ts"
import type { MakeLinkDriver } from "../lab/link-driver.ts"
import { buildNetns } from "../lab/netns.ts"
import { recordFolder } from "../lab/registry.ts"
import { runOnNetwork } from "./process-run.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

export const makeNetns = (): World => ({
  name: "netns",
  summary: "all nodes as processes in network namespaces, on real interfaces and in real time; needs root",
  fidelity: "measured in namespaces",
  offers: new Set(["impaired-links", "nat", "partition", "crash", "outage", "pause", "upgrade"]),
  run: runNetns
})

/** Labs that this process has made: each gets a name of its own, so that several can stand side by side. */
let labs = 0

const runNetns = async (options: WorldRunOptions): Promise<WorldRunOutcome> => {
  const { scenario } = options
  const problems = validateScenario(scenario)
  if (problems.length > 0) throw new Error(`scenario ${scenario.name} is not sound: ${problems.join("; ")}`)
  const id = `hz${process.pid}-${++labs}`
  const driver = await linkDriver(needsOf(scenario).includes("impaired-links"), options.seed)
  const network = await buildNetns(scenario.topology, { id, driver, purpose: `scenario ${scenario.name}` })
  const folder = join(tmpdir(), `horizon-${id}`)
  try {
    recordFolder(id, folder)
    await mkdir(folder, { mode: 0o700 })
    return await runOnNetwork(network, options, folder, `measured in namespaces (driver ${network.driver})`)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await network.close()
  }
}

/** What impairs the links: nothing where they are perfect, else the kernel's qdiscs, else a process that draws from the seed. */
const linkDriver = async (impaired: boolean, seed: number): Promise<MakeLinkDriver> => {
  // Who is not root is told so when the lab is built.
  if (!impaired || process.getuid?.() !== 0) return makePlainDriver
  return (await kernelHasQdisc("netem")) ? makeTcDriver : linkDriverOf(seed)
}
