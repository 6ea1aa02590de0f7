import fc from "fast-check"
import { expect, test } from "vitest"
import { MESSAGE } from "../../wire/game/message.ts"
import { readSnapshot, Snapshot } from "../../wire/game/snapshot.ts"
import { PARTY_SERVER, Party, type PartyOptions, wander } from "./party.fixture.ts"
import type { Intent, Player } from "./player.ts"
import { type GameEvent, GameServer } from "./server.ts"
import { FAULT_SPEED_UNCHECKED } from "./world.ts"

const SECOND = 1_000_000_000
const MS = 1_000_000

const opened = (change: Partial<PartyOptions> = {}): Party => {
  const party = new Party({
    players: 8,
    seed: 1,
    delayNs: 20 * MS,
    jitterNs: 10 * MS,
    lossPpm: 0,
    steer: wander,
    ...change
  })
  party.open()
  return party
}

const of = <K extends GameEvent["kind"]>(party: Party, kind: K): Array<Extract<GameEvent, { kind: K }>> =>
  party.events.filter((event): event is Extract<GameEvent, { kind: K }> => event.kind === kind)

const summary = (party: Party) => [
  party.server.ticks,
  party.server.snapshots,
  party.server.viewsChecked,
  [...party.server.world.xUm],
  [...party.server.world.yUm],
  party.players.map((player) => [
    player.sight.hash,
    player.inputsApplied,
    player.inputsLost,
    player.inputEffect.sparse()
  ])
]

test("on a perfect path every prediction is exact, no input is lost and every view is equal", () => {
  const party = opened({ jitterNs: 0, delayNs: 15 * MS })
  party.run(20 * SECOND)
  for (const player of party.players) {
    expect(player.inputsLost).toBe(0)
    expect(player.inputsApplied).toBeGreaterThan(19 * 60)
    expect(player.prediction?.reconciled).toBeGreaterThan(500)
    expect(player.prediction?.corrected).toBe(0)
    expect(player.sight.held.size).toBe(7)
  }
  expect(party.server.viewsChecked).toBeGreaterThan(8 * 500)
  expect(party.server.viewsUnequal).toBe(0)
  expect(party.server.drops.reduce((sum, count) => sum + count, 0)).toBe(0)
})

test("input to effect on a perfect path is the round trip plus at most a tick and a snapshot period", () => {
  const party = opened({ jitterNs: 0, delayNs: 15 * MS })
  party.run(10 * SECOND)
  for (const player of party.players) {
    expect(player.inputEffect.min).toBeGreaterThanOrEqual(30 * MS)
    expect(player.inputEffect.max).toBeLessThanOrEqual(30 * MS + 2 * (SECOND / 60) + 1)
    // The dwell that the server reports is whole microseconds, so the network's share is exact to one.
    expect(player.rttNs).toBeGreaterThanOrEqual(30 * MS)
    expect(player.rttNs).toBeLessThanOrEqual(30 * MS + 1000)
  }
})

test("latency counts from when an input was due, also for a player whose own process was late", () => {
  const party = opened({ players: 1, jitterNs: 0, delayNs: 15 * MS })
  party.run(5 * SECOND)
  const player = party.players[0]
  player.inputEffect.reset()
  const resume = player.pollTimeout.bind(player)
  const asleepUntilNs = party.nowNs + 50 * MS
  player.pollTimeout = () => Math.max(resume(), asleepUntilNs)
  party.run(10 * SECOND)
  expect(player.inputEffect.max).toBeGreaterThanOrEqual(30 * MS + 33 * MS)
  expect(player.inputsSkipped).toBe(0)
})

test("through jitter and 20 % loss both ways, honest players are never accused and every view compared is equal", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 0, max: 200_000 }),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 0, max: 200 }),
      (seed, lossPpm, jitterMs, delayMs) => {
        const steer = (player: Player, intent: Intent, random: () => number): void => {
          wander(player, intent, random)
          intent.speed = Math.max(intent.speed, 60)
        }
        const party = opened({ seed, lossPpm, jitterNs: jitterMs * MS, delayNs: delayMs * MS, players: 4, steer })
        party.run(12 * SECOND)
        expect(of(party, "speed-corrected")).toEqual([])
        expect(party.server.world.inputsUnpaid).toBe(0)
        expect(party.server.viewsChecked).toBeGreaterThan(0)
        expect(party.server.viewsUnequal).toBe(0)
      }
    ),
    { numRuns: 25 }
  )
})

test("redundant inputs make 20 % loss harmless: fewer than one input in a thousand has no effect", () => {
  const party = opened({ lossPpm: 200_000, players: 16 })
  party.run(30 * SECOND)
  const applied = party.players.reduce((sum, player) => sum + player.inputsApplied, 0)
  expect(applied).toBeGreaterThan(16 * 28 * 60)
  // A fate is unknown when 32 inputs pass without a snapshot; what the server itself says is the tighter bound.
  const newest = [...party.server.world.players.dense.subarray(0, 16)].reduce(
    (sum, player) => sum + party.server.world.processed[player],
    0
  )
  expect(newest - party.server.world.inputsApplied).toBeLessThan(newest / 1000)
})

test("a stall of the path longer than the purse costs an honest player distance, but no accusation", () => {
  let stalling = false
  const party = opened({
    players: 1,
    redundancy: 16,
    jitterNs: 0,
    steer: (_, intent) => {
      intent.speed = 100
    },
    pass: (_, from) => from === "server" || !stalling
  })
  party.run(5 * SECOND)
  const player = party.players[0]
  stalling = true
  const before = party.server.world.inputsApplied
  party.run(7 * SECOND)
  expect(party.server.world.inputsApplied - before).toBeLessThan(5)
  stalling = false
  // What was held up arrives at once: two seconds of inputs in their own datagrams.
  const sequence = party.server.world.processed[0]
  for (let i = 1; i <= 120; i++) party.server.world.putInput(0, sequence + i, 0, 100, party.nowNs)
  party.run(7.1 * SECOND)
  expect(party.server.world.inputsUnpaid).toBeGreaterThan(60)
  party.run(12 * SECOND)
  expect(of(party, "speed-corrected")).toEqual([])
  expect(player.prediction?.corrected).toBeGreaterThan(0)
})

const straight = (speed: number) => (_: Player, intent: Intent) => {
  intent.direction = 0
  intent.speed = speed
}

/** Where the players are when all JOINs have arrived and no WELCOME has been answered. */
const spawnsUm = (party: Party): ReadonlyArray<number> => {
  party.run(30 * MS)
  return [...party.server.world.xUm]
}

const travelledM = (party: Party, player: number, spawnUm: number): number =>
  (party.server.world.xUm[player] - spawnUm) / 1_000_000

test("a player that claims double speed moves at the greatest speed and is accused each second", () => {
  const party = opened({ players: 1, jitterNs: 0, steer: straight(200) })
  const spawn = spawnsUm(party)[0]
  party.run(20 * SECOND)
  expect(travelledM(party, 0, spawn)).toBeLessThanOrEqual(20 * 6)
  expect(travelledM(party, 0, spawn)).toBeGreaterThan(19 * 6)
  const accusations = of(party, "speed-corrected")
  expect(accusations.length).toBeGreaterThanOrEqual(19)
  expect(accusations.length).toBeLessThanOrEqual(21)
  const overMm = accusations.reduce((sum, event) => sum + event.overMm, 0)
  expect(overMm).toBeGreaterThan(18 * 6000)
  expect(overMm).toBeLessThan(21 * 6000)
})

test("a player that lives twice as fast gains at most the purse and one percent, and is accused", () => {
  const party = opened({ players: 2, jitterNs: 0, steer: straight(100), haste: (index) => index + 1 })
  const spawn = spawnsUm(party)
  party.run(30 * SECOND)
  expect(travelledM(party, 0, spawn[0])).toBeLessThanOrEqual(30 * 6)
  expect(travelledM(party, 1, spawn[1])).toBeGreaterThan(29 * 6)
  expect(travelledM(party, 1, spawn[1])).toBeLessThanOrEqual(30 * 6 * 1.01 + 0.5 * 6 + 0.1)
  const accused = new Set(of(party, "speed-corrected").map((event) => event.player))
  expect([...accused]).toEqual([1])
})

test("with the fault planted the server believes any speed and accuses nobody", () => {
  const faultPoint = (name: string) => name === FAULT_SPEED_UNCHECKED
  const party = opened({ players: 1, jitterNs: 0, steer: straight(200), server: { faultPoint } })
  const spawn = spawnsUm(party)[0]
  party.run(10 * SECOND)
  expect(travelledM(party, 0, spawn)).toBeGreaterThan(9 * 12)
  expect(of(party, "speed-corrected")).toEqual([])
})

test("no player leaves the world", () => {
  const party = opened({ players: 2, steer: straight(100), server: { halfM: 30, spawnHalfM: 5 } })
  party.run(20 * SECOND)
  for (const x of party.server.world.xUm.subarray(0, 2)) expect(x).toBe(30_000_000)
  expect(party.players.map((player) => player.prediction?.corrected)).toEqual([0, 0])
})

test("thirty-two players over a lossy path give the same world, views and latencies for the same seed", () => {
  const run = (seed: number) => {
    const party = opened({ seed, players: 32, lossPpm: 50_000, jitterNs: 30 * MS })
    party.run(8 * SECOND)
    return summary(party)
  }
  const first = run(42)
  expect(run(42)).toEqual(first)
  expect(run(43)).not.toEqual(first)
})

test("deadlines are exact over minutes: the ticks of three minutes are there, none late", () => {
  const party = opened({ players: 1, jitterNs: 0 })
  party.run(180 * SECOND)
  expect(party.server.ticks).toBe(180 * 60 + 1)
  expect(party.server.pollTimeout()).toBe(Math.floor((10_801 * SECOND) / 60))
  expect(party.server.lateness.max).toBe(0)
  expect(of(party, "tick-late")).toEqual([])
})

test("a server that was not started has no tick, and starts once", () => {
  const server = new GameServer({ ...PARTY_SERVER, send: () => {} })
  expect(server.pollTimeout()).toBe(Number.POSITIVE_INFINITY)
  server.handleTimeout(5 * SECOND)
  expect(server.ticks).toBe(0)
  server.start(5 * SECOND)
  server.handleTimeout(5 * SECOND)
  expect(server.ticks).toBe(1)
  expect(() => server.start(6 * SECOND)).toThrow("starts once")
})

test("after a pause the server runs four ticks, says how many it skipped, and is on time again; no player is accused", () => {
  const party = opened({ players: 4, jitterNs: 0, steer: straight(50) })
  party.run(10 * SECOND)
  party.pauseServer(2 * SECOND)
  party.run(20 * SECOND)
  const late = of(party, "tick-late")
  expect(late).toHaveLength(1)
  expect(late[0].skipped).toBe(116)
  expect(late[0].lateNs).toBeGreaterThan(1.98 * SECOND)
  expect(party.server.ticks + party.server.ticksSkipped).toBe(20 * 60 + 1)
  expect(party.server.lateness.percentile(99)).toBe(0)
  expect(of(party, "speed-corrected")).toEqual([])
  expect(party.server.viewsUnequal).toBe(0)
  for (const player of party.players) expect(player.inputsDue).toBeGreaterThan(19.8 * 60)
})

test("a player in a crowd is told of everybody in sight within the bound, the nearest in every snapshot", () => {
  const capacity = 180
  const lastTold = new Map<number, number>()
  const gaps = new Map<number, number>()
  const snapshot = new Snapshot()
  let viewerSnapshots = 0
  const party = opened({
    players: capacity,
    delayNs: MS,
    jitterNs: 0,
    server: { capacity, spawnHalfM: 40, visibleMax: 180 },
    steer: (_, intent) => {
      intent.speed = 0
    },
    pass: (_, from, index, bytes) => {
      if (from !== "server" || index !== 0 || bytes[0] !== MESSAGE.snapshot) return true
      expect(bytes.length).toBeLessThanOrEqual(1170)
      expect(readSnapshot(snapshot, bytes, 0, bytes.length)).toBe(0)
      viewerSnapshots++
      for (let i = 0; i < snapshot.count; i++) {
        const id = snapshot.id[i]
        const gap = viewerSnapshots - (lastTold.get(id) ?? viewerSnapshots)
        gaps.set(id, Math.max(gaps.get(id) ?? 0, gap))
        lastTold.set(id, viewerSnapshots)
      }
      return true
    }
  })
  party.run(party.nowNs + SECOND)
  const { world } = party.server
  expect(snapshot.visible).toBe(capacity - 1)
  expect(lastTold.size).toBe(capacity - 1)
  const bound = Math.ceil((capacity - 1) / 36) + 1
  for (const [id, gap] of gaps) expect([id, gap <= bound]).toEqual([id, true])
  const nearest = [...gaps.keys()]
    .map((id) => ({ id, d: Math.hypot(world.xUm[id] - world.xUm[0], world.yUm[id] - world.yUm[0]) }))
    .sort((a, b) => a.d - b.d)
    .slice(0, 100)
  for (const { id } of nearest) expect([id, viewerSnapshots - (lastTold.get(id) ?? 0)]).toEqual([id, 0])
  expect(party.server.viewsUnequal).toBe(0)
  expect(party.players[0].sight.held.size).toBe(capacity - 1)
})

test("players far apart enter and leave each other's sight, and no ghost stays through 20 % loss", () => {
  const party = opened({
    players: 12,
    lossPpm: 200_000,
    server: { halfM: 80, spawnHalfM: 80, radiusM: 30, hysteresisM: 6 },
    steer: (player, intent, random) => {
      wander(player, intent, random)
      if (player.sight.tick < 1800) intent.speed = 100
      else intent.speed = 0
    }
  })
  party.run(40 * SECOND)
  const { world, viewsUnequal } = party.server
  expect(viewsUnequal).toBe(0)
  const joined = of(party, "joined")
  for (const { session, player } of joined) {
    const { held } = party.players[session].sight
    const near = (limitM: number) =>
      joined.filter(
        (other) =>
          other.player !== player &&
          Math.hypot(world.xUm[other.player] - world.xUm[player], world.yUm[other.player] - world.yUm[player]) <
            limitM * 1e6
      )
    for (const other of near(29.9)) expect(held.has(other.player)).toBe(true)
    expect(held.size).toBeLessThanOrEqual(near(36.1).length)
  }
})

test("when acknowledgements stay away for long the view starts anew, and is equal again", () => {
  let silent = false
  const party = opened({
    players: 6,
    jitterNs: 0,
    pass: (_, from, index) => from === "server" || index !== 0 || !silent
  })
  party.run(5 * SECOND)
  silent = true
  party.run(9 * SECOND)
  silent = false
  party.run(15 * SECOND)
  expect(party.server.viewsRestarted).toBe(1)
  expect(party.server.viewsUnequal).toBe(0)
  expect(party.players[0].sight.held.size).toBe(5)
  expect(party.players[0].inputsLost).toBeGreaterThan(200)
})

test("a player whose view is wrong is found out", () => {
  const party = opened({ players: 3, jitterNs: 0 })
  party.run(3 * SECOND)
  party.players[1].sight.hash ^= 1
  const take = party.players[1].sight.take.bind(party.players[1].sight)
  party.players[1].sight.take = (nowNs, player, snapshot) => {
    const taken = take(nowNs, player, snapshot)
    party.players[1].sight.hash ^= 1
    return taken
  }
  party.run(6 * SECOND)
  expect(party.server.viewsUnequal).toBeGreaterThan(50)
  const complaints = of(party, "view-unequal")
  expect(new Set(complaints.map((event) => event.player)).size).toBe(1)
  expect(complaints.length).toBeLessThanOrEqual(4)
})

test("one more than the capacity is turned away, gets in when somebody leaves, and the id rested", () => {
  const party = opened({ players: 4, jitterNs: 0, server: { capacity: 3 } })
  party.run(2 * SECOND)
  expect(of(party, "joined")).toHaveLength(3)
  expect(new Set(of(party, "turned-away").map((event) => `${event.session} ${event.why}`))).toEqual(new Set(["3 full"]))
  party.server.handleClosed(1, "normal")
  party.server.handleClosed(1, "normal")
  party.players[1].handleClosed()
  party.run(4 * SECOND)
  expect(of(party, "left")).toHaveLength(1)
  expect(of(party, "joined").map((event) => event.session)).toEqual([0, 1, 2, 3])
  expect(party.players.map((player) => player.phase)).toEqual(["playing", "away", "playing", "playing"])
  expect(party.players[0].sight.held.size).toBe(2)
  expect(party.server.viewsUnequal).toBe(0)
})

test("a session that never joins is turned away after its time", () => {
  const party = opened({ players: 1 })
  party.server.handleEstablished(party.nowNs, 77)
  party.run(party.nowNs + 4.9 * SECOND)
  expect(of(party, "turned-away")).toEqual([])
  party.run(party.nowNs + 0.2 * SECOND)
  expect(of(party, "turned-away")).toEqual([{ kind: "turned-away", session: 77, why: "silent" }])
})

test("a player that reconnects counts what was due meanwhile as lost, and plays on", () => {
  const party = opened({ players: 2, jitterNs: 0 })
  party.run(5 * SECOND)
  const player = party.players[1]
  party.server.handleClosed(1, "normal")
  player.handleClosed()
  const [dueBefore, lostBefore] = [player.inputsDue, player.inputsLost]
  party.run(8 * SECOND)
  expect(player.inputsDue - dueBefore).toBe(180)
  expect(player.inputsLost - lostBefore).toBe(180)
  party.server.handleEstablished(party.nowNs, 1)
  player.handleEstablished(party.nowNs)
  party.run(10 * SECOND)
  expect(player.phase).toBe("playing")
  expect(player.inputsLost - lostBefore).toBeLessThan(190)
  expect(player.sight.held.size).toBe(1)
  expect(party.server.viewsUnequal).toBe(0)
})

test("others are shown between the last two places known of them, a tenth of a second behind", () => {
  const party = opened({ players: 2, jitterNs: 0, steer: straight(100) })
  party.run(5 * SECOND)
  const [viewer] = party.players
  const { tickRateHz } = viewer.welcome
  const other = viewer.sight.held.dense[0]
  let previous = viewer.sight.shownX(other, party.nowNs, tickRateHz)
  for (let frame = 0; frame < 120; frame++) {
    party.run(party.nowNs + 8 * MS)
    const shown = viewer.sight.shownX(other, party.nowNs, tickRateHz)
    expect(shown).toBeGreaterThanOrEqual(previous)
    expect(Math.abs(shown - party.server.world.xUm[other])).toBeLessThan(0.25 * 6_000_000)
    previous = shown
  }
  expect(viewer.sight.shownY(other, party.nowNs, tickRateHz)).toBe(viewer.sight.gridY[other] * 8000)
})

test("events that nobody fetches are bounded and counted, and the server goes on", () => {
  const server = new GameServer({ ...PARTY_SERVER, send: () => {} })
  for (let session = 0; session < 5000; session++) {
    const bytes = new Uint8Array([16, 1])
    expect(server.handleMessage(0, session, bytes, 0, 2)).toBe(session < PARTY_SERVER.capacity ? 0 : 8)
  }
  expect(server.eventsDropped).toBe(5000 - 4096)
})

test("no bytes whatever make the server or a player throw, and none of them move anybody", () => {
  const party = opened({ players: 2, steer: straight(0) })
  party.run(2 * SECOND)
  // Of the two who play: a JOIN that happens to be well formed rightly brings a third.
  const places = (): ReadonlyArray<number> => [
    ...party.server.world.xUm.slice(0, 2),
    ...party.server.world.yUm.slice(0, 2)
  ]
  const before = places()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 14, max: 21 }), (bytes, type) => {
      if (bytes.length > 1) bytes[0] = type
      // An INPUT that happens to be well formed would rightly move the player.
      if (bytes[0] !== MESSAGE.input)
        expect(party.server.handleMessage(party.nowNs, 0, bytes, 0, bytes.length)).not.toBe(0)
      party.server.handleMessage(party.nowNs, 99, bytes, 0, bytes.length)
      party.players[0].handleMessage(party.nowNs, bytes, 0, bytes.length)
    }),
    { numRuns: 500 }
  )
  expect(places()).toEqual(before)
})

test("a world too small, too large or with radii that do not fit is a bug of the caller", () => {
  for (const server of [{ capacity: 0 }, { capacity: 65_536 }, { radiusM: 130 }]) {
    expect(() => opened({ players: 0, server: { ...PARTY_SERVER, ...server } })).toThrow()
  }
})
