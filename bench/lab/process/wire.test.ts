import { judge } from "@horizon/scenarios/judge.ts"
import { scenarioByName } from "@horizon/scenarios/registry.ts"
import { expect, test } from "vitest"
import type { LabNetwork } from "../lab-network.ts"
import { Wire } from "./wire.ts"

/** Hosts on which no program can be started, as where tcpdump is missing. */
const without: LabNetwork = {
  id: "hz-test",
  driver: "plain",
  enter: () => ["env", "PATH=/nonexistent"],
  addressOf: () => "192.0.2.1",
  deviceOf: () => "eth0",
  changeLink: () => Promise.reject(new Error("unused")),
  linkDown: () => Promise.reject(new Error("unused")),
  partition: () => Promise.reject(new Error("unused")),
  natWipe: () => Promise.reject(new Error("unused")),
  natRebind: () => Promise.reject(new Error("unused")),
  changeAddress: () => Promise.reject(new Error("unused")),
  counts: () => Promise.resolve(new Map()),
  notes: [],
  close: () => Promise.resolve()
}

test("what could not be watched is said and is no pass: the run's verdict is unknown", async () => {
  const wire = new Wire(without, ["ada", "gateway"], () => {})
  await wire.listening()
  const watched = wire.watched()
  expect(watched.map(({ broken, checked, id }) => [id, checked, broken])).toEqual([
    ["nonce-reuse", 0, 0],
    ["plaintext-leak", 0, 0]
  ])
  for (const { sentence } of watched) expect(sentence).toMatch(/NOT WATCHED on 2 of 2 interfaces: .*tcpdump/)
  await wire.stop()

  const base = scenarioByName("steady-state")!
  const scenario = { ...base, checks: [{ check: "watched-invariants", params: {} }], goals: [] }
  const [check] = judge({ scenario, events: [], watched, virtualTime: false, nowNs: 1e9, livenessNs: 1e9 })
  expect(check.failures).toMatchObject([{ verdict: "unknown" }])
  expect(check.failures[0].sentence).toMatch(/NOT WATCHED/)
})
