/**
 * From what a run left behind to its verdict: pure, the same for every world.
 */

import type { CheckOutcome } from "@horizon/core/measure/document.ts"
import type { Failure, Verdict } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import type { CheckInput } from "./check/check.ts"
import { CHECKS } from "./check/registry.ts"
import type { CheckSpec, Scenario } from "./scenario.ts"
import { SOMETIMES } from "./sometimes.ts"

/** Runs every check and goal. */
export const judge = (input: CheckInput): ReadonlyArray<CheckOutcome> => [
  ...input.scenario.checks.map((spec) => runCheck(spec, "safety", input)),
  ...input.scenario.goals.map((spec) => runCheck(spec, "liveness", input))
]

/** Whether every goal is met by now: ends the liveness phase early. */
export const goalsMet = (input: CheckInput): boolean =>
  input.scenario.goals.every((spec) => runCheck(spec, "liveness", input).failures.length === 0)

/** Problems of a scenario that a run would stumble over: unknown checks, hosts, nodes. Empty if it is sound. */
export const validateScenario = (scenario: Scenario): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const hosts = new Set(Object.keys(scenario.topology.hosts))
  const nodes = new Set(scenario.nodes.map((node) => node.name))
  for (const spec of [...scenario.checks, ...scenario.goals]) {
    if (CHECKS[spec.check] === undefined) problems.push(`unknown check "${spec.check}"`)
  }
  for (const id of scenario.sometimes ?? []) if (SOMETIMES[id] === undefined) problems.push(`unknown rare path "${id}"`)
  for (const placed of [...scenario.nodes, ...scenario.actors]) {
    if (!hosts.has(placed.host)) problems.push(`${placed.name} is placed on unknown host "${placed.host}"`)
  }
  if (nodes.size !== scenario.nodes.length) problems.push("two nodes have the same name")
  for (const fault of scenario.faults) {
    if ("node" in fault && !nodes.has(fault.node))
      problems.push(`fault ${fault.kind} names unknown node "${fault.node}"`)
    if (fault.atMs > scenario.durationMs) problems.push(`fault ${fault.kind} at ${fault.atMs} ms strikes after the end`)
  }
  return problems
}

/** The worst verdict, in the order in which a reader should care. */
export const worstVerdict = (failures: ReadonlyArray<Failure>): Verdict => {
  for (const verdict of SEVERITY) if (failures.some((failure) => failure.verdict === verdict)) return verdict
  return "pass"
}

const SEVERITY: ReadonlyArray<Verdict> = ["harness", "nondeterminism", "safety", "liveness", "unknown", "performance"]

/** Exit code of a verdict. */
export const exitCodeOf = (verdict: Verdict): number => EXIT[verdict]

const runCheck = (spec: CheckSpec, phase: CheckOutcome["phase"], input: CheckInput): CheckOutcome => {
  const check = CHECKS[spec.check]
  const result = check.run(input, spec.params)
  if (check.verdict === "performance" && !input.virtualTime) {
    const sentence = `${result.sentence} (reported, not judged: real time on this machine)`
    return { id: spec.check, phase, sentence, checked: result.checked, failures: [] }
  }
  const failures: Array<Failure> = result.violations.map((violation) => ({
    id: spec.check,
    verdict: phase === "liveness" ? "liveness" : check.verdict,
    sentence: violation.sentence,
    events: violation.events
  }))
  if (result.checked === 0 && failures.length === 0) {
    failures.push({ id: spec.check, verdict: "unknown", sentence: `nothing to check: ${result.sentence}`, events: [] })
  }
  return { id: spec.check, phase, sentence: result.sentence, checked: result.checked, failures }
}
