import { describe, expect, test } from "vitest"
import { validateScenario } from "./judge.ts"
import { SCENARIOS } from "./registry.ts"
import { needsOf } from "./scenario.ts"

describe("every scenario", () => {
  test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))("%s is sound", (_, scenario) => {
    expect(validateScenario(scenario)).toEqual([])
  })

  test("has a name of its own, in kebab-case", () => {
    const names = SCENARIOS.map((scenario) => scenario.name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => !/^[a-z0-9-]+$/.test(name))).toEqual([])
  })

  test("needs virtual time only if it asks about virtual time itself: length is no reason", () => {
    const needing = SCENARIOS.filter((scenario) => needsOf(scenario).includes("virtual-time"))
    expect(needing.map(({ name }) => name)).toEqual(["canary-real-time"])
  })

  test("is data: it survives a round trip through JSON", () => {
    for (const scenario of SCENARIOS) expect(JSON.parse(JSON.stringify(scenario))).toEqual(scenario)
  })
})
