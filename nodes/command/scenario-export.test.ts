import { EXIT } from "@horizon/core/measure/run.ts"
import { expect, test } from "vitest"
import { runHorizon } from "./command-line.fixture.ts"
import { scenarioCommand } from "./scenario.ts"

const horizon = (...args: ReadonlyArray<string>) => {
  const runner = () => Promise.reject(new Error("export needs no runner"))
  return runHorizon([scenarioCommand(runner)], ["scenario", ...args])
}

test("scenario export prints the network of a scenario as one JSON object", async () => {
  const { code, out } = await horizon("export", "lan-party")
  expect(code).toBe(0)
  expect(JSON.parse(out.join("\n"))).toMatchObject({ format: "horizon-topology/1", name: "lan-party" })
})

test("a scenario that there is not is bad use, with the one that may have been meant", async () => {
  expect(await horizon("export", "lan-paty")).toMatchObject({
    code: EXIT.usage,
    out: [],
    err: ['horizon: there is no scenario "lan-paty"; did you mean lan-party?']
  })
})
