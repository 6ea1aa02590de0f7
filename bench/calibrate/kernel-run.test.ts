import { existsSync, readdirSync } from "node:fs"
import { loadNative } from "@horizon/native/native.ts"
import type { CalibrationRow } from "@horizon/scenarios/calibration/links.ts"
import { calibrationOf, countOf, METER_HOST } from "@horizon/scenarios/calibration/plan.ts"
import { expect, test } from "vitest"
import { linkDriverOf } from "../lab/driver-link.ts"
import { named, namespacesMissing } from "../lab/here.fixture.ts"
import { LABS_FOLDER } from "../lab/registry.ts"
import { makeSimulated } from "../world/simulated.ts"
import { figuresOf } from "./figures.ts"
import { runOnKernel } from "./kernel-run.ts"

const native = loadNative()
const missing = namespacesMissing || ("missing" in native ? native.missing : "")

const stream = { bytes: 200, burst: 1, periodNs: 2_000_000, seconds: 1, settleSeconds: 0, compare: [] } as const
const row: CalibrationRow = {
  name: "lossy",
  up: { delayUs: 20_000, lossPpm: 100_000 },
  down: { delayUs: 5_000, duplicatePpm: 100_000 },
  streams: [
    { ...stream, way: "up" },
    { ...stream, way: "down" }
  ]
}

test.skipIf(missing !== "")(
  named("a row measures on the kernel what it measures in the simulated world, and leaves nothing behind", missing),
  async () => {
    const scenario = calibrationOf([[row]])
    const seconds: Array<number> = []
    const kernel = await runOnKernel({ scenario, seed: 3, progress: (now) => seconds.push(now) }, linkDriverOf(3))
    const simulated = await makeSimulated().run({ scenario, seed: 3 })
    expect(kernel.outcome.failures).toEqual([])
    for (const one of row.streams) {
      const [real, virtual] = [kernel.outcome, simulated].map(({ trace }) => figuresOf(trace.events, row, one)!)
      expect(real.sent).toBe(countOf(one))
      // The same draws of chance for the same datagrams.
      expect([real.received, real.lossRuns, real.duplicates]).toEqual([
        virtual.received,
        virtual.lossRuns,
        virtual.duplicates
      ])
      expect(real.delayMinNs).toBeGreaterThan(virtual.delayMinNs)
      expect(real.delayP50Ns).toBeLessThan(virtual.delayP50Ns + 10e6)
    }
    const { down, up } = kernel.counts.get("lossy")!
    expect(up.dropped).toBe(countOf(row.streams[0]) - up.packets)
    expect(down.duplicated).toBeGreaterThan(0)
    expect([up.overrun, down.overrun]).toEqual([0, 0])
    expect(kernel.counts.get(METER_HOST)!.up.overrun, "the far end has the kernel's own link").toBeUndefined()
    expect(kernel.machine.waited(0, 1_000)).toBeGreaterThanOrEqual(0)
    expect(seconds.length).toBeGreaterThan(3)
    const ours = readdirSync("/run/netns").filter((name) => name.startsWith(`hz${process.pid}-`))
    expect(ours).toEqual([])
    expect(
      existsSync(LABS_FOLDER) && readdirSync(LABS_FOLDER).some((name) => name.startsWith(`hz${process.pid}-`))
    ).toBe(false)
  }
)
