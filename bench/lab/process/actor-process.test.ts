import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monotonicNs, type TraceEventLine } from "@horizon/real/trace.ts"
import { lanActors } from "@horizon/scenarios/plan.ts"
import { afterEach, expect, test } from "vitest"
import { ActorProcess } from "./actor-process.ts"

const folder = mkdtempSync(join(tmpdir(), "horizon-actors-"))
const open: Array<ActorProcess> = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((actors) => actors.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const launch = (host: string) => {
  const events: Array<TraceEventLine> = []
  const failures: Array<string> = []
  const actors = new ActorProcess({
    host,
    enter: [],
    onEvent: (line) => events.push(line),
    onFailure: (sentence) => failures.push(sentence)
  })
  open.push(actors)
  return { actors, events, failures }
}

const until = async (what: string, holds: () => boolean, ms = 10_000): Promise<void> => {
  const endMs = performance.now() + ms
  while (!holds()) {
    if (performance.now() > endMs) expect.unreachable(`${what} within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test("members on two hosts ping each other at the tunnel addresses that they are told, in the world's time", async () => {
  const originNs = monotonicNs()
  const members = ["ada", "ben"]
  const hosts = members.map(launch)
  await Promise.all(hosts.map(({ actors }) => actors.ready))
  const outcomes = (host: number): ReadonlyArray<unknown> =>
    hosts[host].events.map(({ fields }) => ("outcome" in fields ? fields.outcome : ""))
  const tell = (host: string, address: string | null): void => {
    for (const { actors } of hosts) actors.say({ word: "tunnel", host, address })
  }
  const specs = lanActors({ members, ratePerSecond: 50, timeoutMs: 300 })
  hosts.forEach(({ actors }, index) => {
    actors.say({ word: "host", host: members[index], directory: folder, originNs })
    actors.say({ word: "start", actor: specs[index] })
  })
  await until("a ping without an address", () => outcomes(0).includes("no-address"))
  tell("ada", "127.88.0.1")
  tell("ben", "127.88.0.2")
  await until("answers both ways", () => outcomes(0).includes("ok") && outcomes(1).includes("ok"))
  const { fields, monotonicNs: atNs, node } = hosts[0].events.at(-1)!
  expect(node).toBe("lan-ada")
  if (!("endedNs" in fields)) return expect.unreachable("an operation")
  expect(Math.abs(atNs - originNs - fields.endedNs)).toBeLessThan(5e6)
  expect(fields.intendedNs).toBeLessThanOrEqual(fields.startedNs)

  // Ben's tunnel is gone, and nobody is told so.
  hosts[1].actors.say({ word: "tunnel", host: "ben", address: null })
  await until("pings that are lost", () => outcomes(0).includes("lost"))
  expect(hosts.flatMap(({ failures }) => failures)).toEqual([])
})

test("actors that share a host share a process, and one that fails is told by name", async () => {
  const { actors, events, failures } = launch("arcade")
  await actors.ready
  actors.say({ word: "host", host: "arcade", directory: folder, originNs: monotonicNs() })
  const spec = { host: "arcade", over: "network", startMs: 0 } as const
  actors.say({ word: "start", actor: { ...spec, name: "riddle", kind: "no-such-kind", params: {} } })
  const players = ["player-1", "player-2"]
  const params = { brokerUrl: "http://127.0.0.1:9", personalKey: `hzp_${"P".repeat(43)}`, server: "arena" }
  for (const name of players) actors.say({ word: "start", actor: { ...spec, name, kind: "player", params } })
  await until("both players' facts", () => players.every((name) => events.some((event) => event.node === name)))
  await until("the failure", () => failures.length > 0)
  expect(failures).toEqual(['actor riddle failed: there is no kind of actor "no-such-kind"'])
})

test("a process that ends by itself is a failure, one that is stopped is not", async () => {
  const lost = launch("ada")
  await lost.actors.ready
  lost.actors.say(JSON.parse('{"word":"start"}'))
  await until("the failure", () => lost.failures.length > 0)
  expect(lost.failures[0]).toMatch(/^the actors on ada have ended: /)
  const stopped = launch("ben")
  await stopped.actors.ready
  await stopped.actors.stop()
  expect(stopped.failures).toEqual([])
})
