import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Run } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { SOMETIMES, SUITE_SEEDS } from "@horizon/scenarios/sometimes.ts"
import { afterEach, expect, test } from "vitest"
import { planRuns, UnknownName } from "./plan.ts"
import { type RunnerEvent, replay, runScenarios, unreached } from "./runner.ts"

const folders: Array<string> = []
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "horizon-runner-"))
  folders.push(made)
  return made
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true })
})

const request = { all: false, world: "simulated", seeds: [1], onEvent: () => {} }

test("a batch over worker processes gives the same records as single runs, and tells how it goes", async () => {
  const events: Array<RunnerEvent> = []
  const batch = await runScenarios({
    ...request,
    names: ["canary-lease"],
    seeds: [1, 2, 3],
    onEvent: (event) => events.push(event)
  })
  expect(batch.exitCode).toBe(EXIT.pass)
  expect(events.filter((event) => event.kind === "finished")).toHaveLength(3)
  expect(events[0]).toMatchObject({ kind: "planned", runs: 3 })
  for (const run of batch.runs) {
    const alone = await runScenarios({ ...request, names: ["canary-lease"], seeds: [run.seed] })
    expect(alone.runs[0].digest).toBe(run.digest)
  }
})

test("what a run left behind replays to the same digest, and changed digests are told apart", async () => {
  const out = folder()
  const { runs } = await runScenarios({ ...request, names: ["steady-state"], out })
  expect(readdirSync(out).sort()).toEqual([
    "index.html",
    "junit.xml",
    "report.json",
    "runs.ndjson",
    "steady-state-simulated-1.run.json"
  ])
  expect(JSON.parse(readFileSync(join(out, "runs.ndjson"), "utf8"))).toEqual(runs[0])
  const again = await replay(join(out, "steady-state-simulated-1.run.json"), () => {})
  expect(again.digestWanted).toBe(runs[0].digest)
  expect(again.runs[0].digest).toBe(runs[0].digest)
})

test("an aborted batch keeps what has finished and ends with 130", async () => {
  const abort = new AbortController()
  const result = await runScenarios({
    ...request,
    names: ["steady-state", "lan-party"],
    seeds: [1, 2, 3, 4],
    signal: abort.signal,
    onEvent: (event) => {
      if (event.kind === "finished") abort.abort()
    }
  })
  expect(result.exitCode).toBe(EXIT.interrupted)
  expect(result.runs.length).toBeGreaterThan(0)
  expect(result.runs.length).toBeLessThan(8)
})

test("shards cut a plan into parts that together are the whole", () => {
  const whole = planRuns(["swarm", "steady-state"], false, "simulated", [1, 2, 3])
  const parts = [1, 2, 3].flatMap((index) =>
    planRuns(["swarm", "steady-state"], false, "simulated", [1, 2, 3], { index, count: 3 })
  )
  const name = ({ scenario, seed }: (typeof whole)[number]): string => `${scenario.name} ${seed}`
  expect(parts.map(name).sort()).toEqual(whole.map(name).sort())
})

test("an unknown scenario or world is told with the nearest known names", () => {
  expect(() => planRuns(["stedy-state"], false, "simulated", [1])).toThrow(UnknownName)
  expect(() => planRuns(["stedy-state"], false, "simulated", [1])).toThrow(/did you mean steady-state/)
  expect(() => planRuns(["steady-state"], false, "simulate", [1])).toThrow(/did you mean simulated/)
})

test("a large suite that never reached a rare path says so; a small one is not held to it", () => {
  const [missed, ...reached] = Object.keys(SOMETIMES)
  const runs = (count: number): ReadonlyArray<Run> =>
    Array.from({ length: count }, () => ({ scenario: "swarm", verdict: "pass", reached }) as unknown as Run)
  expect(unreached(runs(SUITE_SEEDS))).toEqual([
    `in none of ${SUITE_SEEDS} runs of swarm ${SOMETIMES[missed].sentence} (${missed})`
  ])
  expect(unreached(runs(SUITE_SEEDS - 1))).toEqual([])
  expect(
    unreached([...runs(SUITE_SEEDS), { scenario: "swarm", verdict: "pass", reached: [missed] } as unknown as Run])
  ).toEqual([])
})

test("a link driver is for worlds that have them, and a wrong name is not taken", () => {
  const [run] = planRuns(["lan-party"], false, "netns", [1], undefined, "link")
  expect(run.world.driver).toBe("link")
  expect(() => planRuns(["lan-party"], false, "netns", [1], undefined, "lnk")).toThrow(/did you mean link/)
  expect(() => planRuns(["lan-party"], false, "simulated", [1], undefined, "link")).toThrow(/takes no --driver/)
})
