/**
 * `node bench/tunnel/main.ts [--quick] [--subjects a,b] [--rounds N] [--seconds N] [--out FILE]`: tunnels beside each other, as a table and as
 * one JSON document. Needs root. Ctrl-C ends it and leaves nothing behind.
 */

import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { EXIT } from "@horizon/core/measure/run.ts"
import { LabError } from "../lab/lab-error.ts"
import { tunnelTable } from "./table.ts"
import { measureTunnels, type TunnelsOptions } from "./tunnels.ts"

const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    console.error("stopping; once more to leave at once")
    stop.abort()
  })
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    subjects: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    out: { type: "string" }
  }
})

const whole = (name: "rounds" | "seconds"): { [key: string]: number } => {
  const text = values[name]
  if (text === undefined) return {}
  if (!/^[1-9][0-9]{0,2}$/.test(text))
    throw new RangeError(`--${name} must be a whole number from 1 to 999, not ${text}`)
  return { [name]: Number(text) }
}

try {
  const options: TunnelsOptions = {
    quick: values.quick,
    ...(values.subjects === undefined ? {} : { subjects: values.subjects.split(",") }),
    ...whole("rounds"),
    ...whole("seconds"),
    signal: stop.signal,
    onProgress: (sentence) => console.error(sentence)
  }
  const comparison = await measureTunnels(options)
  for (const line of tunnelTable(comparison)) console.log(line)
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(comparison, null, 2)}\n`)
  process.exitCode = comparison.subjects.every((subject) => subject.missing !== undefined) ? EXIT.skipped : EXIT.pass
} catch (error) {
  if (stop.signal.aborted) process.exitCode = EXIT.interrupted
  else {
    console.error((error as Error).message)
    process.exitCode =
      error instanceof RangeError
        ? EXIT.usage
        : error instanceof LabError && error.reason === "missing"
          ? EXIT.skipped
          : EXIT.harness
  }
}
