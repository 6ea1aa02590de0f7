import type { CalibrationDocument } from "@horizon/core/measure/calibration.ts"
import { expect, test } from "vitest"
import { LabError } from "../lab/lab-error.ts"
import { makeSimulated } from "../world/simulated.ts"
import { type CalibrateEvent, type CalibrateOptions, calibrate } from "./calibrate.ts"
import type { CalibrationDriverKind } from "./drivers.ts"

/** How a kernel differs from the simulated world, by round: delays are so many times as long, and so much of the time processes wait. */
interface Deviation {
  readonly stretch: number
  readonly waited: number
}

const simulated = makeSimulated()

/** A kernel that is the simulated world but for deviations, the last of which lasts. */
const kernel = (
  deviations: ReadonlyArray<Deviation>,
  rounds: Array<ReadonlyArray<string>> = []
): CalibrationDriverKind => ({
  name: "link",
  means: "nothing real",
  missing: async () => undefined,
  run: async ({ progress, scenario, seed }) => {
    const { waited, stretch } = deviations[Math.min(rounds.length, deviations.length - 1)]
    rounds.push(Object.keys(scenario.topology.hosts).filter((host) => host !== "meter"))
    const outcome = await simulated.run({ scenario, seed })
    progress(1)
    const events = outcome.trace.events.map((event) =>
      event.kind === "link.received"
        ? { ...event, fields: { ...event.fields, delayP50Ns: event.fields.delayP50Ns * stretch } }
        : event
    )
    return {
      outcome: { ...outcome, trace: Object.assign(Object.create(outcome.trace), { events }) },
      counts: new Map(),
      notes: [],
      machine: { waited: () => waited }
    }
  }
})

const run = (
  kinds: ReadonlyArray<CalibrationDriverKind>,
  change: Partial<CalibrateOptions> = {}
): Promise<CalibrationDocument> =>
  calibrate({ seed: 1, quick: true, rows: ["delay-20ms", "loss-10-percent"], onEvent: () => {}, ...change }, kinds, 5)

test("a kernel that does what the simulator does agrees in every figure, at once", async () => {
  const rounds: Array<ReadonlyArray<string>> = []
  const document = await run([kernel([{ stretch: 1, waited: 0.9 }], rounds)])
  const [{ results }] = document.drivers
  expect(results.map(({ row, way }) => `${row}/${way}`)).toEqual([
    "path/up",
    "path/down",
    "delay-20ms/up",
    "delay-20ms/down",
    "loss-10-percent/up"
  ])
  expect(results.every(({ tries, within }) => within && tries === 1)).toBe(true)
  expect(results.flatMap(({ differences }) => differences).every(({ difference }) => difference === 0)).toBe(true)
  expect(rounds).toHaveLength(1)
  expect(document).toMatchObject({ format: "horizon-calibration/1", seed: 1, quick: true, missing: [] })
  expect(document.machine.wakeP99Ns).toBeGreaterThanOrEqual(document.machine.wakeP50Ns)
})

test("what differs while the machine is busy is measured again, alone, until it agrees", async () => {
  const rounds: Array<ReadonlyArray<string>> = []
  const busy = { stretch: 1.2, waited: 0.5 }
  const document = await run([kernel([busy, busy, { stretch: 1, waited: 0 }], rounds)])
  expect(rounds).toEqual([
    ["path", "delay-20ms", "loss-10-percent"],
    ["delay-20ms", "loss-10-percent"],
    ["delay-20ms", "loss-10-percent"]
  ])
  const [{ results }] = document.drivers
  expect(results.filter(({ row }) => row !== "path").map(({ tries, within }) => [tries, within])).toEqual([
    [3, true],
    [3, true],
    [3, true]
  ])
})

test("after three tries on a busy machine the quietest stands, outside, with the machine as its cause", async () => {
  const deviations = [0.6, 0.3, 0.4].map((waited) => ({ stretch: 1.2, waited }))
  const rounds: Array<ReadonlyArray<string>> = []
  const [{ results }] = (await run([kernel(deviations, rounds)])).drivers
  expect(rounds).toHaveLength(3)
  const outside = results.find(({ row }) => row === "delay-20ms")!
  expect(outside).toMatchObject({ within: false, tries: 3, waited: 0.3 })
  expect(outside.causes[0]).toMatch(/^the machine was busy: .* waited for a processor 30.0 %/)
})

test("what differs on a quiet machine is a finding, and not measured until it goes away", async () => {
  const rounds: Array<ReadonlyArray<string>> = []
  const [{ results }] = (await run([kernel([{ stretch: 1.2, waited: 0 }], rounds)])).drivers
  expect(rounds).toHaveLength(1)
  expect(results.filter(({ within }) => !within).map(({ causes, row }) => [row, causes])).toEqual([
    ["delay-20ms", ["not known: delayP50"]],
    ["delay-20ms", ["not known: delayP50"]],
    ["loss-10-percent", ["not known: delayP50"]]
  ])
})

test("drivers that this machine lacks are named with what is missing, before they are tried or when they try", async () => {
  const events: Array<CalibrateEvent> = []
  const absent: CalibrationDriverKind = { ...kernel([]), name: "tc", missing: async () => "this kernel has no netem" }
  const failing: CalibrationDriverKind = {
    ...kernel([]),
    name: "box",
    run: () => Promise.reject(new LabError("missing", "user-mode-linux is not installed"))
  }
  const document = await run([absent, failing], { onEvent: (event) => events.push(event) })
  expect(document.drivers).toEqual([])
  expect(document.missing).toEqual([
    { name: "tc", sentence: "this kernel has no netem" },
    { name: "box", sentence: "user-mode-linux is not installed" }
  ])
  expect(events.filter(({ kind }) => kind === "missing")).toHaveLength(2)
})

test("names that the table does not have are refused with those that it has", async () => {
  await expect(run([kernel([])], { rows: ["delay-2ms"] })).rejects.toThrow(
    /no row "delay-2ms"; known are path, delay-1ms/
  )
  await expect(run([kernel([])], { drivers: ["netem"] })).rejects.toThrow(/no link driver "netem"; known are link/)
})

test("a failure that is no lack of the machine's is one", async () => {
  const broken: CalibrationDriverKind = { ...kernel([]), run: () => Promise.reject(new LabError("failed", "it broke")) }
  await expect(run([broken])).rejects.toThrow("it broke")
})
