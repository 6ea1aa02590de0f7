import type { CalibrateOptions } from "@horizon/bench/calibrate/calibrate.ts"
import type { CalibrationDocument, CalibrationResult, StreamFigures } from "@horizon/core/measure/calibration.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { expect, test } from "vitest"
import { type Calibration, calibrateCommand } from "./calibrate.ts"
import { startHorizon } from "./command-line.fixture.ts"

const figures = (change: Partial<StreamFigures> = {}): StreamFigures => ({
  sent: 1_000,
  received: 900,
  goodputBps: 5_000_000,
  delayMinNs: 1e6,
  delayP50Ns: 1e6,
  delayP99Ns: 2e6,
  delayMaxNs: 3e6,
  samples: 900,
  duplicates: 0,
  reordered: 9,
  lossRuns: 10,
  lateP99Ns: 1,
  lateMaxNs: 2,
  ...change
})

const result = (row: string, difference: number): CalibrationResult => ({
  row,
  way: "up",
  simulated: figures(),
  measured: figures({ delayP50Ns: 1e6 * (1 + difference) }),
  differences: [
    {
      figure: "delayP50",
      simulated: 1e6,
      measured: 1e6 * (1 + difference),
      difference,
      bound: 0.05,
      within: Math.abs(difference) <= 0.05
    }
  ],
  within: Math.abs(difference) <= 0.05,
  causes: Math.abs(difference) <= 0.05 ? [] : ["the machine was busy"],
  tries: 1,
  waited: 0
})

const documentOf = (...results: ReadonlyArray<CalibrationResult>): CalibrationDocument => ({
  format: "horizon-calibration/1",
  madeAt: "2026-11-20T16:00:00.000Z",
  commit: "abc",
  environment: {},
  seed: 1,
  quick: false,
  machine: { wakeP50Ns: 30_000, wakeP99Ns: 90_000, wakeMaxNs: 200_000, idleRatio: 0.97 },
  drivers:
    results.length === 0
      ? []
      : [
          {
            name: "link",
            means: "a process",
            seconds: 60,
            notes: [],
            results: [{ ...result("path", 0), differences: [] }, ...results]
          }
        ],
  missing: [{ name: "tc", sentence: "this kernel has no netem" }]
})

interface Asked {
  readonly options: Array<CalibrateOptions>
  readonly written: Array<string>
}

const calibration = (document: CalibrationDocument, asked: Asked, waits = false): Calibration => ({
  calibrate: async (options) => {
    asked.options.push(options)
    if (options.rows?.includes("delay-2ms"))
      throw Object.assign(new Error('there is no row "delay-2ms"; known are delay-1ms'), { name: "UnknownName" })
    options.onEvent({ kind: "machine", machine: document.machine })
    for (const { name, sentence } of document.missing) options.onEvent({ kind: "missing", driver: name, sentence })
    options.onEvent({ kind: "started", driver: "link", round: 1, seconds: 57 })
    options.onEvent({ kind: "progress", driver: "link", seconds: 10, ofSeconds: 57 })
    options.onEvent({ kind: "started", driver: "link", round: 2, seconds: 4 })
    if (waits) await new Promise<void>((resolve) => options.signal?.addEventListener("abort", () => resolve()))
    return document
  },
  writeCalibration: (path) => void asked.written.push(path),
  calibrationFile: () => "/default/calibration.json"
})

const horizon = async (document: CalibrationDocument, ...args: ReadonlyArray<string>) => {
  const asked: Asked = { options: [], written: [] }
  const said = await start(calibration(document, asked), args).said()
  return { ...said, ...asked }
}

const start = (from: Calibration, args: ReadonlyArray<string>) =>
  startHorizon([calibrateCommand(async () => from)], ["calibrate", ...args])

test("all streams within their bounds are exit code 0, the table on standard output, the way there on standard error", async () => {
  const said = await horizon(documentOf(result("delay-1ms", 0.02)))
  expect(said.code).toBe(0)
  expect(said.out[0]).toBe("simulated → link: a process")
  expect(said.out.find((line) => line.startsWith("path/up"))).toMatch(/looked at$/)
  expect(said.out.find((line) => line.startsWith("delay-1ms/up"))).toMatch(
    /5\.00 → 5\.00 .*1\.00 → 1\.02 +\+2\.00 +2\.00 → 2\.00 .*10\.00 → 10\.00 .*1\.0 → 1\.0 +within$/
  )
  expect(said.out.at(-1)).toBe("1 of 1 streams agree")
  expect(said.err).toEqual([
    "this machine wakes a sleeper 30 µs late (median), 90 µs (p99), 200 µs (worst); 97 % of it is idle",
    "skipped tc: this kernel has no netem",
    "link: 57 s",
    "link: try 2 of what was disturbed, 4 s",
    "calibration: /default/calibration.json"
  ])
  expect(said.written).toEqual(["/default/calibration.json"])
  expect(said.options[0]).toMatchObject({ seed: 1, quick: false })
})

test("a stream outside its bounds is exit code 5, marked in the table and named with its cause; the result is kept", async () => {
  const said = await horizon(documentOf(result("delay-1ms", 0.02), result("delay-5ms", 0.2)), "--out", "there.json")
  expect(said.code).toBe(EXIT.performance)
  expect(said.out.find((line) => line.startsWith("delay-5ms/up"))).toMatch(/\+20\.00! .*outside$/)
  expect(said.out.slice(-2)).toEqual(["1 of 2 streams agree", "  delay-5ms/up (delayP50): the machine was busy"])
  expect(said.written).toEqual(["there.json"])
})

test("nothing to compare with is exit code 77, and an older calibration stays", async () => {
  const said = await horizon(documentOf())
  expect(said.code).toBe(EXIT.skipped)
  expect(said.written).toEqual([])
  expect(said.err).toContain("skipped tc: this kernel has no netem")
})

test("drivers, rows, seed and a quick look are passed on, each name once", async () => {
  const args = ["--worlds", "link,box,link", "--rows", "delay-1ms,", "--seed", "7", "--quick", "--json"]
  const said = await horizon(documentOf(result("delay-1ms", 0)), ...args)
  expect(said.options[0]).toMatchObject({ drivers: ["link", "box"], rows: ["delay-1ms"], seed: 7, quick: true })
  expect(JSON.parse(said.out.join("\n"))).toEqual(documentOf(result("delay-1ms", 0)))
})

test("a bad seed or an unknown name is bad use", async () => {
  expect((await horizon(documentOf(), "--seed", "x")).code).toBe(EXIT.usage)
  const unknown = await horizon(documentOf(), "--rows", "delay-2ms")
  expect(unknown.code).toBe(EXIT.usage)
  expect(unknown.err).toContain('horizon: there is no row "delay-2ms"; known are delay-1ms')
})

test("Ctrl-C ends the measurement, waits for the lab to be taken away and keeps nothing", async () => {
  const asked: Asked = { options: [], written: [] }
  const { fiber, said } = start(calibration(documentOf(result("delay-1ms", 0)), asked, true), [])
  while (asked.options.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  fiber.interruptUnsafe()
  expect((await said()).code).toBe(EXIT.interrupted)
  expect(asked.options[0].signal?.aborted).toBe(true)
  expect(asked.written).toEqual([])
})
