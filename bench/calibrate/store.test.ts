import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CalibrationDocument, CalibrationDriver, CalibrationResult } from "@horizon/core/measure/calibration.ts"
import { afterAll, expect, test } from "vitest"
import { compare } from "./compare.ts"
import { figures } from "./figures.fixture.ts"
import { labelOf, readCalibration, writeCalibration } from "./store.ts"

const folder = mkdtempSync(join(tmpdir(), "horizon-calibration-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A stream whose goodput deviates by so many percent. */
const result = (deviation: number): CalibrationResult => {
  const measured = figures({ goodputBps: 1_000_000 * (1 + deviation / 100) })
  const differences = compare(["goodput", "loss"], figures(), measured)
  return {
    row: "delay-1ms",
    way: "up",
    simulated: figures(),
    measured,
    differences,
    within: differences.every(({ within }) => within),
    causes: [],
    tries: 1,
    waited: 0
  }
}

const driver = (name: string, ...deviations: ReadonlyArray<number>): CalibrationDriver => ({
  name,
  means: "",
  seconds: 60,
  notes: [],
  results: [{ ...result(0), row: "path", differences: [] }, ...deviations.map(result)]
})

const here = { platform: "linux x64", kernel: "6.18.44", cpu: "a cpu", cores: 2, node: "v24", memoryGiB: 24 }

const document = (...drivers: ReadonlyArray<CalibrationDriver>): CalibrationDocument => ({
  format: "horizon-calibration/1",
  madeAt: "2026-11-20T16:00:00.000Z",
  commit: "abc",
  environment: here,
  seed: 1,
  quick: false,
  machine: { wakeP50Ns: 1, wakeP99Ns: 2, wakeMaxNs: 3, idleRatio: 1 },
  drivers,
  missing: []
})

test("without a calibration, or with another machine's, figures are simulated and no more", () => {
  expect(labelOf(undefined, here)).toBe("simulated")
  expect(labelOf(document(), here)).toBe("simulated")
  expect(labelOf(document(driver("box", 1)), { ...here, kernel: "6.19" })).toBe("simulated")
  expect(labelOf(document(driver("box", 1)), { ...here, cores: 4 })).toBe("simulated")
  expect(labelOf(document(driver("box", 50)), here), "nothing agreed").toBe("simulated")
})

test("with one, the label says by how much the worst stream that agrees differs, when and against what", () => {
  const label = labelOf(document(driver("box", 1.2, -3.4)), { ...here, node: "v26" })
  expect(label).toBe("simulated, calibrated ±3.4 % (2026-11-20, Linux 6.18.44, box)")
})

test("streams that do not agree are counted in the label, and do not widen its tolerance", () => {
  expect(labelOf(document(driver("tc", 1, 60, 2)), here)).toBe(
    "simulated, calibrated ±2.0 % (2026-11-20, Linux 6.18.44, tc, 2 of 3 streams)"
  )
})

test("another's netem judges before our own links on real frames, the running kernel's before a guest's", () => {
  const all = [driver("link", 0.1), driver("box", 2), driver("tc", 3)]
  expect(labelOf(document(...all), here)).toContain("±3.0 %")
  expect(labelOf(document(all[0], all[1]), here)).toContain("±2.0 %")
  expect(labelOf(document(all[0]), here)).toContain("±0.1 %")
})

test("a document is read again as it was written, and anything else is none", () => {
  const path = join(folder, "deep/calibration.json")
  expect(readCalibration(path)).toBeUndefined()
  writeCalibration(path, document(driver("box", 1)))
  expect(readCalibration(path)).toEqual(document(driver("box", 1)))
  for (const text of ["", "{", '{"format":"horizon-run/1"}', "null"]) {
    writeFileSync(path, text)
    expect(readCalibration(path)).toBeUndefined()
  }
})
