/** Runs one scenario in one world with one seed, judges it, and looks twice where trust asks for it. */

import { createHash } from "node:crypto"
import type { Fault } from "@horizon/core/lab/fault.ts"
import type { RunDocument } from "@horizon/core/measure/document.ts"
import type { Failure, Run, Verdict } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { judge, worstVerdict } from "@horizon/scenarios/judge.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { needsOf } from "@horizon/scenarios/scenario.ts"
import { SOMETIMES } from "@horizon/scenarios/sometimes.ts"
import { divergingWindow } from "@horizon/sim/kernel/digest.ts"
import { LabError } from "../lab/lab-error.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "../world/world.ts"
import { makeDocument } from "./document.ts"
import { commit } from "./provenance.ts"

export interface RunOnceOptions {
  readonly world: World
  readonly scenario: Scenario
  readonly seed: number
  readonly progress?: (seconds: number) => void
  readonly signal?: AbortSignal
  /** Run a second time and compare digests, whatever the verdict. */
  readonly twice?: boolean
  /** An exact fault timeline instead of the scenario's and the seed's. */
  readonly timeline?: ReadonlyArray<Fault>
}

export interface RunOnceResult {
  readonly run: Run
  /** Missing for a run that was skipped or could not even start. */
  readonly document?: RunDocument
  readonly outcome?: WorldRunOutcome
}

export const runOnce = async (options: RunOnceOptions): Promise<RunOnceResult> => {
  const { world, scenario, seed } = options
  const missing = needsOf(scenario).filter((need) => !world.offers.has(need))
  if (missing.length > 0) {
    const sentence = `world ${world.name} does not offer ${missing.join(", ")}`
    return { run: emptyRun(options, "skipped", { id: "world", verdict: "skipped", sentence, events: [] }) }
  }
  const started = performance.now()
  const worldOptions: WorldRunOptions = {
    scenario,
    seed,
    ...(options.progress === undefined ? {} : { progress: options.progress }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.timeline === undefined ? {} : { timeline: options.timeline })
  }
  let outcome: WorldRunOutcome
  try {
    outcome = await world.run(worldOptions)
  } catch (error) {
    return { run: emptyRun(options, ...unrun(error)) }
  }
  const wallSeconds = (performance.now() - started) / 1000
  const checks = judge({
    scenario,
    events: outcome.trace.events,
    watched: outcome.watched,
    virtualTime: world.offers.has("virtual-time"),
    nowNs: outcome.seconds * 1e9,
    livenessNs: outcome.livenessNs
  })
  const failures = [...outcome.failures, ...checks.flatMap((check) => check.failures)]
  if (failures.length > 0) failures.push(...(outcome.caveats ?? []).map(caveat))
  const suspicious = failures.length > 0 || scenario.canary !== undefined || options.twice === true
  if (outcome.digest !== "" && suspicious && !options.signal?.aborted) {
    const divergence = await lookTwice(world, worldOptions, outcome)
    if (divergence !== undefined) failures.push(divergence)
  }
  const run = makeRun(options, outcome, failures, wallSeconds)
  return {
    run,
    outcome,
    document: makeDocument({ run, scenario, outcome, checks, fidelity: outcome.fidelity ?? world.fidelity })
  }
}

/** Why a run did not come about: a machine that lacks something is no failure of what is tested, and no pass either. */
const unrun = (error: unknown): [Verdict, Failure] => {
  const verdict = error instanceof LabError && error.reason === "missing" ? "skipped" : "harness"
  const isPlain = error instanceof LabError || !(error instanceof Error)
  const sentence = isPlain ? String(error instanceof Error ? error.message : error) : (error.stack ?? error.message)
  return [verdict, { id: "world", verdict, sentence, events: [] }]
}

const caveat = (sentence: string): Failure => ({ id: "caveat", verdict: "unknown", sentence, events: [] })

/** The same again; a digest that differs is traced to the first event at which the two parted. */
const lookTwice = async (
  world: World,
  options: WorldRunOptions,
  first: WorldRunOutcome
): Promise<Failure | undefined> => {
  const second = await world.run(options)
  if (second.digest === first.digest) return undefined
  const record = divergingWindow(first.checkpoints, second.checkpoints)
  const a = await world.run({ ...options, record })
  const b = await world.run({ ...options, record })
  const index = a.recorded.findIndex(
    (event, i) => event.words !== b.recorded[i]?.words || event.atNs !== b.recorded[i].atNs
  )
  const where =
    index < 0
      ? `between events ${record.from} and ${record.to}`
      : `at event ${a.recorded[index].index}: once "${a.recorded[index].words}" at ${a.recorded[index].atNs} ns, then "${b.recorded[index]?.words ?? "nothing"}" at ${b.recorded[index]?.atNs ?? "no time"} ns`
  return {
    id: "determinism",
    verdict: "nondeterminism",
    sentence: `two runs of seed ${options.seed} gave digests ${first.digest} and ${second.digest}; they part ${where}`,
    events: []
  }
}

/** A canary turns the verdict round: it passes if what was planted was found, and fails otherwise. */
const judgeCanary = (
  scenario: Scenario,
  failures: ReadonlyArray<Failure>
): { verdict: Verdict; failures: ReadonlyArray<Failure> } => {
  const verdict = worstVerdict(failures)
  if (scenario.canary === undefined) return { verdict, failures }
  if (verdict === scenario.canary) return { verdict: "pass", failures: [] }
  const sentence = `the planted fault (${scenario.plant?.join(", ") ?? scenario.name}) was not found: wanted verdict ${scenario.canary}, came to ${verdict}`
  return { verdict: "harness", failures: [{ id: "canary", verdict: "harness", sentence, events: [] }, ...failures] }
}

const makeRun = (
  options: RunOnceOptions,
  outcome: WorldRunOutcome,
  found: ReadonlyArray<Failure>,
  wallSeconds: number
): Run => {
  const { verdict, failures } = judgeCanary(options.scenario, found)
  return {
    ...emptyRun(options, verdict),
    failures,
    digest: outcome.digest,
    events: outcome.events,
    packets: outcome.packets,
    simulatedSeconds: round(outcome.seconds),
    wallSeconds: round(wallSeconds),
    drawn: outcome.drawn,
    reached: (options.scenario.sometimes ?? []).filter((id) => SOMETIMES[id].reached(outcome.trace.events)),
    timelineHash: createHash("sha256").update(JSON.stringify(outcome.timeline)).digest("hex").slice(0, 16)
  }
}

const emptyRun = ({ scenario, world, seed }: RunOnceOptions, verdict: Verdict, failure?: Failure): Run => ({
  scenario: scenario.name,
  world: world.name,
  seed,
  verdict,
  exitCode: EXIT[verdict],
  digest: "",
  events: 0,
  packets: 0,
  simulatedSeconds: 0,
  wallSeconds: 0,
  commit: commit(),
  nodeVersion: process.version,
  failures: failure === undefined ? [] : [failure],
  repro: `npx horizon scenario run ${scenario.name} --world ${world.name}${world.driver === undefined ? "" : ` --driver ${world.driver}`} --seed ${seed}`,
  drawn: {},
  reached: [],
  timelineHash: ""
})

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000
