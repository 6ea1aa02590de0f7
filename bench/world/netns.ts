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
import type { LinkDriverName, MakeLinkDriver } from "../lab/link-driver.ts"
import { buildNetns } from "../lab/netns.ts"
import { recordFolder } from "../lab/registry.ts"
import { makeBoxDriver } from "../lab/uml/netem-box.ts"
import { runOnNetwork } from "./process-run.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

/** With the link driver that is best for each scenario here, or with the one that is named. */
export const makeNetns = (driver?: LinkDriverName): World => ({
  name: "netns",
  summary: "all nodes as processes in network namespaces, on real interfaces and in real time; needs root",
  fidelity: "measured in namespaces",
  offers: new Set(["impaired-links", "nat", "partition", "crash", "outage", "pause", "upgrade"]),
  withDriver: makeNetns,
  ...(driver === undefined ? {} : { driver }),
  run: (options) => runNetns(options, driver)
})

/** Labs that this process has made: each gets a name of its own, so that several can stand side by side. */
let labs = 0

const runNetns = async (options: WorldRunOptions, chosen: LinkDriverName | undefined): Promise<WorldRunOutcome> => {
  const { scenario } = options
  const problems = validateScenario(scenario)
  if (problems.length > 0) throw new Error(`scenario ${scenario.name} is not sound: ${problems.join("; ")}`)
  const id = `hz${process.pid}-${++labs}`
  const driver = await linkDriver(
    chosen ?? (needsOf(scenario).includes("impaired-links") ? "best" : "plain"),
    options.seed
  )
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

/**
 * What impairs the links. The best is the kernel's own qdiscs, else a process that draws from the seed. Who asks for the kernel's on a kernel without
 * netem gets those of a guest kernel that has it.
 */
const linkDriver = async (choice: LinkDriverName | "best", seed: number): Promise<MakeLinkDriver> => {
  // Who is not root is told so when the lab is built.
  if (choice === "plain" || process.getuid?.() !== 0) return makePlainDriver
  if (choice === "link") return linkDriverOf(seed)
  if (choice === "box") return makeBoxDriver
  if (await kernelHasQdisc("netem")) return makeTcDriver
  return choice === "tc" ? makeBoxDriver : linkDriverOf(seed)
}
