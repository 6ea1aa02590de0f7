import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { CHANNEL, CLOSE, type ServerEndpoint, type Subject } from "@horizon/core/machine/session/session.ts"
import { decodeParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { FATE } from "@horizon/core/machine/tunnel/switch.ts"
import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import { pingPacket } from "@horizon/core/wire/ipv4-packet.fixture.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import { expect, test } from "vitest"
import { Members } from "./members.ts"

const PEER = { address: "192.0.2.7", port: 4_000 }
const subject = (n: number, change: Partial<Subject> = {}): Subject => ({
  publicKey: new Uint8Array(32).fill(n),
  deviceId: n.toString(16).padStart(32, "0"),
  user: `user-${n}`,
  tenant: "red",
  rights: RIGHT.tunnel,
  ticketExpiresMs: 1_000 + n,
  ...change
})

const start = (change: { leasesMax?: number } = {}) => {
  const traced: Array<string> = []
  const reports: Array<Omit<ConnectionReport, "atMs">> = []
  const closed: Array<[session: number, reason: number]> = []
  const sent: Array<number> = []
  const revoked = new Set<number>()
  const shell = { nowNs: 0 }
  const members = new Members({
    prefix: { network: 0x0a4d0000, length: 24 },
    leaseSeconds: 60,
    leasesMax: change.leasesMax ?? 100,
    sessionsMax: 100,
    mtuBytes: 1_170,
    broadcastCopiesPerSecond: 100,
    faultPoint: () => false,
    trace: (kind) => traced.push(kind),
    brokerNowMs: () => 5_000,
    isRevoked: ({ ticketExpiresMs }) => revoked.has(ticketExpiresMs),
    report: (report) => reports.push(report),
    onLeasesChanged: () => traced.push("changed")
  })
  const endpoint: Partial<ServerEndpoint> = {
    send: (_nowNs, session) => {
      sent.push(session)
      return 0
    },
    close: (_nowNs, session, reason) => closed.push([session, reason])
  }
  members.attach(endpoint as ServerEndpoint, shell as SessionShell)
  const join = (session: number, who: Subject): number => {
    expect(members.admit(who)).toBeUndefined()
    const address = decodeParameters(members.parameters(session, who))?.address ?? 0
    members.onEvent({ kind: "established", session, connectionId: 1_000 + session, peer: PEER, subject: who })
    return address
  }
  const leave = (session: number): void =>
    members.onEvent({ kind: "closed", session, connectionId: 1_000 + session, reason: CLOSE.timeout })
  return { members, traced, reports, closed, sent, revoked, shell, join, leave }
}

test("only a ticket with the right to tunnel that was not revoked is admitted", () => {
  const { members, revoked } = start()
  expect(members.admit(subject(1, { rights: RIGHT.game }))).toBe(CLOSE.forbidden)
  expect(members.admit(subject(1))).toBeUndefined()
  revoked.add(1_001)
  expect(members.admit(subject(1))).toBe(CLOSE.forbidden)
  expect([members.refused, members.exhausted]).toEqual([2, 0])
})

test("a full pool refuses new devices and not those that have an address", () => {
  const { members, join, leave } = start({ leasesMax: 1 })
  join(0, subject(1))
  expect(members.admit(subject(2))).toBe(CLOSE.full)
  leave(0)
  expect(members.admit(subject(2))).toBe(CLOSE.full)
  expect(members.admit(subject(1))).toBeUndefined()
  expect(members.exhausted).toBe(2)
})

test("a device that connects anew keeps its address and its membership when the old session ends afterwards", () => {
  const { members, traced, join, leave, sent, shell } = start()
  const address = join(0, subject(1))
  expect(join(7, subject(1))).toBe(address)
  leave(0)
  shell.nowNs = 3_600e9
  members.handleTimeout(shell.nowNs)
  expect([members.book.size, members.pool.size, members.pollTimeout()]).toEqual([1, 1, Number.POSITIVE_INFINITY])
  expect(traced.filter((kind) => kind === "lease.granted")).toHaveLength(1)
  const packet = pingPacket(address, 0x0a4d0001, 1, new Uint8Array(4))
  members.onData(7, CHANNEL.tunnel, packet, 0, packet.length)
  expect(sent).toEqual([7])
})

test("a lease is released when its time after the session is over", () => {
  const { members, traced, join, leave, shell } = start()
  join(0, subject(1))
  shell.nowNs = 10e9
  leave(0)
  expect(members.pollTimeout()).toBe(70e9)
  members.handleTimeout(69e9)
  expect(traced).not.toContain("lease.released")
  members.handleTimeout(70e9)
  expect([traced.includes("lease.released"), members.pool.size]).toEqual([true, 0])
})

test("the broker is told of each connection: opened, alive with its traffic, moved, closed with the reason", () => {
  const { members, reports, join, leave } = start()
  const address = join(3, subject(1))
  const packet = pingPacket(address, 0x0a4d0001, 1, new Uint8Array(4))
  members.onData(3, CHANNEL.tunnel, packet, 0, packet.length)
  members.book.reportAlive()
  const to = { address: "192.0.2.8", port: 4_001 }
  members.onEvent({ kind: "roamed", session: 3, connectionId: 1_003, from: PEER, to })
  leave(3)
  expect(
    reports.map(({ event, peer, reason, bytesIn, bytesOut }) => [event, peer.port, reason, bytesIn, bytesOut])
  ).toEqual([
    ["opened", 4_000, "", 0, 0],
    ["alive", 4_000, "", 32, 32],
    ["alive", 4_001, "", 32, 32],
    ["closed", 4_001, "timeout", 32, 32]
  ])
  expect(reports[0]).toMatchObject({ connectionId: 1_003, openedMs: 5_000, user: "user-1", tenant: "red" })
})

test("a revoked ticket ends the sessions that came in with it and no other", () => {
  const { members, closed, join } = start()
  join(0, subject(1))
  join(1, subject(2))
  members.book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 999 })
  expect(closed).toEqual([])
  members.book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 1_001 })
  expect(closed).toEqual([[0, CLOSE.forbidden]])
})

test("data on other channels than the tunnel's is dropped and counted", () => {
  const { members, join, sent } = start()
  const packet = pingPacket(join(0, subject(1)), 0x0a4d0001, 1, new Uint8Array(4))
  members.onData(0, CHANNEL.ordered, packet, 0, packet.length)
  expect(sent).toEqual([])
  expect(members.fabric.fates[FATE.notTunnel]).toBe(1)
})
