import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { expect, test } from "vitest"
import { type ClientStatus, StatusBoard } from "./status.ts"

const start = () => {
  const traced: Array<string> = []
  const seen: Array<ClientStatus> = []
  const trace: TraceWriter = (kind, fields) => {
    if (kind === "client.status") traced.push((fields as { state: string }).state)
  }
  const board = new StatusBoard(trace, (status) => seen.push(status))
  return { board, traced, seen }
}

test("connected is said on a fresh proof only, with the time of that proof", () => {
  const { board, traced } = start()
  board.server("gw")
  board.address("10.77.0.9/16")
  board.proved(8_000_000_000, 7_999_000_000, 12)
  expect(board.status).toMatchObject({ state: "connected", provedNs: 7_999_000_000, rttUs: 12, server: "gw" })
  expect(board.status.detail).toBe("The tunnel to gw works; this device is 10.77.0.9/16.")
  expect(traced).toEqual(["connected"])
  expect(() => board.proved(13_000_000_000, 8_000_000_000, 12)).toThrow("fresh proof")
})

test("each proof reaches the sink, and only changes reach the trace", () => {
  const { board, traced, seen } = start()
  board.set("connecting", "x")
  board.set("connecting", "x")
  for (const nowNs of [1, 2, 3]) board.proved(nowNs, nowNs, 5)
  board.set("degraded", "y")
  expect(traced).toEqual(["connecting", "connected", "degraded"])
  expect(seen.map((status) => status.provedNs)).toEqual([null, null, 1, 2, 3, 3])
})

test("a broker that is away is said beside a tunnel that works, and not said any more when it is back", () => {
  const { board, traced } = start()
  board.server("gw")
  board.broker({ state: "away", message: "Check its address." })
  expect(traced).toEqual([])
  board.proved(1, 1, 5)
  expect(board.status.detail).toContain("The broker is not available, which does not disturb it: Check its address.")
  board.broker({ state: "reachable", message: "" })
  expect(board.status.detail).not.toContain("broker")
  expect(traced).toEqual(["connected", "connected"])
})
