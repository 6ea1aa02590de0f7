import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import type { TraceEvent, TraceKind } from "@horizon/core/lab/trace.ts"
import { BACK_TO_NORMAL, buildLab, lanActors, playerActors } from "@horizon/scenarios/plan.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { expect, test } from "vitest"
import { named, namespacesMissing, tcpdumpMissing } from "../lab/here.fixture.ts"
import { runOnce } from "../runner/run-once.ts"
import { makeNetns } from "./netns.ts"

/** What this process's labs have left on the host. */
const leftovers = (): ReadonlyArray<string> => {
  const mark = `hz${process.pid}-`
  return ["/run/netns", "/run/horizon/labs", tmpdir()]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).filter((name) => name.includes(mark)))
}

const members = ["ada", "ben"]
const lab = buildLab({
  gateways: ["gateway"],
  games: ["arena"],
  homes: [{ name: "home", nat: "symmetric", members }],
  extraHosts: ["arcade"],
  plainLinks: true
})
const scenario: Scenario = {
  name: "netns-test",
  summary: "",
  tags: [],
  durationMs: 9_000,
  livenessMs: 10_000,
  ...lab,
  actors: [...playerActors("arcade", "arena", 3), ...lanActors({ members, ratePerSecond: 20, startMs: 2_000 })],
  faults: [
    { kind: "pause", node: "arena", atMs: 2_500, forMs: 500 },
    { kind: "outage", node: "broker", mode: "half", atMs: 3_500, forMs: 1_000 },
    { kind: "upgrade", nodes: ["broker"], atMs: 5_000, everyMs: 0 },
    { kind: "crash", node: "arena", atMs: 6_000, downMs: 500 },
    { kind: "nat-rebind", router: "router-home", atMs: 7_000 }
  ],
  checks: [
    { check: "no-node-failed", params: {} },
    { check: "watched-invariants", params: {} },
    { check: "all-pairs", params: { op: "tunnel-ping", hosts: members } },
    { check: "occurs", params: { kind: "session.roamed", atLeast: 2, because: "sessions roam" } }
  ],
  goals: [{ check: "players-play", params: {} }, ...BACK_TO_NORMAL]
}

const missing = namespacesMissing || tcpdumpMissing

test.skipIf(missing !== "")(
  named("real nodes in namespaces go through faults, are judged on the wire, and leave nothing behind", missing),
  async (context) => {
    const { document, outcome, run } = await runOnce({ world: makeNetns(), scenario, seed: 1 })
    // Without the native module there are no interfaces for members.
    if (run.verdict === "skipped") context.skip(run.failures[0].sentence)
    expect(run.failures).toEqual([])
    expect(run.verdict).toBe("pass")
    expect(document?.fidelity).toBe("measured in namespaces (driver plain)")
    const { events } = outcome!.trace
    const of = <K extends TraceKind>(kind: K, node: string) =>
      events.filter((event): event is Extract<TraceEvent, { kind: K }> => event.kind === kind && event.node === node)
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index))
    expect(events.every(({ atNs }, index) => index === 0 || atNs >= events[index - 1].atNs)).toBe(true)

    // Each fault struck when it should, give or take what a busy machine takes.
    const lateMs = (event: TraceEvent, atMs: number): number => event.atNs / 1e6 - atMs
    const [paused, resumed] = [of("node.paused", "arena")[0], of("node.resumed", "arena")[0]]
    const [crashed] = of("node.stopped", "arena")
    const [upgraded] = of("node.stopped", "broker")
    expect(crashed.fields).toMatchObject({ incarnation: 1, outcome: "crashed" })
    expect(upgraded.fields).toMatchObject({ incarnation: 1, outcome: "clean" })
    for (const [event, atMs, drainMs] of [
      [paused, 2_500, 0],
      [resumed, 3_000, 0],
      // A broker that stops waits for connections on which a request may come, and the half outage has left some.
      [upgraded, 5_000, 3_000],
      [crashed, 6_000, 0]
    ] as const) {
      expect(lateMs(event, atMs)).toBeGreaterThanOrEqual(-5)
      expect(lateMs(event, atMs)).toBeLessThan(drainMs + 1_500)
    }
    for (const node of ["arena", "broker"])
      expect(of("node.ready", node).map(({ fields }) => fields.incarnation)).toEqual([1, 2])
    // Nothing that was asked in the half outage was ever answered.
    const answered = of("broker.request", "broker").filter(({ atNs }) => atNs > 3.6e9 && atNs < 4.4e9)
    expect(answered).toEqual([])
    expect(of("session.established", "player-1").length + of("session.established", "arena").length).toBeGreaterThan(3)

    for (const { broken, checked, sentence } of outcome!.watched) {
      expect(checked).toBeGreaterThan(500)
      expect(broken).toBe(0)
      expect(sentence).not.toContain("(")
    }
    expect(leftovers()).toEqual([])
  }
)

test.skipIf(namespacesMissing !== "")(
  named("a run that is broken off is taken away at once", namespacesMissing),
  async () => {
    const abort = new AbortController()
    const running = makeNetns().run({
      scenario,
      seed: 1,
      signal: abort.signal,
      progress: (seconds) => {
        if (seconds > 0.5) abort.abort()
      }
    })
    abort.signal.addEventListener("abort", () => expect(leftovers()).not.toEqual([]))
    const outcome = await running
    expect(outcome.seconds).toBeLessThan(2)
    expect(leftovers()).toEqual([])
  }
)
