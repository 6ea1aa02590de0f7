import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import type { TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import { CHANNEL, CLOSE, type ServerEndpoint, type Subject } from "@horizon/core/machine/session/session.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { UdpSocket } from "@horizon/core/port/udp.ts"
import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { writeJoin } from "@horizon/core/wire/game/join.ts"
import { GAME_DROP } from "@horizon/core/wire/game/message.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import { expect, test } from "vitest"
import { Arena } from "./arena.ts"
import { gameSettings } from "./settings.ts"

const subject = (device: number, change: Partial<Subject> = {}): Subject => ({
  publicKey: new Uint8Array(32).fill(device),
  deviceId: device.toString(16).padStart(32, "0"),
  user: "ann",
  tenant: "red",
  rights: RIGHT.game,
  ticketExpiresMs: 1_000,
  ...change
})

/** An arena for two players with a socket, clock and endpoint that only take notes. */
const make = () => {
  let nowNs = 5_000_000_000
  const socket: UdpSocket = {
    local: { address: "127.0.0.1", port: 1 },
    rx: new DatagramBatch(1),
    tx: new DatagramBatch(1),
    onBatch: () => {},
    send: () => {},
    stats: () => ({ packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 })
  }
  const clock = { nowNs: () => nowNs, wallMs: () => 0, timer: () => ({ arm: () => {}, cancel: () => {} }) }
  const closed: Array<readonly [number, number]> = []
  const sent: Array<readonly [number, number]> = []
  const endpoint = {
    close: (_: number, session: number, reason: number) => closed.push([session, reason]),
    send: (_: number, session: number, _channel: number, bytes: Uint8Array, at: number) => {
      sent.push([session, bytes[at]])
      return 0
    }
  } as unknown as ServerEndpoint
  const reports: Array<Omit<ConnectionReport, "atMs">> = []
  const trace: Array<{ kind: TraceKind; fields: unknown }> = []
  const arena = new Arena({
    config: configWith(gameSettings, { playersMax: 2 }),
    shell: new SessionShell(socket, clock),
    faultPoint: () => false,
    trace: <K extends TraceKind>(kind: K, fields: TraceFields[K]) => void trace.push({ kind, fields }),
    nowNs: () => nowNs,
    brokerNowMs: () => 777,
    isRevoked: (who) => who.deviceId.endsWith("f"),
    report: (report) => reports.push(report)
  })
  arena.attach(nowNs, endpoint)
  const peer = { address: "192.0.2.1", port: 40_000 }
  const establish = (session: number, who: Subject): void =>
    arena.onEvent({ kind: "established", session, connectionId: 100 + session, peer, subject: who })
  const join = (session: number): void => {
    const bytes = new Uint8Array(2)
    arena.onData(session, CHANNEL.unreliable, bytes, 0, writeJoin(bytes, 0))
  }
  const tick = (): void => {
    nowNs = arena.pollTimeout()
    arena.handleTimeout(nowNs)
  }
  return { arena, establish, join, tick, closed, sent, reports, trace, peer }
}

test("a ticket without the right to play, or one that was revoked, is forbidden", () => {
  const { arena } = make()
  expect(arena.admit(subject(1, { rights: RIGHT.tunnel }))).toBe(CLOSE.forbidden)
  expect(arena.admit(subject(15))).toBe(CLOSE.forbidden)
  expect(arena.admit(subject(1))).toBeUndefined()
  expect(arena.refused).toBe(2)
})

test("a full arena refuses a new device, and lets one that is in connect anew", () => {
  const { arena, establish } = make()
  establish(0, subject(1))
  establish(1, subject(2))
  expect(arena.admit(subject(3))).toBe(CLOSE.full)
  expect(arena.admit(subject(2))).toBeUndefined()
  arena.onEvent({ kind: "closed", session: 0, connectionId: 100, reason: CLOSE.normal })
  expect(arena.admit(subject(3))).toBeUndefined()
})

test("a device that connected anew keeps its place when its older session ends", () => {
  const { arena, establish } = make()
  establish(0, subject(1))
  establish(1, subject(1))
  arena.onEvent({ kind: "closed", session: 0, connectionId: 100, reason: CLOSE.replaced })
  establish(2, subject(2))
  expect(arena.book.size).toBe(2)
  expect(arena.admit(subject(1))).toBeUndefined()
})

test("an arena that closes admits nobody", () => {
  const { arena } = make()
  arena.closing = true
  expect(arena.admit(subject(1))).toBe(CLOSE.shutdown)
})

test("a session becomes a player by JOIN, and leaves when it ends", () => {
  const { arena, establish, join, tick, trace, sent } = make()
  establish(4, subject(1))
  join(4)
  join(4)
  expect(arena.game.drops[GAME_DROP.stale]).toBe(1)
  expect(sent).toEqual([[4, 17]])
  tick()
  arena.onEvent({ kind: "closed", session: 4, connectionId: 104, reason: CLOSE.timeout })
  tick()
  expect(trace.filter(({ kind }) => kind.startsWith("game."))).toEqual([
    { kind: "game.player-joined", fields: { player: 0, subject: subject(1).deviceId } },
    { kind: "game.player-left", fields: { player: 0, reason: "timeout" } }
  ])
})

test("messages on other channels are not the game's", () => {
  const { arena, establish } = make()
  establish(0, subject(1))
  arena.onData(0, CHANNEL.ordered, new Uint8Array(2), 0, writeJoin(new Uint8Array(2), 0))
  expect(arena.game.world.players.size).toBe(0)
  expect(arena.game.drops.every((count) => count === 0)).toBe(true)
})

test("a session that does not join within five seconds is ended", () => {
  const { establish, tick, closed } = make()
  establish(3, subject(1))
  for (let i = 0; i < 5 * 60; i++) tick()
  expect(closed).toEqual([])
  for (let i = 0; i < 2; i++) tick()
  expect(closed).toEqual([[3, CLOSE.handshakeTimeout]])
})

test("a revoked ticket ends the session that came in with it, and no other", () => {
  const { arena, establish, closed } = make()
  establish(0, subject(1, { ticketExpiresMs: 1_000 }))
  establish(1, subject(2))
  arena.book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 2_000 })
  expect(closed).toEqual([])
  arena.book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 1_000 })
  expect(closed).toEqual([[0, CLOSE.forbidden]])
})

test("the broker hears when a connection opens, moves, lives and ends, with its traffic", () => {
  const { arena, establish, join, reports, peer } = make()
  establish(1, subject(2))
  join(1)
  const to = { address: "192.0.2.9", port: 9 }
  arena.onEvent({ kind: "roamed", session: 1, connectionId: 101, from: peer, to })
  arena.onEvent({ kind: "roamed", session: 9, connectionId: 109, from: peer, to })
  arena.book.reportAlive()
  arena.onEvent({ kind: "closed", session: 1, connectionId: 101, reason: CLOSE.normal })
  arena.onEvent({ kind: "closed", session: 1, connectionId: 101, reason: CLOSE.normal })
  arena.book.reportAlive()
  expect(
    reports.map(({ event, peer: from, bytesIn, bytesOut, reason }) => [event, from.port, bytesIn, bytesOut, reason])
  ).toEqual([
    ["opened", 40_000, 0, 0, ""],
    ["alive", 9, 2, 36, ""],
    ["alive", 9, 2, 36, ""],
    ["closed", 9, 2, 36, "normal"]
  ])
  expect(reports[0]).toMatchObject({ connectionId: 101, openedMs: 777, user: "ann", tenant: "red" })
})

test("a refused handshake is told with its reason in words", () => {
  const { arena, trace, peer } = make()
  arena.onEvent({ kind: "refused", peer, reason: CLOSE.full })
  expect(trace).toEqual([
    {
      kind: "session.refused",
      fields: { role: "server", peer: "192.0.2.1:40000", reason: expect.stringMatching(/no free/) }
    }
  ])
})
