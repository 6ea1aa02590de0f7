import { SCENARIOS, scenarioByName } from "@horizon/scenarios/registry.ts"
import { describe, expect, test } from "vitest"
import { makeLoopback } from "../world/loopback.ts"
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
  const plain = QUICK.filter((scenario) => offered(scenario, loopback))
  test("the scenarios with plain links are offered", () => {
    expect(plain.map((scenario) => scenario.name)).toEqual(["steady-state", "lan-party", "game-32-players"])
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
  const { run } = await runOnce({ world: loopback, scenario: scenarioByName("nat-rebinding")!, seed: 1 })
  expect(run).toMatchObject({ verdict: "skipped", exitCode: 77 })
  expect(run.failures[0].sentence).toContain("nat")
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
