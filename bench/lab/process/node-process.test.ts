import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ControlInfo, TraceEventLine } from "@horizon/real/trace.ts"
import { monotonicNs } from "@horizon/real/trace.ts"
import type { NodeSpec } from "@horizon/scenarios/scenario.ts"
import { afterEach, expect, test } from "vitest"
import { type NodeEnd, NodeProcess } from "./node-process.ts"

const folder = mkdtempSync(join(tmpdir(), "horizon-node-process-"))
const started: Array<NodeProcess> = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((node) => node.kill()))
  rmSync(folder, { recursive: true, force: true })
})

/** A node on this host, at addresses of its loopback. */
const launch = (spec: Pick<NodeSpec, "kind" | "config">) => {
  const events: Array<TraceEventLine> = []
  const ends: Array<NodeEnd> = []
  const readies: Array<{ monotonicNs: number; info: ControlInfo }> = []
  const broken: Array<string> = []
  const node = new NodeProcess({
    spec: { name: spec.kind, host: "here", ...spec },
    enter: [],
    addressOf: () => "127.0.0.1",
    directory: join(folder, spec.kind),
    onEvent: (line) => events.push(line),
    onReady: (atNs, info) => readies.push({ monotonicNs: atNs, info }),
    onEnd: (end) => ends.push(end),
    onBroken: (sentence) => broken.push(sentence)
  })
  started.push(node)
  return { node, events, ends, readies, broken }
}

const until = async (what: string, holds: () => boolean, ms = 15_000): Promise<void> => {
  const endMs = performance.now() + ms
  while (!holds()) {
    if (performance.now() > endMs) expect.unreachable(`${what} within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const BROKER = { kind: "broker", config: { listenAddress: "{here}", port: 0 } } as const

test("the shipped broker serves, stands still, dies by kill -9, comes back on its data, and stops when it is asked", async () => {
  const { broken, ends, node, readies } = launch(BROKER)
  const beforeNs = monotonicNs()
  node.start()
  expect(node.state).toBe("started")
  await until("ready", () => node.state === "ready")
  expect(readies[0].monotonicNs).toBeGreaterThan(beforeNs)
  expect(readies[0].monotonicNs).toBeLessThan(monotonicNs())
  const { address, brokerKey } = readies[0].info
  expect(await reached(String(address))).toBe(true)

  expect(node.pause()).toBe(true)
  expect(await reached(String(address), 500)).toBe(false)
  expect([node.resume(), node.resume()]).toEqual([true, false])
  expect(await reached(String(address))).toBe(true)

  await node.kill()
  expect(node.state).toBe("down")
  expect(ends).toMatchObject([{ incarnation: 1, asked: false, served: true, signal: "SIGKILL" }])
  expect(await reached(String(address))).toBe(false)

  node.start()
  await until("ready again", () => node.state === "ready")
  expect(node.incarnation).toBe(2)
  expect(readies[1].info["brokerKey"]).toBe(brokerKey)
  await node.stop()
  expect(ends[1]).toMatchObject({
    incarnation: 2,
    asked: true,
    served: true,
    stoodStill: false,
    code: 0,
    forced: false
  })
  expect(broken).toEqual([])
})

test("what a node says to its world is on its trace, and its keys are for this user only", async () => {
  const { events, node } = launch({
    kind: "gateway",
    config: {
      brokerUrl: "http://127.0.0.1:9",
      registrationKey: `hzr_${"R".repeat(43)}`,
      listenAddress: "{here}",
      port: 0
    }
  })
  node.start()
  await until("an attempt at the broker", () => events.some((event) => event.kind === "broker-link.attempt"))
  expect(events[0].fields).toMatchObject({ outcome: "failed" })
  const path = join(folder, "gateway", "config.json")
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ listenAddress: "127.0.0.1" })
})

test("a node that cannot start says why", async () => {
  const { ends, node } = launch({ kind: "broker", config: { listenAddress: "{here}", port: 0, nonsense: 1 } })
  node.start()
  await until("its end", () => ends.length === 1)
  expect(ends[0]).toMatchObject({ asked: false, served: false, code: 64 })
  expect(ends[0].lastWords).toMatch(/nonsense is no setting/)
  expect(node.state).toBe("down")
})

test("a node that stands still is killed when it does not stop, and that is told apart", async () => {
  const { ends, node } = launch(BROKER)
  node.start()
  await until("ready", () => node.state === "ready")
  node.pause()
  await node.stop(200)
  expect(ends).toMatchObject([{ asked: true, stoodStill: true, forced: true, signal: "SIGKILL" }])
})

const reached = async (url: string, withinMs = 10_000): Promise<boolean> => {
  try {
    await fetch(`${url}/nothing`, { signal: AbortSignal.timeout(withinMs) })
    return true
  } catch {
    return false
  }
}
