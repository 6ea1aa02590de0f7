import { EXIT } from "@horizon/core/measure/run.ts"
import { Cause, Effect, Exit } from "effect"
import { expect, test } from "vitest"
import { CommandFailure } from "./command.ts"
import { runCommandLine } from "./parse.ts"
import { scenarioCommand } from "./scenario.ts"
import type { Screen } from "./screen.ts"

const horizon = async (...args: ReadonlyArray<string>) => {
  const out: Array<string> = []
  const screen: Screen = {
    out: (line) => out.push(line),
    err: () => {},
    draw: () => {},
    interactive: false,
    colorOut: false,
    colorErr: false,
    columns: 100,
    environment: {}
  }
  const outcome = { exitCode: 0, stopped: EXIT.interrupted as number }
  const runner = () => Promise.reject(new Error("export needs no runner"))
  const exit = await Effect.runPromiseExit(runCommandLine(scenarioCommand(runner), "1.2.3", args, screen, outcome))
  if (Exit.isSuccess(exit)) return { code: outcome.exitCode, out: out.join("\n"), said: "" }
  const error = Cause.squash(exit.cause)
  if (!(error instanceof CommandFailure)) throw error
  return { code: error.exitCode, out: out.join("\n"), said: error.lines.join("\n") }
}

test("scenario export prints the network of a scenario as one JSON object", async () => {
  const { code, out } = await horizon("export", "lan-party")
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ format: "horizon-topology/1", name: "lan-party" })
})

test("a scenario that there is not is bad use, with the one that may have been meant", async () => {
  expect(await horizon("export", "lan-paty")).toEqual({
    code: EXIT.usage,
    out: "",
    said: 'horizon: there is no scenario "lan-paty"; did you mean lan-party?'
  })
})
