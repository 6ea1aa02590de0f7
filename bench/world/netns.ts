/**
 * The world of network namespaces: every host of the topology is a namespace with real interfaces, every node the process that ships,
 * every link the kernel's own or a process on real frames. Time is real, and so is what the machine adds to it.
 *
 * What is judged about cryptography is judged on the wire: captures at the hosts' interfaces, not what the nodes say of themselves.
 */

import { needsOf } from "@horizon/scenarios/scenario.ts"
import { linkDriverOf } from "../lab/driver-link.ts"
import { makePlainDriver } from "../lab/driver-plain.ts"
import { kernelHasQdisc, makeTcDriver } from "../lab/driver-tc.ts"
import type { LinkDriverName, MakeLinkDriver } from "../lab/link-driver.ts"
import { buildNetns } from "../lab/netns.ts"
import { makeBoxDriver } from "../lab/uml/netem-box.ts"
import { runInLab } from "./process-run.ts"
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

const runNetns = (options: WorldRunOptions, chosen: LinkDriverName | undefined): Promise<WorldRunOutcome> =>
  runInLab(options, "namespaces", async (lab) => {
    const { scenario, seed } = options
    const choice = chosen ?? (needsOf(scenario).includes("impaired-links") ? "best" : "plain")
    return buildNetns(scenario.topology, { ...lab, driver: await linkDriver(choice, seed) })
  })

/**
 * What impairs the links. The best is the kernel's own qdiscs, else a process that draws from the seed. Who asks for the kernel's on a kernel without
 * netem gets those of a guest kernel that has it.
 */
export const linkDriver = async (choice: LinkDriverName | "best", seed: number): Promise<MakeLinkDriver> => {
  // Who is not root is told so when the lab is built.
  if (choice === "plain" || process.getuid?.() !== 0) return makePlainDriver
  if (choice === "link") return linkDriverOf(seed)
  if (choice === "box") return makeBoxDriver
  if (await kernelHasQdisc("netem")) return makeTcDriver
  return choice === "tc" ? makeBoxDriver : linkDriverOf(seed)
}
