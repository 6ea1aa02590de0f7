import { expect, test } from "vitest"
import type { ConnectionReport } from "../api/connection.ts"
import type { TraceFields, TraceKind } from "../lab/trace.ts"
import { PENDING_MAX } from "../machine/session/pending.ts"
import { CLOSE, type CloseReason, type Subject } from "../machine/session/session.ts"
import { closeName, SessionBook, sessionNumbers } from "./session-book.ts"

const PEER = { address: "192.0.2.1", port: 40_000 }

const subject = (device: number, change: Partial<Subject> = {}): Subject => ({
  publicKey: new Uint8Array(32).fill(device),
  deviceId: device.toString(16).padStart(32, "0"),
  user: "ann",
  tenant: "red",
  rights: 0,
  ticketExpiresMs: 1_000,
  ...change
})

/** A book for two sessions whose world only takes notes. */
const make = () => {
  const reports: Array<Omit<ConnectionReport, "atMs">> = []
  const trace: Array<{ kind: TraceKind; fields: unknown }> = []
  const ended: Array<readonly [session: number, reason: number]> = []
  const book = new SessionBook({
    sessionsMax: 2,
    trace: <K extends TraceKind>(kind: K, fields: TraceFields[K]) => void trace.push({ kind, fields }),
    brokerNowMs: () => 777,
    report: (report) => reports.push(report)
  })
  book.attach({ close: (_nowNs, session, reason) => ended.push([session, reason]) })
  const establish = (session: number, who: Subject): void =>
    book.onEvent({ kind: "established", session, connectionId: 100 + session, peer: PEER, subject: who })
  const close = (session: number, reason: CloseReason): void =>
    book.onEvent({ kind: "closed", session, connectionId: 100 + session, reason })
  return { book, reports, trace, ended, establish, close }
}

test("a revoked ticket ends the sessions that came in with it, and no other", () => {
  const { book, ended, establish } = make()
  establish(0, subject(1, { ticketExpiresMs: 1_000 }))
  establish(1, subject(2, { ticketExpiresMs: 1_000 }))
  book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 2_000 })
  expect(ended).toEqual([])
  book.endRevoked(0, { deviceId: subject(1).deviceId, expiresMs: 1_000 })
  expect(ended).toEqual([[0, CLOSE.forbidden]])
})

test("revoking ends nothing after the session has ended, and nothing before there are sessions", () => {
  const { book, ended, establish, close } = make()
  const ticket = { deviceId: subject(1).deviceId, expiresMs: 1_000 }
  book.endRevoked(0, ticket)
  establish(0, subject(1))
  close(0, CLOSE.normal)
  book.endRevoked(0, ticket)
  expect(ended).toEqual([])
})

test("the broker hears when a connection opens, moves, lives and ends, with its traffic", () => {
  const { book, reports, establish, close } = make()
  establish(1, subject(2))
  book.countIn(1, 2)
  book.countOut(1, 30)
  book.countOut(1, 6)
  const to = { address: "192.0.2.9", port: 9 }
  book.onEvent({ kind: "roamed", session: 1, connectionId: 101, from: PEER, to })
  book.onEvent({ kind: "roamed", session: 9, connectionId: 109, from: PEER, to })
  book.reportAlive()
  close(1, CLOSE.timeout)
  close(1, CLOSE.timeout)
  book.reportAlive()
  expect(
    reports.map(({ event, peer, bytesIn, bytesOut, reason }) => [event, peer.port, bytesIn, bytesOut, reason])
  ).toEqual([
    ["opened", 40_000, 0, 0, ""],
    ["alive", 9, 2, 36, ""],
    ["alive", 9, 2, 36, ""],
    ["closed", 9, 2, 36, "timeout"]
  ])
  for (const report of reports)
    expect(report).toMatchObject({
      connectionId: 101,
      openedMs: 777,
      deviceId: subject(2).deviceId,
      user: "ann",
      tenant: "red"
    })
})

test("a session number that is given out again begins with no traffic", () => {
  const { book, reports, establish, close } = make()
  establish(0, subject(1))
  book.countIn(0, 5)
  close(0, CLOSE.normal)
  expect([book.size, book.subjectOf(0)]).toEqual([0, undefined])
  establish(0, subject(2))
  expect([book.size, book.subjectOf(0)?.deviceId]).toEqual([1, subject(2).deviceId])
  expect(reports.at(-1)).toMatchObject({ event: "opened", bytesIn: 0, bytesOut: 0 })
})

test("the highest number that an endpoint gives a session is counted too", () => {
  const { book, reports, establish } = make()
  const last = sessionNumbers(2) - 1
  expect(last).toBe(2 + PENDING_MAX - 1)
  establish(last, subject(1))
  book.countIn(last, 7)
  book.reportAlive()
  expect(reports.at(-1)?.bytesIn).toBe(7)
})

test("every event of a session is in the trace, in words", () => {
  const { book, trace, establish, close } = make()
  establish(0, subject(1))
  book.onEvent({ kind: "roamed", session: 0, connectionId: 100, from: PEER, to: { ...PEER, port: 9 } })
  close(0, CLOSE.normal)
  book.onEvent({ kind: "refused", peer: PEER, reason: CLOSE.full })
  const peer = "192.0.2.1:40000"
  expect(trace).toEqual([
    {
      kind: "session.established",
      fields: { role: "server", connectionId: 100, peer, subject: subject(1).deviceId }
    },
    { kind: "session.roamed", fields: { connectionId: 100, from: peer, to: "192.0.2.1:9" } },
    {
      kind: "session.closed",
      fields: { role: "server", connectionId: 100, reason: expect.stringMatching(/closed by one of its ends/) }
    },
    { kind: "session.refused", fields: { role: "server", peer, reason: expect.stringMatching(/no free/) } }
  ])
})

test("a close reason that this version does not know is named by its number", () => {
  expect([closeName(CLOSE.replaced), closeName(99 as CloseReason)]).toEqual(["replaced", "reason 99"])
})
