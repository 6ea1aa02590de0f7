/** The `horizon` command's tree of commands. What a command needs to run is imported when it runs. */

import { benchCommand } from "./bench.ts"
import { calibrateCommand } from "./calibrate.ts"
import type { CommandSpec } from "./command.ts"
import { doctorCommand } from "./doctor.ts"
import { labCommand } from "./lab.ts"
import { NODE_NAMES, nodeCommand } from "./node.ts"
import { replayCommand } from "./replay.ts"
import { reportCommand } from "./report.ts"
import { scenarioCommand } from "./scenario.ts"
import { upCommand } from "./up.ts"

const runner = () => import("@horizon/bench/runner/runner.ts")
const labs = async () => ({
  ...(await import("@horizon/bench/lab/clean.ts")),
  ...(await import("@horizon/bench/lab/registry.ts"))
})
const bench = async () => ({
  ...(await import("@horizon/bench/bench.ts")),
  ...(await import("@horizon/reports/bench-input.ts"))
})
const calibration = async () => ({
  ...(await import("@horizon/bench/calibrate/calibrate.ts")),
  ...(await import("@horizon/bench/calibrate/store.ts"))
})
const reporter = async () => ({
  ...(await import("@horizon/reports/report.ts")),
  ...(await import("@horizon/reports/bench-report.ts"))
})

/**
 * The tree for a command line. The settings of a node, which are its flags, are loaded only for the node that `args` names,
 * and for completion scripts, which name everything.
 */
export const horizonCommand = async (args: ReadonlyArray<string>): Promise<CommandSpec> => {
  const named = args.find((arg) => !arg.startsWith("-"))
  const everything = args.some((arg) => arg.startsWith("--completions"))
  const nodes = await Promise.all(NODE_NAMES.map((name) => nodeCommand(name, everything || named === name)))
  return {
    name: "horizon",
    summary: "Simulation-first testbed and production nodes of a P2P VPN and a game server",
    description:
      "Runs the nodes of a virtual private network and of a game server, and scenarios that put them to the test.",
    commands: [
      scenarioCommand(runner),
      replayCommand(runner),
      reportCommand(reporter),
      benchCommand(bench),
      calibrateCommand(calibration),
      doctorCommand,
      labCommand(labs),
      ...nodes,
      upCommand
    ],
    examples: [
      { command: "horizon doctor", description: "What can this machine run?" },
      { command: "horizon scenario run lossy-wifi --seed 7", description: "Run one scenario in virtual time" },
      { command: "horizon up", description: "A broker, a gateway and a game server on this machine" },
      {
        command: "horizon gateway --help",
        description: "Every setting of a node, with its flag and environment variable"
      }
    ]
  }
}
