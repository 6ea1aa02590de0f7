import type { TraceEventLine } from "@horizon/real/trace.ts"
import { describe, expect, test } from "vitest"
import { udpCounter } from "./kernel-drops.ts"
import { balancesOf } from "./ledger.ts"
import { readBothWays } from "./load.ts"
import { NodeFigures } from "./node-figures.ts"
import { slopeOf } from "./slope.ts"
import { troubleIn } from "./soak.ts"
import { trendOf } from "./verdict.ts"

const sample = (monotonicNs: number, name: string, value: number): TraceEventLine => ({
  monotonicNs,
  node: "gateway",
  kind: "sample",
  fields: { name, value, unit: "packets" }
})

describe("figures of nodes", () => {
  test("what a node says in one breath is one snapshot, what it says a second later another", () => {
    const figures = new NodeFigures()
    figures.take("gateway", sample(1e9, "a", 1))
    figures.take("gateway", sample(1.0001e9, "b", 2))
    figures.take("gateway", { monotonicNs: 1.5e9, node: "gateway", kind: "session.established", fields: {} as never })
    figures.take("gateway", sample(2e9, "a", 3))
    expect(figures.of("gateway").map(({ values }) => [...values])).toEqual([
      [
        ["a", 1],
        ["b", 2]
      ],
      [["a", 3]]
    ])
    expect(figures.of("client")).toEqual([])
  })
})

describe("books", () => {
  const snapshot = (monotonicNs: number, values: Readonly<Record<string, number>>) => ({
    monotonicNs,
    values: new Map(Object.entries(values))
  })
  const before = snapshot(0, { "client.udp.packets-in": 10, "client.session.packets-in": 4 })
  /** A client that has moved 100 packets each way, with two pings and one packet dropped each way. */
  const sound = {
    "client.udp.packets-in": 10 + 105,
    "client.session.packets-in": 4 + 103,
    "client.datagram-dropped.forged": 2,
    "client.tun.packets-out": 100,
    "client.dropped.notForHost": 1,
    "client.tun.packets-in": 101,
    "client.dropped.notOwn": 1,
    "client.session.packets-out": 102,
    "client.udp.packets-out": 99,
    "client.udp.drops-out": 3
  }
  const unexplained = (after: Readonly<Record<string, number>>, seconds = 10) =>
    balancesOf("client", before, snapshot(seconds * 1e9, after)).map((balance) => balance.unexplained)

  test("balance if all is out, dropped for a reason, or the session's own", () => {
    const balances = balancesOf("client", before, snapshot(10e9, sound))
    expect(balances.map((balance) => balance.unexplained)).toEqual([0, 0, 0, 0])
    expect(balances.map(({ dropped }) => dropped)).toEqual([
      { forged: 2 },
      { "dropped.notForHost": 1 },
      { "dropped.notOwn": 1 },
      { "udp.drops-out": 3 }
    ])
    expect(balances.map(({ own }) => own)).toEqual([0, 2, 2, 0])
  })

  test("do not balance if a packet is lost or made without a reason, at the stage where that happened", () => {
    expect(unexplained({ ...sound, "client.udp.packets-in": 114 })).toEqual([-1, 0, 0, 0])
    expect(unexplained({ ...sound, "client.udp.packets-out": 98 })).toEqual([0, 0, 0, -1])
    expect(unexplained({ ...sound, "client.tun.packets-out": 103 })).toEqual([0, -1, 0, 0])
  })

  test("a session's own packets are few: more than it may say in that time is unexplained", () => {
    const more = { ...sound, "client.tun.packets-out": 0 }
    expect(unexplained(more)[1]).toBe(102 - 16 - 80)
    expect(unexplained(more, 100)[1]).toBe(0)
    const probes = (count: number) => unexplained({ ...sound, "client.udp.packets-in": 115 + count })[0]
    expect([probes(17), probes(18)]).toEqual([0, 1])
  })
})

describe("memory", () => {
  const MIB = 2 ** 20
  const held = (rssOf: (seconds: number) => number, seconds = 600) =>
    Array.from({ length: seconds / 5 + 1 }, (_, i) => ({
      atSeconds: i * 5,
      rssBytes: rssOf(i * 5),
      descriptors: i < 70 ? 30 : 31
    }))

  test("the trend is the median of all slopes, which a few outliers do not move", () => {
    expect(slopeOf([0, 1, 2, 3], [5, 7, 9, 11])).toBe(2)
    expect(slopeOf([0, 1, 2, 3, 4, 5], [0, 1, 2, 90, 4, 5])).toBe(1)
    expect(slopeOf([1], [1])).toBe(0)
  })

  test("a heap that finds its size in the first minute and then breathes is flat; a leak of 100 KiB a second is seen", () => {
    const breathing = trendOf(held((s) => (s < 60 ? 100 + s : 160) * MIB + (s % 15) * 100_000))!
    expect(Math.abs(breathing.growthBytes)).toBeLessThan(0.01 * breathing.medianBytes)
    const leaking = trendOf(held((s) => 160 * MIB + s * 100 * 1024))!
    expect(leaking.growthBytes).toBeCloseTo(540 * 100 * 1024, -3)
    expect(leaking.descriptors).toEqual([30, 31])
  })

  test("half of a short soak is its warm-up, and nothing is judged without two samples", () => {
    expect(trendOf(held((s) => s * MIB, 10))?.seconds).toBe(5)
    expect(trendOf([])).toBeUndefined()
  })
})

test("a line of a log is trouble if it is an error or no line of the log at all", () => {
  expect(troubleIn('{"level":"info","message":"ready"}')).toBeUndefined()
  expect(troubleIn('{"level":"warn","message":"broker-link.down"}')).toBeUndefined()
  expect(troubleIn("")).toBeUndefined()
  expect(troubleIn('{"level":"error","message":"no"}')).toContain("no")
  expect(troubleIn("TypeError: x is not a function")).toContain("TypeError")
})

test("a UDP counter of the kernel is found by its name, and one that it does not have is 0", () => {
  const snmp = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts RcvbufErrors\nUdp: 5 0 7\n"
  expect([udpCounter(snmp, "RcvbufErrors"), udpCounter(snmp, "SndbufErrors"), udpCounter("", "NoPorts")]).toEqual([
    7, 0, 0
  ])
})

test("both directions of iperf3 are read, and what is wrong with its answer is said", () => {
  const end = { sum_received: { bits_per_second: 5 }, sum_received_bidir_reverse: { bits_per_second: 6 } }
  expect(readBothWays(JSON.stringify({ end }))).toEqual({ forward: 5, backward: 6 })
  expect(() => readBothWays(JSON.stringify({ error: "unable to connect" }))).toThrow("iperf3: unable to connect")
  expect(() => readBothWays(JSON.stringify({ end: { sum_received: end.sum_received } }))).toThrow("3.7 or newer")
  expect(() => readBothWays("iperf3: no such option")).toThrow("did not answer in JSON")
})
