import { SCENARIOS, scenarioByName } from "@horizon/scenarios/registry.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { describe, expect, test } from "vitest"
import { LabError } from "../lab/lab-error.ts"
import { makeLoopback } from "../world/loopback.ts"
import { WORLDS } from "../world/registry.ts"
import { makeSimulated } from "../world/simulated.ts"
import type { World } from "../world/world.ts"
import { offered } from "./plan.ts"
import { runOnce } from "./run-once.ts"

const simulated = makeSimulated()
const loopback = makeLoopback()

/** The long one is run by `npm start`. */
const QUICK = SCENARIOS.filter((scenario) => scenario.name !== "flagship")

describe("in the simulated world", () => {
  test.each(QUICK.map((scenario) => [scenario.name, scenario] as const))("%s passes", async (_, scenario) => {
    const { run, document } = await runOnce({ world: simulated, scenario, seed: 1 })
    expect(run.failures).toEqual([])
    expect(run.verdict).toBe("pass")
    expect(run.exitCode).toBe(0)
    expect(run.digest).toMatch(/^[0-9a-f]{16}$/)
    expect(document?.checks.every((check) => check.checked > 0 || scenario.canary !== undefined)).toBe(true)
  })
})

describe("on loopback", () => {
  // Those with faults take minutes in real time.
  const plain = QUICK.filter((scenario) => needsOf(scenario).length === 0)
  test("the scenarios without needs are offered everywhere", () => {
    expect(plain.map((scenario) => scenario.name)).toEqual(["steady-state", "lan-party", "game-32-players"])
    for (const world of WORLDS) expect(plain.every((scenario) => offered(scenario, world))).toBe(true)
  })

  test.concurrent.each(plain.map((scenario) => [scenario.name, scenario] as const))(
    "%s passes on real sockets",
    async (_, scenario) => {
      const { run } = await runOnce({ world: loopback, scenario, seed: 1 })
      expect(run.failures).toEqual([])
      expect(run.verdict).toBe("pass")
    }
  )
})

test("a scenario that needs what the world does not offer is skipped, which is not a pass", async () => {
  const { run } = await runOnce({ world: loopback, scenario: scenarioByName("swarm")!, seed: 1 })
  expect(run).toMatchObject({ verdict: "skipped", exitCode: 77 })
  expect(run.failures[0].sentence).toContain("swarm")
})

test("a machine that lacks something for a world skips the run and says what, any other failure of a lab is one", async () => {
  const lacking = (reason: "missing" | "failed"): World => ({
    ...simulated,
    run: () => Promise.reject(new LabError(reason, "nft is not installed: apt install nftables"))
  })
  const scenario = scenarioByName("steady-state")!
  const { run } = await runOnce({ world: lacking("missing"), scenario, seed: 1 })
  expect(run).toMatchObject({ verdict: "skipped", exitCode: 77, failures: [{ id: "world" }] })
  expect(run.failures[0].sentence).toBe("nft is not installed: apt install nftables")
  const failed = await runOnce({ world: lacking("failed"), scenario, seed: 1 })
  expect(failed.run).toMatchObject({ verdict: "harness", exitCode: 6 })
})

test("what beside the nodes may be to blame is said with failures, and not without", async () => {
  const caveats = ["this machine was too busy"]
  const busy: World = { ...simulated, run: async (options) => ({ ...(await simulated.run(options)), caveats }) }
  const scenario = scenarioByName("steady-state")!
  const fine = await runOnce({ world: busy, scenario, seed: 1 })
  expect(fine.run).toMatchObject({ verdict: "pass", failures: [] })
  const impossible = { check: "occurs", params: { kind: "session.closed", atLeast: 99 } }
  const bad = await runOnce({ world: busy, scenario: { ...scenario, checks: [impossible] }, seed: 1 })
  expect(bad.run).toMatchObject({ verdict: "safety", failures: [{ id: "occurs" }, { id: "caveat" }] })
  expect(bad.run.failures[1].sentence).toBe(caveats[0])
})

test("a canary whose planted fault is not found fails the run", async () => {
  const sleeping = { ...scenarioByName("canary-nonce")!, plant: ["no.such.point"] }
  const { run } = await runOnce({ world: simulated, scenario: sleeping, seed: 1 })
  expect(run).toMatchObject({ verdict: "harness", exitCode: 6 })
  expect(run.failures[0].sentence).toContain("was not found")
})

test("a world that does not replay is found out, with the first event at which two runs part", async () => {
  let runs = 0
  const fickle: World = {
    ...simulated,
    // The second and later runs start from another seed, as if something outside had leaked in.
    run: (options) => simulated.run({ ...options, seed: options.seed + (runs++ === 0 || runs === 3 ? 0 : 1) })
  }
  const { run } = await runOnce({ world: fickle, scenario: scenarioByName("steady-state")!, seed: 1, twice: true })
  expect(run).toMatchObject({ verdict: "nondeterminism", exitCode: 4 })
  expect(run.failures.at(-1)!.sentence).toMatch(/part at event \d+: once ".*" at \d+ ns/)
})
