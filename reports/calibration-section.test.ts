import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CalibrationDocument, CalibrationResult, StreamFigures } from "@horizon/core/measure/calibration.ts"
import { afterEach, beforeEach, expect, test } from "vitest"
import { CALIBRATION_FILE } from "./calibration-input.ts"
import { writeReport } from "./report.ts"
import { sampleDocument } from "./sample-run.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "horizon-calibration-report-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const figures = (change: Partial<StreamFigures> = {}): StreamFigures => ({
  sent: 1_000,
  received: 990,
  goodputBps: 5_000_000,
  delayMinNs: 1e6,
  delayP50Ns: 1e6,
  delayP99Ns: 2e6,
  delayMaxNs: 3e6,
  samples: 990,
  duplicates: 0,
  reordered: 5,
  lossRuns: 10,
  lateP99Ns: 1,
  lateMaxNs: 2,
  ...change
})

const result = (row: string, change: Partial<CalibrationResult> = {}): CalibrationResult => ({
  row,
  way: "up",
  simulated: figures(),
  measured: figures({ delayP50Ns: 1.02e6 }),
  differences: [{ figure: "delayP50", simulated: 1e6, measured: 1.02e6, difference: 0.02, bound: 0.05, within: true }],
  within: true,
  causes: [],
  tries: 1,
  waited: 0,
  ...change
})

const outside = result("rate-1g", {
  differences: [{ figure: "goodput", simulated: 1e9, measured: 4e8, difference: -0.6, bound: 0.05, within: false }],
  within: false,
  causes: ["the driver box is too slow for this link"],
  tries: 3
})

const document: CalibrationDocument = {
  format: "horizon-calibration/1",
  madeAt: "2026-11-20T16:00:00.000Z",
  commit: "abc",
  environment: { kernel: "6.18.44", cpu: "a cpu", cores: 2, platform: "linux x64" },
  seed: 1,
  quick: false,
  machine: { wakeP50Ns: 30_000, wakeP99Ns: 90_000, wakeMaxNs: 200_000, idleRatio: 0.97 },
  drivers: [
    {
      name: "box",
      means: "netem of a guest",
      seconds: 60,
      notes: [],
      results: [result("path", { differences: [] }), result("delay-1ms"), outside]
    }
  ],
  missing: [{ name: "tc", sentence: "this kernel has no netem" }]
}

const page = async (calibration: unknown, fidelity = "simulated"): Promise<string> => {
  const run = { ...sampleDocument(), fidelity }
  writeFileSync(join(folder, "two-links-simulated-7.run.json"), JSON.stringify(run))
  if (calibration !== undefined) writeFileSync(join(folder, CALIBRATION_FILE), JSON.stringify(calibration))
  await writeReport(folder)
  return readFileSync(join(folder, "index.html"), "utf8")
}

test("a calibration beside the runs has a part of the page: each link in both worlds, how far they differ, and why", async () => {
  const text = await page(document)
  expect(text).toContain('<a href="#calibration">Calibration</a>')
  expect(text).toContain('<section class="part" id="calibration"')
  expect(text).toContain("1 of 2 streams agree; the largest difference of goodput or median delay among them is 2.0 %.")
  expect(text).toMatch(/<th scope="row">delay-1ms\/up<\/th>.*1 ms → 1.02 ms<small>\+2.00 %<\/small>/)
  expect(text).toContain("<b>-60.00 %</b>")
  expect(text).toContain("<b>rate-1g/up</b>: the driver box is too slow for this link")
  expect(text).toContain("<small>try 3</small>")
  expect(text).toContain("<b>tc</b>: this kernel has no netem")
  expect(text).toContain("a sleeper wakes 30 µs late (median), 90 µs (p99)")
  expect(text).not.toContain("a quick look")
})

test("the short label of a calibrated figure keeps its tolerance, and the long one all of it", async () => {
  const label = "simulated, calibrated ±2.0 % (2026-11-20, Linux 6.18.44, box, 1 of 2 streams), infinitely fast CPU"
  const text = await page(document, label)
  expect(text).toContain(`<span class="fidelity" title="How the figures of this run came about">${label}</span>`)
  expect(text).toContain("<dt>Run time</dt>")
  expect(text).toMatch(/<dt>Run time<\/dt><dd>[^<]*<small>simulated, calibrated ±2.0 %<\/small>/)
})

test("without a calibration, or with a file that is none, the page is as it was", async () => {
  const bare = await page(undefined)
  expect(bare).not.toContain("#calibration")
  expect(await page({ format: "horizon-run/1" })).toBe(bare)
  expect(await page({ ...document, drivers: [{ name: "box" }] })).toBe(bare)
})

test("names in a calibration are only text", async () => {
  const hostile = "</script><img src=x onerror=alert(1)>"
  const [driver] = document.drivers
  const results = [result(hostile, { within: false, causes: [hostile] })]
  const text = await page({
    ...document,
    environment: { kernel: hostile },
    drivers: [{ ...driver, name: hostile, means: hostile, results }],
    missing: [{ name: hostile, sentence: hostile }]
  })
  expect(text).not.toContain("<img src=x")
})
