/**
 * The world of Mininet: hosts and routers are Mininet's nodes, subnets its switches (Open vSwitch where it works here, else a Linux
 * bridge), perfect links its own. Everything else is as in the world of network namespaces.
 */

import { needsOf } from "@horizon/scenarios/scenario.ts"
import type { LinkDriverName } from "../lab/link-driver.ts"
import { buildMininet } from "../lab/mininet/mininet-network.ts"
import { linkDriver } from "./netns.ts"
import { runInLab } from "./process-run.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

/** With the link driver that is best for each scenario here, or with the one that is named. */
export const makeMininet = (driver?: LinkDriverName): World => ({
  name: "mininet",
  summary: "all nodes as processes on hosts that Mininet makes, in real time; needs root and the package mininet",
  fidelity: "measured in Mininet",
  offers: new Set(["impaired-links", "nat", "partition", "crash", "outage", "pause", "upgrade"]),
  withDriver: makeMininet,
  ...(driver === undefined ? {} : { driver }),
  run: (options) => runMininet(options, driver)
})

const runMininet = (options: WorldRunOptions, chosen: LinkDriverName | undefined): Promise<WorldRunOutcome> =>
  runInLab(options, "Mininet", async (lab) => {
    const { scenario, seed } = options
    const needs = needsOf(scenario)
    const choice = chosen ?? (needs.includes("impaired-links") ? "best" : "plain")
    return buildMininet(scenario.topology, {
      ...lab,
      // Partitions are rules for bridges.
      switch: needs.includes("partition") ? "bridge" : "auto",
      ...(choice === "plain" ? {} : { driver: await linkDriver(choice, seed) })
    })
  })
