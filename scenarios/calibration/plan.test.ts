import { linkSpec } from "@horizon/core/link/spec.ts"
import { linkFieldProblems } from "@horizon/core/link/validate.ts"
import { expect, test } from "vitest"
import { validateScenario } from "../judge.ts"
import { CALIBRATION_GROUPS, CALIBRATION_ROWS, PATH_ROW } from "./links.ts"
import { calibrationOf, countOf, groupTimes } from "./plan.ts"

test("the table has every kind of link that calibration is for", () => {
  const specs = CALIBRATION_ROWS.flatMap(({ down, up }) => [linkSpec(up), linkSpec(down)])
  expect(new Set(CALIBRATION_ROWS.map(({ name }) => name)).size).toBe(CALIBRATION_ROWS.length)
  expect(CALIBRATION_ROWS.length).toBeGreaterThanOrEqual(12)
  const delays = new Set(specs.filter(({ jitterUs }) => jitterUs === 0).map(({ delayUs }) => delayUs / 1000))
  for (const ms of [1, 5, 20, 50, 100, 300]) expect(delays, `${ms} ms`).toContain(ms)
  for (const bps of [256e3, 5e6, 100e6, 1e9]) expect(new Set(specs.map(({ rateBps }) => rateBps))).toContain(bps)
  for (const [kind, has] of Object.entries({
    "normal jitter that reorders": specs.some(
      (s) => s.jitterUs > 0 && s.distribution === "normal" && s.reordering === "allowed"
    ),
    "uniform jitter in order": specs.some((s) => s.distribution === "uniform" && s.reordering === "forbidden"),
    "loss of one in a hundred": specs.some(({ lossPpm }) => lossPpm === 10_000),
    "loss of one in ten": specs.some(({ lossPpm }) => lossPpm === 100_000),
    "loss in bursts": specs.some(({ burstLoss }) => burstLoss !== null),
    duplication: specs.some(({ duplicatePpm }) => duplicatePpm > 0),
    "reordering by gap": specs.some(({ reorderGap }) => reorderGap !== null),
    CoDel: specs.some(({ queue, rateBps }) => queue.kind === "codel" && rateBps > 0),
    "a queue in bytes": specs.some(({ queue, rateBps }) => rateBps > 0 && queue.bytesMax < queue.packetsMax * 1_000)
  }))
    expect(has, kind).toBe(true)
})

test("every link is valid, and every stream but the bare path's is compared", () => {
  for (const row of CALIBRATION_ROWS) {
    expect(linkFieldProblems(linkSpec(row.up))).toEqual([])
    expect(linkFieldProblems(linkSpec(row.down))).toEqual([])
    for (const stream of row.streams) {
      expect(stream.compare.length > 0, row.name).toBe(row.name !== PATH_ROW)
      expect(Number.isInteger(stream.periodNs)).toBe(true)
      expect(countOf(stream)).toBeGreaterThan(100)
    }
  }
})

test("a paced stream leaves its link idle, and a flood offers about one and a half times the rate or less", () => {
  for (const row of CALIBRATION_ROWS)
    for (const { burst, bytes, periodNs, way } of row.streams) {
      const { overheadBytes, rateBps } = linkSpec(row[way])
      const offeredBps = (burst * (bytes + 28 + overheadBytes) * 8e9) / periodNs
      if (rateBps === 0) expect(offeredBps).toBeLessThan(10e6)
      else expect(offeredBps / rateBps, row.name).toBeGreaterThan(1.05)
      if (rateBps > 0) expect(offeredBps / rateBps, row.name).toBeLessThan(1.6)
    }
})

test("the scenario is sound, and each stream has its own port, its probe at one end and its meter at the other", () => {
  const scenario = calibrationOf(CALIBRATION_GROUPS)
  expect(validateScenario(scenario)).toEqual([])
  const meters = scenario.actors.filter(({ kind }) => kind === "link-meter")
  const probes = scenario.actors.filter(({ kind }) => kind === "link-probe")
  expect(meters.length).toBe(CALIBRATION_ROWS.flatMap(({ streams }) => streams).length)
  expect(new Set(meters.map(({ params }) => params["port"])).size).toBe(meters.length)
  probes.forEach((probe, index) => {
    const meter = meters[index]
    expect(probe.params).toMatchObject({ peer: `{${meter.host}}`, port: meter.params["port"] })
    expect(probe.host).not.toBe(meter.host)
    expect(probe.startMs).toBeGreaterThan(meter.startMs)
  })
})

test("groups follow each other without overlap, and each is over when its last meter has reported", () => {
  const times = groupTimes(CALIBRATION_GROUPS)
  const scenario = calibrationOf(CALIBRATION_GROUPS)
  times.forEach(({ fromMs, rows, untilMs }, index) => {
    if (index > 0) expect(fromMs).toBeGreaterThan(times[index - 1].untilMs)
    for (const { params, startMs } of scenario.actors.filter(
      ({ kind, name }) =>
        kind === "link-meter" &&
        rows.some(
          (row) => name.startsWith(`${row.name}-`) && row.streams.some(({ way }) => name === `${row.name}-${way}-meter`)
        )
    )) {
      expect(startMs).toBe(fromMs)
      expect(startMs + Number(params["reportAfterMs"])).toBeLessThanOrEqual(untilMs)
    }
  })
  expect(scenario.durationMs).toBeGreaterThan(times.at(-1)!.untilMs)
  expect(scenario.durationMs, "a table takes about a minute").toBeLessThan(75_000)
})
