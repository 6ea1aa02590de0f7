import type { TraceEvent, TraceKind } from "@horizon/core/lab/trace.ts"
import { BACK_TO_NORMAL, buildLab, clientOf, lanActors, pings } from "@horizon/scenarios/plan.ts"
import { scenarioByName } from "@horizon/scenarios/registry.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { describe, expect, test } from "vitest"
import { type RunOnceResult, runOnce } from "../runner/run-once.ts"
import { LATENESS, makeLoopback } from "./loopback.ts"

const world = makeLoopback()

/** They mostly wait: all at once they take as long as the longest, about a minute. */
const TIMEOUT_MS = 240_000

/** Scenarios say within which time things must work again; a machine that stands still for longer says nothing about that. */
const LATE_MS_MAX = 50

/** Runs a scenario; one that fails while this machine was busy elsewhere is tried again, and only then. */
const runCalmly = async (scenario: Scenario, tries = 3): Promise<RunOnceResult> => {
  const result = await runOnce({ world, scenario, seed: 1 })
  const lateMs = (result.outcome?.trace.events ?? []).reduce(
    (worst, { kind, fields }) =>
      kind === "sample" && fields.name === LATENESS ? Math.max(worst, fields.value) : worst,
    0
  )
  return result.run.verdict === "pass" || lateMs < LATE_MS_MAX || tries === 1 ? result : runCalmly(scenario, tries - 1)
}

describe("in real time, on real sockets and files", () => {
  test.concurrent.each(["lan-party", "broker-outage", "nat-rebinding", "gateway-crash-restart"])(
    "%s passes",
    { timeout: TIMEOUT_MS },
    async (name) => {
      const { run } = await runCalmly(scenarioByName(name)!)
      expect(run.failures).toEqual([])
      expect(run.verdict).toBe("pass")
    }
  )

  test.concurrent("a planted lease bug is found, as in the simulated world", { timeout: TIMEOUT_MS }, async () => {
    const { run } = await runCalmly(scenarioByName("canary-lease")!)
    expect(run.failures).toEqual([])
    expect(run.verdict).toBe("pass")
  })

  test.concurrent("nodes are upgraded, stores fail, consumers are slow, and all is well again", {
    timeout: TIMEOUT_MS
  }, async () => {
    const { run, outcome } = await runCalmly(BAD_MINUTE)
    expect(run.failures).toEqual([])
    const events = <K extends TraceKind>(kind: K, node: string) =>
      (outcome?.trace.events ?? []).filter(
        (event): event is Extract<TraceEvent, { kind: K }> => event.kind === kind && event.node === node
      )
    for (const node of ["gateway", "broker"]) {
      expect(events("node.stopped", node).map(({ fields }) => fields.outcome)).toEqual(["clean"])
      expect(events("node.ready", node).map(({ fields }) => fields.incarnation)).toEqual([1, 2])
    }
    // A member that a stopping gateway says goodbye to does not wait for a time-out.
    const [stopped] = events("node.stopped", "gateway")
    const [left] = events("client.status", clientOf("ben")).filter(
      ({ atNs, fields }) => atNs > stopped.atNs - 1e9 && fields.state !== "connected"
    )
    expect(left.atNs - stopped.atNs).toBeLessThan(1e9)
    const statuses = events("broker.request", "broker").map(({ atNs, fields }) => ({ atNs, status: fields.status }))
    expect(statuses.some(({ atNs, status }) => status === 503 && atNs > 3e9 && atNs < 6.6e9)).toBe(true)
    expect(statuses.at(-1)?.status).toBe(200)
    const samples = events("sample", "world").map(({ fields }) => fields.name)
    expect(samples).toContain("throughput ada/up")
  })
})

const members = ["ada", "ben"]
const lab = buildLab({
  gateways: ["gateway"],
  games: [],
  homes: [{ name: "home", nat: "port-restricted", members }]
})

const BAD_MINUTE: Scenario = {
  name: "bad-minute",
  summary: "What the four scenarios do not ask of the world.",
  tags: [],
  durationMs: 14_000,
  livenessMs: 20_000,
  ...lab,
  actors: lanActors({ members, ratePerSecond: 10 }),
  faults: [
    { kind: "store", node: "broker", mode: "busy", ppm: 1_000_000, delayMs: 0, atMs: 3_000, forMs: 3_500 },
    { kind: "slow-consumer", node: clientOf("ada"), everyMs: 50, atMs: 3_000, forMs: 2_000 },
    { kind: "clock-drift", node: "gateway", driftPpm: 200, atMs: 3_000, forMs: 5_000 },
    { kind: "upgrade", nodes: ["gateway", "broker"], everyMs: 1_000, atMs: 7_000 }
  ],
  checks: [{ check: "no-node-failed", params: {} }, pings({ fromMs: 12_500, toMs: 13_500 })],
  goals: BACK_TO_NORMAL
}
