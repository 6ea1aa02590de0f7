/** `horizon doctor`: what this machine can run, and what to install for the rest. */

import { EXIT } from "@horizon/core/measure/run.ts"
import * as Effect from "effect/Effect"
import type { CommandSpec } from "./command.ts"
import type { Finding } from "./examine.ts"
import { paint, type Screen, table } from "./screen.ts"

export const doctorCommand: CommandSpec = {
  name: "doctor",
  summary: "Say what this machine can run, and what to install for the rest",
  description: `Looks for what Horizon can use on this machine and changes nothing. Exit code 0, or ${EXIT.unavailable} if something is missing without which nothing runs.`,
  flags: [{ name: "json", form: "boolean", description: "Print one JSON object" }],
  examples: [{ command: "horizon doctor", description: "First thing on a new machine" }],
  run: (input, screen) =>
    Effect.gen(function* () {
      const { examine } = yield* Effect.promise(() => import("./examine.ts"))
      const findings = yield* Effect.promise(() => examine())
      const fit = findings.every((finding) => finding.state !== "missing" || !finding.must)
      if (input.on["json"] === true) screen.out(JSON.stringify({ fit, findings }, undefined, 2))
      else print(findings, fit, screen)
      return fit ? EXIT.pass : EXIT.unavailable
    })
}

const print = (findings: ReadonlyArray<Finding>, fit: boolean, screen: Screen): void => {
  const words = (finding: Finding): keyof typeof COLOR =>
    finding.state === "ok" ? "ok" : finding.must ? "missing" : "optional"
  const style = (cell: string, row: number, column: number): string =>
    column === 0 ? paint(screen.colorOut, COLOR[words(findings[row])], cell) : cell
  const rows = findings.map((finding) => [words(finding), finding.name, short(finding.seen), finding.purpose])
  for (const line of table(rows, { style })) screen.out(line)
  const remedies = findings.filter((finding) => finding.state !== "ok" && finding.remedy !== undefined)
  if (remedies.length > 0) {
    screen.out("")
    screen.out(paint(screen.colorOut, "bold", "To get the rest (Debian):"))
    for (const line of table(remedies.map((finding) => [`  ${finding.name}`, finding.remedy as string])))
      screen.out(line)
  }
  screen.out("")
  screen.out(fit ? "This machine can run Horizon." : "Something is missing without which Horizon does not run.")
}

const short = (text: string): string =>
  text.length > SEEN_CHARACTERS_MAX ? `${text.slice(0, SEEN_CHARACTERS_MAX - 1)}…` : text

const SEEN_CHARACTERS_MAX = 36

const COLOR = { ok: "green", missing: "red", optional: "yellow" } as const
