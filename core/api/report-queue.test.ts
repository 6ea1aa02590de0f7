import { expect, test } from "vitest"
import type { ConnectionReport } from "./connection.ts"
import { REPORTS_WAITING_MAX, ReportQueue } from "./report-queue.ts"

const report = (connectionId: number, event: ConnectionReport["event"], atMs = 0): ConnectionReport => ({
  event,
  connectionId,
  openedMs: 1,
  deviceId: "0".repeat(32),
  user: "u",
  tenant: "t",
  peer: { address: "192.0.2.1", port: 1 },
  atMs,
  reason: "",
  bytesIn: 0,
  bytesOut: 0
})
const summary = (queue: ReportQueue) => queue.next().map((each) => `${each.connectionId} ${each.event}`)

test("only the latest report of a connection waits", () => {
  const queue = new ReportQueue()
  queue.add(report(1, "opened"))
  queue.add(report(2, "opened"))
  queue.add(report(1, "closed"))
  expect(summary(queue)).toEqual(["2 opened", "1 closed"])
})

test("what was sent is forgotten, what was replaced while it was sent waits on", () => {
  const queue = new ReportQueue()
  queue.add(report(1, "opened"))
  queue.add(report(2, "opened"))
  const batch = queue.next()
  queue.add(report(2, "closed"))
  queue.sent(batch)
  expect(summary(queue)).toEqual(["2 closed"])
})

test("open connections are alive until they are closed, and a waiting report is not overwritten by that", () => {
  const queue = new ReportQueue()
  for (const id of [1, 2, 3]) queue.add(report(id, "opened"))
  queue.add(report(3, "closed"))
  queue.sent(queue.next())
  queue.add(report(2, "closed"))
  queue.addAlive(77)
  expect(summary(queue)).toEqual(["2 closed", "1 alive"])
  expect(queue.next()[1].atMs).toBe(77)
})

test("a full queue gives up the oldest closed connection first, counts it, and never grows", () => {
  const queue = new ReportQueue()
  for (let id = 0; id < REPORTS_WAITING_MAX; id++) queue.add(report(id, id === 5 ? "closed" : "opened"))
  queue.add(report(100_000, "opened"))
  expect([queue.length, queue.dropped]).toEqual([REPORTS_WAITING_MAX, 1])
  const ids = queue.next().map((each) => each.connectionId)
  expect(ids.slice(0, 7)).toEqual([0, 1, 2, 3, 4, 6, 7])
  queue.add(report(100_001, "opened"))
  expect(queue.next()[0].connectionId).toBe(1)
})
