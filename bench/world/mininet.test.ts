import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { buildLab, playerActors } from "@horizon/scenarios/plan.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import { expect, test } from "vitest"
import { named, namespacesMissing, tcpdumpMissing } from "../lab/here.fixture.ts"
import { mininetMissing } from "../lab/mininet/mininet-process.ts"
import { runOnce } from "../runner/run-once.ts"
import { makeMininet } from "./mininet.ts"

const missing = namespacesMissing || tcpdumpMissing || (mininetMissing() ?? "")

const scenario: Scenario = {
  name: "mininet-test",
  summary: "",
  tags: [],
  durationMs: 4_000,
  livenessMs: 15_000,
  ...buildLab({ gateways: [], games: ["arena"], homes: [], extraHosts: ["arcade"], plainLinks: true }),
  actors: playerActors("arcade", "arena", 3),
  faults: [{ kind: "crash", node: "arena", atMs: 2_000, downMs: 200 }],
  checks: [
    { check: "no-node-failed", params: {} },
    { check: "watched-invariants", params: {} }
  ],
  goals: [{ check: "players-play", params: {} }]
}

test.skipIf(missing !== "")(
  named("real nodes on Mininet's hosts go through a crash, are judged on the wire, and leave nothing behind", missing),
  async () => {
    const { document, run } = await runOnce({ world: makeMininet(), scenario, seed: 1 })
    expect(run.failures).toEqual([])
    expect(run.verdict).toBe("pass")
    expect(document?.fidelity).toBe("measured in Mininet (driver plain)")
    const mark = `hz${process.pid}-`
    for (const folder of ["/run/netns", "/run/horizon/labs", tmpdir()].filter((name) => existsSync(name)))
      expect(readdirSync(folder).filter((name) => name.includes(mark))).toEqual([])
  }
)
