import { expect, test } from "vitest"
import { GIVE_UP_NS, RTO_NS, SEND_BYTES_MAX, StreamSender } from "./stream-sender.ts"

const MS = 1_000_000
const WINDOW = 1 << 20

/** A sender whose SYN was acknowledged after `roundTripMs`, at that time. */
const opened = (roundTripMs = 100) => {
  const sender = new StreamSender(0)
  sender.poll(0)
  sender.handleAck(roundTripMs * MS, 1, WINDOW, true)
  return sender
}

/** Everything that may be sent now, as offsets. */
const drain = (sender: StreamSender, nowNs: number): Array<number> => {
  const offsets: Array<number> = []
  while (sender.poll(nowNs)) offsets.push(sender.segmentOffset)
  return offsets
}

test("the timeout follows RFC 6298: three times the first round trip, then the smoothed mean and four deviations", () => {
  const sender = opened(100)
  expect(sender.rtoNs).toBe(300 * MS)
  sender.enqueue(new Uint8Array(10))
  sender.poll(1_000 * MS)
  sender.handleAck(1_200 * MS, 11, WINDOW, true)
  // SRTT 7/8 · 100 + 1/8 · 200, RTTVAR 3/4 · 50 + 1/4 · 100.
  expect(sender.rtoNs).toBe(112.5 * MS + 4 * 62.5 * MS)
})

test("the timeout is never below 200 ms, doubles each time it fires up to 8 s, and Karn's rule keeps it after a resend", () => {
  expect(opened(1).rtoNs).toBe(RTO_NS.min)
  const sender = opened(100)
  sender.enqueue(new Uint8Array(10))
  let nowNs = 1_000 * MS
  expect(drain(sender, nowNs)).toEqual([1])
  const waits: Array<number> = []
  for (let i = 0; i < 5; i++) {
    waits.push((sender.deadlineNs - nowNs) / MS)
    nowNs = sender.deadlineNs
    sender.handleTimeout(nowNs)
    expect(drain(sender, nowNs)).toEqual([1])
  }
  expect(waits).toEqual([300, 600, 1200, 2400, 4800])
  expect(sender.retransmissions).toBe(5)
  sender.handleAck(nowNs + MS, 11, WINDOW, true)
  expect(sender.rtoNs).toBe(RTO_NS.max)
})

test("a sender that hears nothing gives up: sooner while it connects", () => {
  const connecting = new StreamSender(0)
  drain(connecting, 0)
  const open = opened(0)
  open.enqueue(new Uint8Array(1))
  drain(open, 0)
  for (const [sender, limitNs] of [
    [connecting, GIVE_UP_NS.connecting],
    [open, GIVE_UP_NS.open]
  ] as const) {
    let nowNs = 0
    for (let i = 0; i < 50 && !sender.gaveUp; i++) {
      nowNs = sender.deadlineNs
      sender.handleTimeout(nowNs)
      if (!sender.gaveUp) drain(sender, nowNs)
    }
    expect([sender.gaveUp, nowNs]).toEqual([true, limitNs])
  }
})

test("the third duplicate acknowledgement, and no earlier one, sends the first segment again and halves the window", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(14_000))
  const flight = drain(sender, 0)
  expect(flight).toHaveLength(10)
  for (let i = 0; i < 2; i++) sender.handleAck(0, 1, WINDOW, true)
  expect(drain(sender, 0)).toEqual([])
  sender.handleAck(0, 1, WINDOW, true)
  expect(drain(sender, 0)).toEqual([1])
  // A partial acknowledgement sends the next hole at once (RFC 6582).
  sender.handleAck(0, 1401, WINDOW, true)
  expect(drain(sender, 0)).toEqual([1401])
  sender.handleAck(0, 14_001, WINDOW, true)
  expect(sender.congestionWindow).toBe(7_000)
})

test("an acknowledgement with data, a changed window, or of what was never sent is no duplicate", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(5_000))
  drain(sender, 0)
  for (let i = 0; i < 5; i++) {
    sender.handleAck(0, 1, WINDOW, false)
    sender.handleAck(0, 1, WINDOW + 64 * (i + 1), true)
    sender.handleAck(0, 99_999, WINDOW, true)
    sender.handleAck(0, 0, WINDOW, true)
  }
  expect(drain(sender, 0)).toEqual([])
  expect(sender.acked).toBe(1)
})

test("after slow start the window grows by about one segment in each round trip", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(28_000))
  drain(sender, 0)
  for (let i = 0; i < 3; i++) sender.handleAck(0, 1, WINDOW, true)
  drain(sender, 0)
  sender.handleAck(0, 14_001, WINDOW, true)
  const before = sender.congestionWindow
  for (const segment of drain(sender, 0)) sender.handleAck(0, segment + 1400, WINDOW, true)
  expect(sender.congestionWindow - before).toBeGreaterThan(1_100)
  expect(sender.congestionWindow - before).toBeLessThanOrEqual(1_400)
})

test("a shut window is probed, and a peer that answers no probe is given up", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(5_000))
  sender.handleAck(0, 1, 0, true)
  expect(drain(sender, 0)).toEqual([])
  let nowNs = sender.deadlineNs
  sender.handleTimeout(nowNs)
  expect(drain(sender, nowNs)).toEqual([1])
  sender.handleAck(nowNs, 1, 0, true)
  const answeredNs = nowNs
  for (let i = 0; i < 50 && !sender.gaveUp; i++) {
    nowNs = sender.deadlineNs
    sender.handleTimeout(nowNs)
    if (!sender.gaveUp) drain(sender, nowNs)
  }
  expect([sender.gaveUp, nowNs - answeredNs]).toEqual([true, GIVE_UP_NS.open])
})

test("the window that opens again lets everything out", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(3_000))
  sender.handleAck(0, 1, 0, true)
  drain(sender, 0)
  sender.handleAck(0, 1, WINDOW, true)
  expect(drain(sender, 0)).toEqual([1, 1401, 2801])
})

test("the buffer is bounded, and nothing is taken after the end", () => {
  const sender = opened()
  expect(sender.enqueue(new Uint8Array(SEND_BYTES_MAX + 1))).toBe(false)
  expect(sender.enqueue(new Uint8Array(10))).toBe(true)
  sender.finish()
  expect(sender.enqueue(new Uint8Array(1))).toBe(false)
  expect(sender.poll(0)).toBe(true)
  expect([sender.segmentLength, sender.segmentFin]).toEqual([10, true])
  sender.handleAck(0, 11, WINDOW, true)
  expect(sender.done()).toBe(false)
  sender.handleAck(0, 12, WINDOW, true)
  expect(sender.done()).toBe(true)
})

test("an MTU that leaves no room for data, or is no smaller, changes nothing", () => {
  const sender = opened()
  sender.enqueue(new Uint8Array(2_800))
  drain(sender, 0)
  sender.handleMtu(100, 52)
  sender.handleMtu(1500, 52)
  expect(drain(sender, 0)).toEqual([])
  sender.handleMtu(752, 52)
  expect(drain(sender, 0)).toEqual([1, 701, 1401, 2101])
})
