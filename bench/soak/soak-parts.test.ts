import type { TraceEventLine } from "@horizon/real/trace.ts"
import { describe, expect, test } from "vitest"
import { udpCounter } from "./kernel-drops.ts"
import { balancesOf } from "./ledger.ts"
import { readBothWays } from "./load.ts"
import { NodeFigures } from "./node-figures.ts"
import { slopeOf } from "./slope.ts"
import { type SoakOutcome, troubleIn } from "./soak.ts"
import { lostOf, mustsOf, trendOf } from "./verdict.ts"

const sample = (monotonicNs: number, name: string, value: number): TraceEventLine => ({
  monotonicNs,
  node: "gateway",
  kind: "sample",
  fields: { name, value, unit: "packets" }
})

const FLOW = { sent: 0, received: 0 }
const OUTCOME: SoakOutcome = {
  idleRatio: 1,
  load: { tcpBitsPerSecond: { forward: 0, backward: 0 }, udp: { forward: FLOW, backward: FLOW } },
  holdings: new Map(),
  figures: { gateway: [], client: [] },
  kernelDrops: {},
  troubles: [],
  sessions: 1
}

describe("figures of nodes", () => {
  test("a snapshot is all that a node says from its number of sessions to the next, however long that takes", () => {
    const figures = new NodeFigures()
    figures.take("gateway", sample(0.5e9, "gateway.early", 7))
    figures.take("gateway", sample(1e9, "gateway.sessions", 1))
    figures.take("gateway", { monotonicNs: 1.5e9, node: "gateway", kind: "session.established", fields: {} as never })
    figures.take("gateway", sample(3e9, "gateway.b", 2))
    figures.take("gateway", sample(3.001e9, "gateway.sessions", 2))
    expect(figures.of("gateway").map(({ values }) => [...values])).toEqual([
      [
        ["gateway.sessions", 1],
        ["gateway.b", 2]
      ]
    ])
    expect(figures.of("client")).toEqual([])
  })

  test("the last snapshot does not count until the next one shows that it is whole", () => {
    const figures = new NodeFigures()
    for (const seconds of [1, 2, 3]) figures.take("client", sample(seconds * 1e9, "client.sessions", 1))
    expect(figures.of("client").map(({ monotonicNs }) => monotonicNs)).toEqual([1e9, 2e9])
  })
})

describe("books", () => {
  const snapshot = (values: Readonly<Record<string, number>>) => ({
    monotonicNs: 0,
    values: new Map(Object.entries(values))
  })
  /** A client that has moved some 100 packets each way, with its own beside them and something dropped for every reason. */
  const client = {
    "client.udp.packets-in": 120,
    "client.datagram-dropped.forged": 2,
    "client.datagram-dropped.malformed": 1,
    "client.datagram-dropped.stray": 1,
    "client.datagram-dropped.unattended": 1,
    "client.handshake.packets-in": 2,
    "client.probe.packets-in": 3,
    "client.session.packets-in": 111,
    "client.session.discarded": 1,
    "client.session.control-in": 3,
    "client.proof.packets-in": 2,
    "client.dropped.noInterface": 1,
    "client.dropped.notForHost": 1,
    "client.dropped.notOpen": 1,
    "client.dropped.notTunnel": 1,
    "client.tun.drops-out": 1,
    "client.tun.packets-out": 100,
    "client.tun.packets-in": 103,
    "client.dropped.noSession": 1,
    "client.dropped.notOwn": 1,
    "client.dropped.notSent": 1,
    "client.session.control-out": 2,
    "client.proof.packets-out": 3,
    "client.session.packets-out": 105,
    "client.handshake.packets-out": 2,
    "client.probe.packets-out": 3,
    "client.udp.packets-out": 109,
    "client.udp.drops-out": 1
  }
  const gateway = {
    "gateway.udp.packets-in": 115,
    "gateway.datagram-dropped.forged": 2,
    "gateway.datagram-dropped.malformed": 1,
    "gateway.handshake.packets-in": 5,
    "gateway.session.packets-in": 108,
    "gateway.session.discarded": 1,
    "gateway.session.control-in": 3,
    "gateway.tun.packets-in": 50,
    // 104 packets of the member, of them 3 echo requests and 2 to all, and 50 of the host.
    "gateway.delivered": 150,
    "gateway.dropped.unknownDestination": 3,
    "gateway.dropped.notTunnel": 1,
    "gateway.echo-replies": 3,
    "gateway.broadcasts": 2,
    "gateway.broadcast-copies": 4,
    "gateway.unreachables": 2,
    "gateway.forwarded": 59,
    "gateway.tun.packets-out": 94,
    "gateway.tun.drops-out": 1,
    "gateway.session.control-out": 4,
    "gateway.session.packets-out": 63,
    "gateway.handshake.packets-out": 5,
    "gateway.udp.packets-out": 67,
    "gateway.udp.drops-out": 1
  }
  const unexplained = (node: string, after: Readonly<Record<string, number>>, before = {}) =>
    balancesOf(node, snapshot(before), snapshot(after)).map((balance) => balance.unexplained)
  const off = (balances: ReadonlyArray<number>): number => balances.reduce((sum, left) => sum + Math.abs(left), 0)

  test("balance if all is out, dropped for a reason, or the node's own", () => {
    expect(unexplained("client", client)).toEqual([0, 0, 0, 0])
    expect(unexplained("gateway", gateway)).toEqual([0, 0, 0, 0, 0])
    const [received, opened, sealed] = balancesOf("client", snapshot({}), snapshot(client))
    expect(received).toMatchObject({
      packetsIn: 120,
      packetsOut: 111,
      dropped: { forged: 2, malformed: 1, stray: 1, unattended: 1 },
      kept: { "handshake.packets-in": 2, "probe.packets-in": 3 }
    })
    expect(opened.dropped).toHaveProperty(["tun.drops-out"], 1)
    expect(sealed.made).toEqual({ "session.control-out": 2, "proof.packets-out": 3 })
  })

  test("are of the time between two snapshots", () => {
    const twice = Object.fromEntries(Object.entries(client).map(([name, value]) => [name, 2 * value]))
    expect(unexplained("client", twice, client)).toEqual([0, 0, 0, 0])
    expect(balancesOf("client", snapshot(client), snapshot(twice))[1].packetsIn).toBe(111)
  })

  const figuresOf = (node: string, sound: Readonly<Record<string, number>>) =>
    // Answers to echo requests are packets to members like others.
    Object.keys(sound).flatMap((name) => (name === "gateway.echo-replies" ? [] : [[name, node, sound] as const]))

  test.each([...figuresOf("client", client), ...figuresOf("gateway", gateway)])(
    "do not balance if one packet is missing from %s, or in it twice",
    (name, node, sound) => {
      const [missing, twice] = [-1, 1].map((by) => unexplained(node, { ...sound, [name]: sound[name] + by }))
      expect(off(missing)).toBeGreaterThan(0)
      expect(missing.every((left) => Math.abs(left) <= 1)).toBe(true)
      expect(twice).toEqual(missing.map((left) => 0 - left))
    }
  )

  test("say at which stage a packet was lost or made", () => {
    const losing = (name: keyof typeof client, by: number) =>
      unexplained("client", { ...client, [name]: client[name] + by })
    expect(losing("client.udp.packets-in", 1)).toEqual([1, 0, 0, 0])
    expect(losing("client.tun.packets-out", -1)).toEqual([0, 1, 0, 0])
    expect(losing("client.tun.packets-in", 1)).toEqual([0, 0, 1, 0])
    expect(losing("client.udp.packets-out", -1)).toEqual([0, 0, 0, 1])
    expect(losing("client.udp.packets-out", 1)).toEqual([0, 0, 0, -1])
    const dropping = (name: keyof typeof gateway) => unexplained("gateway", { ...gateway, [name]: gateway[name] - 1 })
    expect(dropping("gateway.forwarded")).toEqual([0, 0, 1, -1, 0])
    expect(dropping("gateway.delivered")).toEqual([0, 1, -1, 0, 0])
  })

  test("one packet that nothing explains fails the soak, also if another moment has one too many", () => {
    const between = { ...client, "client.udp.packets-out": 110 }
    const twice = Object.fromEntries(Object.entries(client).map(([name, value]) => [name, 2 * value]))
    const verdict = (...all: ReadonlyArray<Readonly<Record<string, number>>>) => {
      const figures = { gateway: [], client: all.map(snapshot) }
      const musts = mustsOf({ ...OUTCOME, figures }, 10)
      return musts.find(({ name }) => name === "books client")
    }
    expect(verdict({}, client, twice)).toMatchObject({ value: 0, met: true })
    expect(verdict({}, between)).toMatchObject({ value: 1, met: false })
    expect(verdict({}, between, twice)).toMatchObject({ value: 2, met: false })
  })
})

describe("losses", () => {
  const own = { "client.proof.packets-out": 3, "client.session.control-out": 2, "client.handshake.packets-out": 2 }
  /** The client has sent one more proof and one more pong since the gateway wrote its figures down. */
  const figures = (arrived: number, answered: number) => ({
    client: {
      "client.udp.packets-out": 1000 + 10,
      "client.probe.packets-out": 3,
      ...own,
      "client.udp.packets-in": answered + 8,
      "client.probe.packets-in": 3,
      "client.handshake.packets-in": 2,
      "client.proof.packets-in": 2,
      "client.session.control-in": 1
    },
    gateway: {
      "gateway.udp.packets-in": arrived + 8,
      "gateway.handshake.packets-in": 5,
      "gateway.session.control-in": 1,
      "gateway.echo-replies": 2,
      "gateway.udp.packets-out": 900 + 9,
      "gateway.handshake.packets-out": 5,
      "gateway.session.control-out": 2
    }
  })
  const outcome = (arrived: number, answered: number, kernelDrops: SoakOutcome["kernelDrops"] = {}): SoakOutcome => {
    const { client, gateway } = figures(arrived, answered)
    const one = (values: Readonly<Record<string, number>>) => [
      { monotonicNs: 0, values: new Map(Object.entries(values)) }
    ]
    return { ...OUTCOME, kernelDrops, figures: { client: one(client), gateway: one(gateway) } }
  }
  const losses = (of: SoakOutcome) => mustsOf(of, 10).find(({ name }) => name === "losses")

  test("are of data: what the nodes say to each other while figures are written down is none", () => {
    expect(lostOf(outcome(1000, 900))).toEqual([
      { from: "client", to: "gateway", sent: 1000, received: 1000 },
      { from: "gateway", to: "client", sent: 900, received: 900 }
    ])
    expect(losses(outcome(1000, 900))).toMatchObject({ value: 0, met: true })
  })

  test("fail the soak from one datagram on, in either direction, unless the kernel says that it dropped some", () => {
    expect(losses(outcome(999, 900))).toMatchObject({ value: 1, met: false })
    expect(losses(outcome(1000, 899))).toMatchObject({ value: 1, met: false })
    expect(losses(outcome(990, 900, { "UDP receive buffer full": 1 }))).toMatchObject({ value: 0, met: true })
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
