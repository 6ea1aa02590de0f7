import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type { NodeSpec, Scenario } from "@horizon/scenarios/scenario.ts"
import { afterEach, expect, test } from "vitest"
import type { LabNetwork } from "../lab-network.ts"
import { ProcessLab } from "./process-lab.ts"

const folder = mkdtempSync(join(tmpdir(), "horizon-process-lab-"))
const open: Array<ProcessLab> = []
afterEach(async () => {
  for (const lab of open.splice(0)) await lab.close(true)
  rmSync(folder, { recursive: true, force: true })
})

/** Every host is this one, by an address of its loopback; nothing about its network can be changed. */
const here: LabNetwork = {
  id: "hz-here",
  driver: "plain",
  enter: () => [],
  addressOf: () => "127.0.0.1",
  deviceOf: () => "lo",
  changeLink: () => Promise.reject(new Error("the link is fixed")),
  linkDown: () => Promise.reject(new Error("unused")),
  partition: () => Promise.reject(new Error("the network is whole")),
  natWipe: () => Promise.reject(new Error("unused")),
  natRebind: () => Promise.reject(new Error("unused")),
  changeAddress: () => Promise.reject(new Error("unused")),
  counts: () => Promise.resolve(new Map()),
  notes: [],
  close: () => Promise.resolve()
}

/** Brokers only: they need neither rights nor each other. */
const labOf = (...nodes: ReadonlyArray<Pick<NodeSpec, "name" | "config" | "startMs">>): ProcessLab => {
  const scenario: Scenario = {
    name: "process-lab-test",
    summary: "",
    tags: [],
    durationMs: 60_000,
    livenessMs: 0,
    topology: { subnets: { net: { cidr: "192.0.2.0/24" } }, hosts: { host: { subnet: "net" } }, routers: {} },
    nodes: nodes.map((node) => ({ kind: "broker", host: "host", ...node })),
    actors: [],
    faults: [],
    checks: [],
    goals: []
  }
  const lab = new ProcessLab({ scenario, network: here, folder })
  open.push(lab)
  return lab
}

const config = { listenAddress: "{host}", port: 0 }
const lives = (lab: ProcessLab, node: string): ReadonlyArray<string> =>
  lab.trace.events
    .filter((event: TraceEvent) => event.node === node && event.kind.startsWith("node."))
    .map(({ fields, kind }) => [kind.slice(5), ...Object.values(fields).slice(0, 2)].join(" "))

const eventually = (lab: ProcessLab, node: string, words: ReadonlyArray<string>) =>
  expect.poll(() => lives(lab, node), { timeout: 15_000, interval: 20 }).toEqual(words)

test("the world's time starts when what stands from the beginning serves; later nodes start when they are due", async () => {
  const lab = labOf({ name: "first", config }, { name: "later", config, startMs: 300 })
  expect(lab.nowNs()).toBe(0)
  await lab.boot()
  expect(lab.nowNs()).toBeLessThan(1e9)
  expect(lives(lab, "first")).toEqual(["started 1", "ready 1"])
  expect(lab.trace.events.map(({ atNs }) => atNs)).toEqual([0, 0])
  await eventually(lab, "later", ["started 1", "ready 1"])
  const started = lab.trace.events.find((event) => event.node === "later")
  expect(started?.atNs).toBeGreaterThanOrEqual(299e6)
})

test("faults act on processes as they do on simulated nodes, and healing starts what is down", async () => {
  const lab = labOf({ name: "node", config })
  await lab.boot()
  const { handles } = lab
  const resume = handles.pause("node")
  handles.crash("node")
  handles.crash("node")
  handles.start("node")
  await eventually(lab, "node", ["started 1", "ready 1", "paused 1", "stopped 1 crashed", "started 2", "ready 2"])
  // The fault that made the first life stand still ends in the second, which does not.
  resume()
  handles.stop("node", () => handles.start("node"))
  await expect
    .poll(() => lives(lab, "node").slice(6), { timeout: 15_000 })
    .toEqual(["stopped 2 clean", "started 3", "ready 3"])
  expect(lab.failures).toEqual([])
})

test("a node that ends by itself has failed, with its own words as the cause", async () => {
  const lab = labOf({ name: "node", config: { ...config, nonsense: 1 } })
  await lab.boot()
  const stopped = lab.trace.events.find((event) => event.kind === "node.stopped")
  expect(stopped?.fields).toMatchObject({ incarnation: 1, outcome: "failed" })
  expect(JSON.stringify(stopped?.fields)).toMatch(/exit code 64: horizon broker: nonsense is no setting/)
})

test("a fault that the host refuses, or that this world cannot strike, is a failure of the lab", async () => {
  const lab = labOf({ name: "node", config })
  await lab.boot()
  const undo = lab.handles.changeLink("host", "both", { lossPpm: 1 })
  lab.handles.partition(["host"], ["host"], "both")
  undo()
  lab.handles.stepClock("node", 1_000)
  lab.handles.storeFault("node", "busy", 1, 0)()
  await lab.settled()
  expect(lab.failures.map(({ sentence, verdict }) => `${verdict}: ${sentence}`).sort()).toEqual([
    "harness: a change of the link of host failed: the link is fixed",
    "harness: a partition between host and host failed: the network is whole",
    "harness: this world cannot disturb the store of node",
    "harness: this world cannot step the clock of node"
  ])
})

test("what a lab says while it is taken down is not part of the run", async () => {
  const lab = labOf({ name: "node", config })
  await lab.boot()
  await lab.close()
  expect(lives(lab, "node")).toEqual(["started 1", "ready 1"])
  expect(lab.failures).toEqual([])
})
