import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RunRequest } from "@horizon/bench/runner/runner.ts"
import { EXIT, type Run } from "@horizon/core/measure/run.ts"
import { afterAll, expect, test } from "vitest"
import { KeptScreen, startHorizon } from "./command-line.fixture.ts"
import { replayCommand } from "./replay.ts"
import { reportCommand } from "./report.ts"
import { type Runner, scenarioCommand } from "./scenario.ts"

const root = mkdtempSync(join(tmpdir(), "horizon-command-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (change: Partial<Run>): Run => ({
  scenario: "lossy-wifi",
  world: "simulated",
  seed: 1,
  verdict: "pass",
  exitCode: 0,
  digest: "0123456789abcdef",
  events: 10,
  packets: 5,
  simulatedSeconds: 60,
  wallSeconds: 0.5,
  commit: "abc",
  nodeVersion: "v24",
  failures: [],
  repro: "npx horizon scenario run lossy-wifi --seed 1",
  drawn: {},
  reached: [],
  timelineHash: "",
  ...change
})

const broken: Partial<Run> = {
  verdict: "safety",
  exitCode: EXIT.safety,
  failures: [{ id: "no-nonce-reuse", verdict: "safety", sentence: "nonce 7 was used twice", events: [1] }],
  repro: "npx horizon scenario run lossy-wifi --seed 2"
}

/** A runner that passes everything but seed 2, and stands still at seed 99. */
const fakeRunner = (requests: Array<RunRequest> = []): Runner => ({
  listScenarios: () => [
    {
      name: "lossy-wifi",
      summary: "Burst loss",
      tags: ["link"],
      worlds: ["simulated", "loopback"],
      needs: [],
      durationSeconds: 60
    },
    { name: "swarm", summary: "Chaos", tags: ["chaos"], worlds: ["simulated"], needs: ["faults"], durationSeconds: 30 }
  ],
  runScenarios: async (request) => {
    requests.push(request)
    if (request.names.includes("stedy")) {
      throw Object.assign(new Error('unknown scenario "stedy": did you mean steady?'), { name: "UnknownName" })
    }
    const runs: Array<Run> = []
    request.onEvent({ kind: "planned", runs: request.seeds.length, workers: 1 })
    for (const seed of request.seeds) {
      request.onEvent({ kind: "started", scenario: "lossy-wifi", world: request.world, seed })
      if (seed === 99) await new Promise<void>((resolve) => request.signal?.addEventListener("abort", () => resolve()))
      request.onEvent({ kind: "progress", scenario: "lossy-wifi", seed, seconds: 30, ofSeconds: 60 })
      runs.push(run(seed === 2 ? { seed, ...broken } : { seed }))
      request.onEvent({ kind: "finished", run: runs[runs.length - 1], index: runs.length, of: request.seeds.length })
    }
    if (request.out !== undefined) request.onEvent({ kind: "report", path: join(request.out, "index.html") })
    const neverReached = request.seeds.length > 100 ? ["in none of them a session roams"] : []
    return { runs, neverReached, exitCode: Math.max(...runs.map((one) => one.exitCode)) }
  },
  replay: async (file, onEvent) => {
    onEvent({ kind: "planned", runs: 1, workers: 1 })
    onEvent({ kind: "started", scenario: "lossy-wifi", world: "simulated", seed: 1 })
    onEvent({ kind: "finished", run: run({}), index: 1, of: 1 })
    return {
      runs: [run({})],
      neverReached: [],
      exitCode: 0,
      digestWanted: file.includes("other") ? "f".repeat(16) : "0123456789abcdef"
    }
  }
})

const start = (args: ReadonlyArray<string>, options: { runner?: Runner; interactive?: boolean } = {}) => {
  const { interactive = false, runner = fakeRunner() } = options
  const commands = [
    scenarioCommand(async () => runner),
    replayCommand(async () => runner),
    reportCommand(async () => ({
      writeReport: async (directory) => ({ html: join(directory, "index.html") }),
      writeBenchReport: async (directory) => join(directory, "bench.html")
    }))
  ]
  return startHorizon(commands, args, new KeptScreen({ interactive }))
}
const horizon = (...args: ReadonlyArray<string>) => start(args).said()

test("help that is asked for is a result; help that is not is bad use and goes to standard error", async () => {
  const asked = await horizon("scenario", "run", "--help")
  expect(asked.code).toBe(0)
  expect(asked.err).toEqual([])
  expect(asked.out.join("\n")).toContain("--seeds A..B")
  expect(asked.out.join("\n")).toContain("130 interrupted")
  const bare = await horizon("scenario")
  expect(bare.code).toBe(EXIT.usage)
  expect(bare.out).toEqual([])
  expect(bare.err.join("\n")).toContain(
    "horizon scenario run --all --shard 2/4 --json".split(" ").slice(0, 2).join(" ")
  )
})

test("--version prints name and version", async () => {
  expect((await horizon("--version")).out).toEqual(["horizon 1.2.3"])
})

test("a misspelt command or flag is one line with a suggestion and where to look", async () => {
  const command = await horizon("scenaro")
  expect(command.code).toBe(EXIT.usage)
  expect(command.out).toEqual([])
  expect(command.err).toEqual([`horizon: unknown command "scenaro"; did you mean scenario? See 'horizon --help'.`])
  const flag = await horizon("scenario", "run", "--sed", "1", "lossy-wifi")
  expect(flag.code).toBe(EXIT.usage)
  expect(flag.err).toEqual(["horizon: unknown flag --sed; did you mean --seed? See 'horizon scenario run --help'."])
})

test("scenario list prints facts and questions for people and an array for programs", async () => {
  const people = await horizon("scenario", "list")
  expect(people.out[0]).toMatch(/^lossy-wifi +60 s +simulated, loopback +link$/)
  expect(people.out[1]).toBe("    Burst loss")
  expect(people.out).toHaveLength(4)
  const programs = await horizon("scenario", "list", "--json", "--world", "loopback")
  expect(JSON.parse(programs.out.join("\n")).map((one: { name: string }) => one.name)).toEqual(["lossy-wifi"])
})

test("a filter that would select nothing is refused and names what there is", async () => {
  const tag = await horizon("scenario", "list", "--tag", "choas")
  expect(tag.code).toBe(EXIT.usage)
  expect(tag.err).toEqual(['horizon: no scenario has the tag "choas"; did you mean chaos?'])
  expect((await horizon("scenario", "list", "--world", "moon")).err[0]).toContain("known are loopback, simulated")
})

test("scenario run prints the verdict table on standard output and progress on standard error", async () => {
  const said = await horizon("scenario", "run", "lossy-wifi", "--out", "o")
  expect(said.code).toBe(0)
  expect(said.out[0]).toMatch(/^scenario +world +seed +verdict +sim s +wall s +digest +failures$/)
  expect(said.out[1]).toMatch(/^lossy-wifi +simulated +1 +pass +60\.0 +0\.5 +0123456789abcdef$/)
  expect(said.out.at(-1)).toBe("1 passed")
  expect(said.err).toContain("started  lossy-wifi seed 1 in the simulated world")
  expect(said.err).toContain("finished lossy-wifi seed 1: pass (×120)")
  expect(said.err.at(-1)).toBe(`report: ${join("o", "index.html")}`)
})

test("a failed run says what should have held, and its repro is the last line on standard error", async () => {
  const said = await horizon("scenario", "run", "lossy-wifi", "--seeds", "1..3")
  expect(said.code).toBe(EXIT.safety)
  expect(said.out.at(-1)).toBe("2 passed, 1 safety")
  expect(said.err.at(-2)).toBe("lossy-wifi seed 2: no-nonce-reuse: nonce 7 was used twice")
  expect(said.err.at(-1)).toMatch(
    /^run it again: npx horizon scenario run lossy-wifi --seed 2 {2}# commit abc, timeline none, digest \w+, Node v24$/
  )
})

test("a large suite that never reached a rare path says so before the failures", async () => {
  const { err } = await horizon("scenario", "run", "lossy-wifi", "--seeds", "1000..1101")
  expect(err).toContain("never reached: in none of them a session roams")
})

test("with --json standard output is one Run record a line and nothing else", async () => {
  const said = await horizon("scenario", "run", "lossy-wifi", "--seeds", "1..3", "--json")
  const records = said.out.map((line) => JSON.parse(line) as Run)
  expect(records.map((record) => [record.seed, record.verdict])).toEqual([
    [1, "pass"],
    [2, "safety"],
    [3, "pass"]
  ])
})

test("names, seeds, shard, world and directory reach the runner", async () => {
  const requests: Array<RunRequest> = []
  const args = ["a", "b", "a", "--seeds", "5..6", "--shard", "2/3", "--world", "loopback", "--out", "x"]
  await start(["scenario", "run", ...args], { runner: fakeRunner(requests) }).said()
  expect(requests[0]).toMatchObject({
    names: ["a", "b"],
    all: false,
    seeds: [5, 6],
    shard: { index: 2, count: 3 },
    world: "loopback",
    out: "x"
  })
})

test("bad use of scenario run is one clear line and exit code 64, and nothing runs", async () => {
  const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
    [[], /name at least one scenario/],
    [["a", "--all"], /not both/],
    [["a", "--seed", "x"], /a seed is an integer from 0 to 9007199254740991, not "x"/],
    [["a", "--seed", "-1"], /a seed is an integer/],
    [["a", "--seed", "9007199254740992"], /a seed is an integer/],
    [["a", "--seed", "1", "--seeds", "1..2"], /not both/],
    [["a", "--seeds", "3..1"], /lower to the higher/],
    [["a", "--shard", "4/3"], /I from 1 to N/],
    [["stedy"], /unknown scenario "stedy": did you mean steady\?/]
  ]
  for (const [args, expected] of cases) {
    const said = await horizon("scenario", "run", ...args)
    expect(said.code, args.join(" ")).toBe(EXIT.usage)
    expect(said.out).toEqual([])
    expect(said.err).toHaveLength(1)
    expect(said.err[0]).toMatch(expected)
  }
})

test("an interrupted batch says what had finished and ends with 130", async () => {
  const { fiber, said } = start(["scenario", "run", "lossy-wifi", "--seeds", "98..99"])
  await new Promise((resolve) => setTimeout(resolve, 20))
  fiber.interruptUnsafe()
  const { code, err, out } = await said()
  expect(code).toBe(EXIT.interrupted)
  expect(out.at(-1)).toBe("1 passed")
  expect(err.at(-1)).toBe("interrupted: 1 of 2 runs had finished (1 passed)")
})

test("on a terminal progress is one line that is redrawn and taken away", async () => {
  const { said } = start(["scenario", "run", "lossy-wifi"], { interactive: true })
  const { drawn, err } = await said()
  expect(drawn).toContain("\r\u001b[K")
  expect(drawn.endsWith("\r\u001b[K")).toBe(true)
  expect(err).toEqual([])
})

test("replay compares digests, and a different one is nondeterminism", async () => {
  const document = JSON.stringify({ format: "horizon-run/1", run: { scenario: "lossy-wifi", seed: 1 } })
  const same = join(root, "same.run.json")
  const other = join(root, "other.run.json")
  writeFileSync(same, document)
  writeFileSync(other, document)
  expect(await horizon("replay", same)).toMatchObject({ code: 0 })
  const said = await horizon("replay", other)
  expect(said.code).toBe(EXIT.nondeterminism)
  expect(said.err.at(-1)).toContain("differs from the stored ffffffffffffffff")
})

test("replay tells a missing file from one that is no run document", async () => {
  expect(await horizon("replay", join(root, "none.json"))).toMatchObject({ code: EXIT.noInput, out: [] })
  const half = join(root, "half.run.json")
  writeFileSync(half, '{"format": "horizon-run/1", "run"')
  expect(await horizon("replay", half)).toMatchObject({ code: EXIT.corrupt })
  writeFileSync(half, '{"format": "other"}')
  expect((await horizon("replay", half)).err[0]).toContain('its format is "other"')
  expect((await horizon("replay")).code).toBe(EXIT.usage)
})

test("report prints the page's path, and says when a directory holds nothing to report", async () => {
  const directory = join(root, "out")
  expect((await horizon("report", directory)).code).toBe(EXIT.noInput)
  mkdirSync(directory)
  expect((await horizon("report", directory)).err[0]).toContain("holds no runs")
  writeFileSync(join(directory, "a.run.json"), "{}")
  expect(await horizon("report", directory)).toMatchObject({ code: 0, out: [join(directory, "index.html")] })
})
