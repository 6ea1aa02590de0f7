import { scenarioByName } from "../scenarios/registry.ts"
import { runOnce } from "./runner/run-once.ts"
import { makeSimulated } from "./world/simulated.ts"

const name = process.argv[2] ?? "steady-state"
const seed = Number(process.argv[3] ?? 1)
const { run, document, outcome } = await runOnce({ world: makeSimulated(), scenario: scenarioByName(name)!, seed })
console.log(
  run.verdict,
  run.digest,
  "sim",
  run.simulatedSeconds,
  "wall",
  run.wallSeconds,
  "events",
  run.events,
  "packets",
  run.packets,
  JSON.stringify(run.drawn)
)
for (const f of run.failures.slice(0, 12)) console.log("  ", f.id, f.verdict, f.sentence.slice(0, 1500))
if (process.argv[4] === "log")
  for (const l of document?.log ?? []) console.log((l.atNs / 1e9).toFixed(3), l.node, l.kind, l.words.slice(0, 220))
if (process.argv[4] === "checks") {
  for (const l of document?.checks ?? [])
    console.log(l.failures.length ? "✗" : "✓", l.phase, l.id, l.checked, l.sentence)
  console.log(document?.latencies.map((l) => [l.op, l.outcomes]))
}
if (process.argv[4] === "lost")
  for (const e of outcome!.trace.events)
    if (
      (e.kind === "op.done" && e.fields.outcome !== "ok") ||
      e.kind.startsWith("session.") ||
      e.kind.startsWith("fault")
    )
      console.log((e.atNs / 1e9).toFixed(3), e.node, e.kind, JSON.stringify(e.fields).slice(0, 200))
