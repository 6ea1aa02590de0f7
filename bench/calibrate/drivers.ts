/** The link drivers that calibration knows, in the order in which they are run, and what each lacks here. */

import { availableParallelism, release } from "node:os"
import { linkDriverOf } from "../lab/driver-link.ts"
import { kernelHasQdisc, makeTcDriver } from "../lab/driver-tc.ts"
import type { LabError } from "../lab/lab-error.ts"
import type { MakeLinkDriver } from "../lab/link-driver.ts"
import { guestMissing } from "../lab/uml/guest.ts"
import { makeBoxDriver } from "../lab/uml/netem-box.ts"
import { type KernelRun, type RowRun, runOnKernel } from "./kernel-run.ts"

export interface CalibrationDriverKind {
  readonly name: "tc" | "box" | "link"
  /** What does the work, for people. */
  readonly means: string
  /** Why it is not here; `undefined` if it is. */
  readonly missing: () => Promise<string | undefined>
  /** Runs a scenario of rows on it. */
  readonly run: (run: RowRun) => Promise<KernelRun>
}

const on =
  (make: (seed: number) => MakeLinkDriver): CalibrationDriverKind["run"] =>
  (run) =>
    runOnKernel(run, make(run.seed))

const here = async (kind: () => Promise<string | undefined>): Promise<string | undefined> =>
  process.getuid?.() === 0 ? kind() : "labs on the kernel need root: run it with sudo"

export const DRIVERS: ReadonlyArray<CalibrationDriverKind> = [
  {
    name: "tc",
    means: `netem, tbf and codel of this kernel (Linux ${release()})`,
    missing: () =>
      here(() =>
        kernelHasQdisc("netem").then(
          (has) => (has ? undefined : "this kernel has no netem (sch_netem)"),
          (cause: LabError) => cause.message
        )
      ),
    run: on(() => makeTcDriver)
  },
  {
    name: "box",
    means: "netem, tbf and codel of a user-mode Linux guest",
    missing: () => here(async () => guestMissing()),
    run: on(() => makeBoxDriver)
  },
  {
    name: "link",
    means: "a process that runs the simulator's own links on real frames and never sleeps",
    missing: () => here(async () => undefined),
    // On one processor it would keep those from running whom it waits for.
    run: on((seed) => linkDriverOf(seed, availableParallelism() > 1))
  }
]
