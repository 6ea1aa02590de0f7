/** The game in the simulated world: broker, game server and players, as they ship, on a simulated network. */

import { stubCrypto } from "@horizon/core/crypto/stub.ts"
import type { TraceEvent, TraceKind } from "@horizon/core/lab/trace.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import { buildLab, playerActors } from "@horizon/scenarios/plan.ts"
import type { ActorSpec } from "@horizon/scenarios/scenario.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { expect, test } from "vitest"
import { openMemoryEngine } from "./memory-engine.ts"
import { SimLab } from "./sim-lab.ts"

interface Options {
  readonly seed?: number
  readonly players: ReadonlyArray<ActorSpec>
  readonly game?: Readonly<Record<string, unknown>>
  /** Both ways between the players' host and the network. */
  readonly access?: Partial<LinkSpec>
  readonly plant?: ReadonlyArray<string>
}

const boot = (options: Options) => {
  const kernel = new Kernel({ seed: options.seed ?? 1 })
  const lab = buildLab({ gateways: [], games: ["arena"], homes: [], extraHosts: ["arcade"] })
  const arcade = { subnet: "internet", up: options.access ?? {}, down: options.access ?? {} }
  const world = new SimLab({
    kernel,
    crypto: stubCrypto,
    openEngine: openMemoryEngine,
    scenario: {
      name: "game-test",
      summary: "",
      tags: [],
      durationMs: 60_000,
      livenessMs: 0,
      topology: { ...lab.topology, hosts: { ...lab.topology.hosts, arcade } },
      nodes: lab.nodes.map((node) =>
        node.kind === "game" ? { ...node, config: { ...node.config, ...options.game } } : node
      ),
      actors: options.players,
      faults: [],
      checks: [],
      goals: [],
      plant: options.plant ?? []
    }
  })
  const events = <K extends TraceKind>(kind: K, node?: string) =>
    world.trace.events.filter(
      (event): event is Extract<TraceEvent, { kind: K }> =>
        event.kind === kind && (node === undefined || event.node === node)
    )
  /** The last value of a sample. */
  const sampled = (name: string): number =>
    events("sample").findLast((event) => event.fields.name === name)?.fields.value ?? 0
  /** Input to effect of all players from `fromS` on. */
  const latency = (fromS: number): Histogram => {
    const histogram = new Histogram()
    for (const { fields } of events("op.histogram"))
      if (fields.fromNs >= fromS * 1e9) expect(histogram.mergeSparse(fields)).toBe(true)
    return histogram
  }
  /** Seconds of simulated time from now. */
  const run = (seconds: number): void => {
    kernel.run(kernel.nowNs + seconds * 1e9)
    expect(world.actorFailures).toEqual([])
  }
  /** Players by name that were accused. */
  const accused = (): ReadonlyArray<string> => {
    const names = new Map(events("fact").map(({ fields }) => [String(fields.value), fields.name.split(":")[1]]))
    const subjects = new Map(events("game.player-joined").map(({ fields }) => [fields.player, fields.subject]))
    const players = events("game.speed-corrected").map(({ fields }) => fields.player)
    return [...new Set(players.map((player) => names.get(subjects.get(player) ?? "") ?? "?"))].sort()
  }
  return { kernel, world, events, sampled, latency, run, accused }
}

test("32 players play at 60 Hz: p99 from input to effect is the path and two ticks, every view agrees, nobody is accused", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 32), access: { delayUs: 10_000 } })
  lab.run(12)
  expect(lab.sampled("game.players")).toBe(32)
  expect(lab.events("game.player-joined")).toHaveLength(32)
  const latency = lab.latency(5)
  expect(latency.count).toBeGreaterThanOrEqual(32 * 60 * 6)
  // Two ways of 10 ms and twice 2 ms of the server's link, then at most two ticks until a snapshot leaves.
  expect(latency.min).toBeGreaterThanOrEqual(24e6)
  expect(latency.percentile(99)).toBeLessThanOrEqual(24e6 + 2 * (1e9 / 60) + 1e6)
  expect(lab.sampled("game.views-compared")).toBeGreaterThan(32 * 30 * 7)
  expect(lab.sampled("game.views-unequal")).toBe(0)
  expect(lab.sampled("game.tick-late-max")).toBe(0)
  expect(lab.accused()).toEqual([])
  const late = lab.events("op.histogram").filter(({ fields }) => fields.fromNs > 5e9)
  for (const { fields } of late) expect([fields.sent, fields.lost]).toEqual([60, 0])
})

test("on a path with 20 % loss and jitter the game goes on: nobody honest is accused, every view compared agrees", () => {
  const lab = boot({
    players: playerActors("arcade", "arena", 8),
    access: { delayUs: 20_000, jitterUs: 15_000, distribution: "uniform", lossPpm: 200_000 }
  })
  lab.run(20)
  expect(lab.sampled("game.players")).toBe(8)
  expect(lab.accused()).toEqual([])
  expect(lab.sampled("game.views-unequal")).toBe(0)
  expect(lab.sampled("game.views-compared")).toBeGreaterThan(8 * 10 * 15)
  const inputs = lab
    .events("op.histogram")
    .reduce((sum, { fields }) => ({ sent: sum.sent + fields.sent, lost: sum.lost + fields.lost }), { sent: 0, lost: 0 })
  expect(inputs.sent).toBeGreaterThan(8 * 60 * 8)
  expect(inputs.lost).toBeLessThan(inputs.sent / 100)
})

test("the same seed gives the same run, another seed another", () => {
  const digest = (seed: number): string => {
    const lab = boot({ seed, players: playerActors("arcade", "arena", 6), access: { delayUs: 5_000, lossPpm: 50_000 } })
    lab.run(5)
    return lab.kernel.digest.hex()
  }
  expect(digest(5)).toBe(digest(5))
  expect(digest(5)).not.toBe(digest(6))
})

const cheaters = [
  ...playerActors("arcade", "arena", 3),
  ...playerActors("arcade", "arena", 1, { cheat: "speed" }, 4),
  ...playerActors("arcade", "arena", 1, { cheat: "time" }, 5)
]

test("those who claim too much speed or too much time are accused, nobody else, and the server moves no one too fast", () => {
  const lab = boot({ players: cheaters })
  lab.run(25)
  expect(lab.accused()).toEqual(["player-4", "player-5"])
  expect(lab.events("invariant.broken")).toEqual([])
})

test("canary: a server that believes every speed is found by what its own snapshots say", () => {
  const lab = boot({ players: cheaters, plant: ["game.speed.unchecked"] })
  lab.run(25)
  expect(lab.accused()).toEqual([])
  const broken = new Set(lab.events("invariant.broken").map((event) => `${event.node} ${event.fields.id}`))
  expect([...broken].sort()).toEqual(["player-4 game.speed-bounded", "player-5 game.speed-bounded"])
})

test("one player more than the capacity is refused because the server is full, and the others play on", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 3), game: { playersMax: 2 } })
  lab.run(6)
  expect(lab.sampled("game.players")).toBe(2)
  const refused = [...lab.events("session.refused"), ...lab.events("session.closed")].filter(
    (event) => event.node === "player-3"
  )
  expect(refused.length).toBeGreaterThan(1)
  for (const event of refused) expect(event.fields.reason).toMatch(/no free session slot/)
})

test("after a crash of the game server all players are back within six seconds of its return, and lost inputs are counted", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 8) })
  lab.run(6)
  lab.world.handles.crash("arena")
  lab.run(2)
  lab.world.handles.start("arena")
  lab.run(6)
  expect(lab.sampled("game.players")).toBe(8)
  lab.run(3)
  const lastSecond = lab.events("op.histogram").slice(-8)
  for (const { fields } of lastSecond) expect([fields.sent, fields.lost]).toEqual([60, 0])
  const lost = lab.events("op.histogram").reduce((sum, { fields }) => sum + fields.lost, 0)
  expect(lost).toBeGreaterThan(8 * 60 * 2)
  const due = lab.events("op.histogram", "player-1").reduce((sum, { fields }) => sum + fields.sent, 0)
  expect(due).toBeGreaterThan(60 * 15 - 60)
})

test("a pause of the game server is told with what was skipped, and nobody is accused after it", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 4) })
  lab.run(5)
  const resume = lab.world.handles.pause("arena")
  lab.run(1.5)
  resume()
  lab.run(5)
  const late = lab.events("game.tick-late")
  expect(late).toHaveLength(1)
  expect(late[0].fields.skipped).toBeGreaterThan(80)
  expect(lab.accused()).toEqual([])
  expect(lab.sampled("game.views-unequal")).toBe(0)
  expect(lab.sampled("game.players")).toBe(4)
})

test("while the broker is away the game goes on, and a player with a ticket comes back", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 3) })
  lab.run(5)
  lab.world.handles.outage("broker", "down")
  lab.run(5)
  expect(lab.sampled("game.players")).toBe(3)
  lab.world.handles.crash("arena")
  lab.run(1)
  lab.world.handles.start("arena")
  lab.run(8)
  expect(lab.sampled("game.players")).toBe(3)
})

test("a clean stop says goodbye: players learn it at once and come back to the next life", () => {
  const lab = boot({ players: playerActors("arcade", "arena", 3) })
  lab.run(5)
  lab.world.handles.stop("arena", () => {})
  lab.run(1)
  expect(lab.events("node.stopped")).toHaveLength(1)
  expect(lab.events("game.player-joined")).toHaveLength(3)
  const closed = lab.events("session.closed").filter((event) => event.fields.role === "client")
  expect(new Set(closed.map((event) => event.node)).size).toBe(3)
  for (const event of closed) expect(event.fields.reason).toMatch(/stopping/)
  lab.world.handles.start("arena")
  lab.run(6)
  expect(lab.sampled("game.players")).toBe(3)
})

test("settings that cannot work together end the node with a sentence that says which", () => {
  const cause = (game: Readonly<Record<string, unknown>>): string => {
    const lab = boot({ players: [], game })
    lab.run(1)
    return lab.events("node.stopped").find((event) => event.node === "arena")?.fields.cause ?? ""
  }
  expect(cause({ radiusM: 130, hysteresisM: 15 })).toMatch(/radiusM and hysteresisM together are 145; they may be 131/)
  expect(cause({ worldHalfM: 20, spawnHalfM: 21 })).toMatch(/spawnHalfM is 21, but the world ends at worldHalfM, 20/)
  expect(cause({ advertiseAddress: "arena.example" })).toMatch(/advertiseAddress: "arena.example"/)
  expect(cause({ listenAddress: "203.0.113.9" })).toMatch(/203.0.113.9/)
})
