/**
 * What the game machine costs: the server's tick with its snapshots, and taking in the inputs between two ticks, for 32, 500 and 1,000
 * players, spread over the world and in a crowd. Sessions, cryptography and sockets are not in it.
 *
 *     node core/machine/game/world.bench.ts
 */

import { Histogram } from "../../measure/histogram.ts"
import { Input, writeInput } from "../../wire/game/input.ts"
import { writeJoin } from "../../wire/game/join.ts"
import { readSnapshot, Snapshot } from "../../wire/game/snapshot.ts"
import { PARTY_SERVER } from "./party.fixture.ts"
import { PlayerSight } from "./player-sight.ts"
import { GameServer } from "./server.ts"

const TICKS = 600
const WARM_UP = 240

interface Row {
  readonly players: number
  readonly where: string
  readonly "in sight": number
  readonly "tick p50 us": number
  readonly "tick p99 us": number
  readonly "inputs us/tick": number
  readonly "core %": number
  readonly "bytes/s out": number
  readonly "heap bytes/tick": number
}

const measure = (players: number, halfM: number): Row => {
  const nowNs = (): number => Number(process.hrtime.bigint())
  const inputs = Array.from({ length: players }, () => new Input())
  const sights = Array.from({ length: players }, () => new PlayerSight(players))
  const snapshot = new Snapshot()
  const bytes = new Uint8Array(64)
  let sentBytes = 0
  let seen = 0
  let snapshots = 0
  let playing = false
  let insideNs = 0
  const server = new GameServer({
    ...PARTY_SERVER,
    capacity: players,
    halfM,
    spawnHalfM: halfM,
    send: (session, message, at, length) => {
      if (!playing) return
      sentBytes += length
      // What the player's side costs is not the server's.
      const startedNs = nowNs()
      readSnapshot(snapshot, message, at, length)
      sights[session].take(0, session, snapshot)
      seen += snapshot.visible
      snapshots++
      insideNs += nowNs() - startedNs
    }
  })
  server.start(0)
  for (let session = 0; session < players; session++) {
    server.handleEstablished(0, session)
    server.handleMessage(0, session, bytes, 0, writeJoin(bytes, 0))
    inputs[session].count = 8
    inputs[session].direction.fill(session * 37)
    inputs[session].speed.fill(80)
  }
  const cost = new Histogram()
  let inputNs = 0
  let heapBefore = 0
  for (let tick = 0; tick < WARM_UP + TICKS; tick++) {
    if (tick === WARM_UP) {
      sentBytes = 0
      seen = 0
      snapshots = 0
      heapBefore = process.memoryUsage().heapUsed
    }
    const tickNs = server.pollTimeout()
    const inputStartNs = nowNs()
    for (let session = 0; session < players; session++) {
      const input = inputs[session]
      const sight = sights[session]
      input.sequence = 8 + tick
      input.ackOrdinal = sight.ordinal
      input.ackMask = sight.mask
      input.viewHash = sight.hash
      if ((tick + session) % 120 === 0) input.direction[0] += 90
      server.handleMessage(tickNs, session, bytes, 0, writeInput(input, bytes, 0))
    }
    playing = true
    insideNs = 0
    const startNs = nowNs()
    server.handleTimeout(tickNs)
    if (tick >= WARM_UP) {
      cost.record(nowNs() - startNs - insideNs)
      inputNs += startNs - inputStartNs
    }
  }
  if (server.viewsUnequal > 0) throw new Error(`${server.viewsUnequal} views were unequal`)
  const heapBytes = process.memoryUsage().heapUsed - heapBefore
  const us = (ns: number): number => Math.round(ns / 1000)
  return {
    players,
    where: `${2 * halfM} m square`,
    "in sight": Math.round(seen / snapshots),
    "tick p50 us": us(cost.percentile(50)),
    "tick p99 us": us(cost.percentile(99)),
    "inputs us/tick": us(inputNs / TICKS),
    "core %": Math.round(((cost.mean() + inputNs / TICKS) * 60) / 1e7),
    "bytes/s out": Math.round((sentBytes / TICKS) * 60),
    "heap bytes/tick": Math.round(heapBytes / TICKS)
  }
}

const rows: Array<Row> = []
for (const [players, halfM] of [
  [32, 50],
  [500, 500],
  [500, 80],
  [1000, 500],
  [1000, 1500]
] as const) {
  rows.push(measure(players, halfM))
}
console.table(rows)
