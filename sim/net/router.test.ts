import type { NatKind, Topology } from "@horizon/core/lab/topology.ts"
import { expect, test } from "vitest"
import { lab } from "./lab.fixture.ts"
import { PROTOCOL } from "./packet.ts"

const subnet = (cidr: string) => ({ cidr })

/** a - r1 - r2 - r3 - b, and a longer way round r1 and r2 by r4, r5 and r6. */
const CHAIN: Topology = {
  subnets: {
    s0: subnet("10.0.0.0/24"),
    s1: subnet("10.0.1.0/24"),
    s2: subnet("10.0.2.0/24"),
    s3: subnet("10.0.3.0/24"),
    s4: subnet("10.0.4.0/24"),
    s5: subnet("10.0.5.0/24")
  },
  hosts: { a: { subnet: "s0" }, b: { subnet: "s3" } },
  routers: {
    r4: { subnets: ["s0", "s4"] },
    r5: { subnets: ["s4", "s5"] },
    r6: { subnets: ["s5", "s2"] },
    r1: { subnets: ["s0", "s1"], links: { s1: { up: { delayUs: 1000 } } } },
    r2: { subnets: ["s1", "s2"], links: { s2: { up: { delayUs: 2000 } } } },
    r3: { subnets: ["s2", "s3"], links: { s3: { up: { delayUs: 4000 } } } }
  }
}

test("a packet crosses three routers by the shortest path and loses one hop at each", () => {
  const { network, pool, open, say, run } = lab(CHAIN)
  const heard = open("b", 7)
  const path: Array<string> = []
  network.tap = (point, packet, where) => path.push(`${point} ${where} ${pool.ttl[packet]}`)
  say("a", 5, "10.0.3.2:7", "x")
  run(6.999)
  expect(heard).toEqual([])
  run(0.001)
  expect(heard).toEqual(["10.0.0.3:5 x"])
  expect(path).toEqual(["sent a 64", "delivered b 61"])
  expect(network.link("r4/s4", "up").link.counters.offered).toBe(0)
})

test("of two equally short paths the router that is declared first is taken", () => {
  const { network, say, run } = lab({
    subnets: { s0: subnet("10.0.0.0/24"), s1: subnet("10.0.1.0/24") },
    hosts: { a: { subnet: "s0" }, b: { subnet: "s1" } },
    routers: { z: { subnets: ["s1", "s0"] }, y: { subnets: ["s0", "s1"] } }
  })
  say("a", 5, "10.0.1.3:7", "x")
  run(10)
  const carried = (router: string) => network.link(`${router}/s1`, "up").link.counters.delivered
  expect([carried("z"), carried("y")]).toEqual([1, 0])
})

test("a packet whose hops are used up dies, and its sender is told by the router where", () => {
  const { network, pool, say, run, errors, dropped } = lab(CHAIN)
  const told = errors("a", 5)
  for (const ttl of [1, 2, 3, 4]) {
    network.tap = (point, packet, where) => {
      if (point === "sent" && where === "a") pool.ttl[packet] = ttl
    }
    say("a", 5, "10.0.3.2:7", "x")
    run(100)
  }
  expect(told).toEqual([
    "10.0.0.2 b00 10.0.0.3:5>10.0.3.2:7",
    "10.0.1.2 b00 10.0.0.3:5>10.0.3.2:7",
    "10.0.2.3 b00 10.0.0.3:5>10.0.3.2:7",
    "10.0.3.2 303 10.0.0.3:5>10.0.3.2:7"
  ])
  expect(dropped()).toEqual({ "ttl-expired": 3, "no-listener": 1 })
})

test("a router's own address answers that nobody listens there, and nothing about an ICMP error", () => {
  const { say, run, errors, dropped, network } = lab(CHAIN)
  const told = errors("a", 5)
  say("a", 5, "10.0.0.1:7", "x")
  say("a", 5, "10.0.3.1:7", "x")
  run(100)
  expect(told).toEqual(["10.0.0.1 303 10.0.0.3:5>10.0.0.1:7", "10.0.3.1 303 10.0.0.3:5>10.0.3.1:7"])
  expect(dropped()).toEqual({ "no-listener": 2 })
  const { pool } = network
  // A forged source makes the router's error come back to the router: it dies there, unanswered.
  network.tap = (point, packet, where) => {
    if (point === "sent" && where === "a") pool.source[packet] = 0x0a000101
  }
  say("a", 5, "10.0.0.1:7", "x")
  run(100)
  expect(dropped()).toEqual({ "no-listener": 4 })
})

test("an unreachable address is dropped where the path ends, and so is an error to an unreachable sender", () => {
  const { network, pool, say, run, dropped } = lab({
    subnets: { s0: subnet("10.0.0.0/24"), s1: subnet("10.0.1.0/24"), island: subnet("10.0.9.0/24") },
    hosts: { a: { subnet: "s0" }, castaway: { subnet: "island" } },
    routers: { r1: { subnets: ["s0", "s1"] } }
  })
  say("a", 5, "10.0.9.1:7", "x")
  say("a", 5, "10.0.1.77:7", "x")
  run(1)
  expect(dropped()).toEqual({ "no-route": 1, "no-host": 1 })
  network.tap = (point, packet, where) => {
    if (point === "sent" && where === "a") pool.source[packet] = 0x01010101
  }
  say("a", 5, "10.0.0.1:7", "x")
  run(1)
  expect(dropped()).toEqual({ "no-route": 2, "no-host": 1, "no-listener": 1 })
})

test("the longest prefix decides", () => {
  const { open, say, run } = lab({
    subnets: { s0: subnet("10.9.0.0/24"), wide: subnet("10.0.0.0/16"), narrow: subnet("10.0.5.0/24") },
    hosts: {
      a: { subnet: "s0" },
      w: { subnet: "wide", address: "10.0.6.1" },
      n: { subnet: "narrow", address: "10.0.5.9" }
    },
    routers: { r: { subnets: ["wide", "s0", "narrow"] } }
  })
  const heard = [open("w", 7), open("n", 7)]
  say("a", 5, "10.0.6.1:7", "x")
  say("a", 5, "10.0.5.9:7", "y")
  run(1)
  expect(heard).toEqual([["10.9.0.2:5 x"], ["10.9.0.2:5 y"]])
})

test("two reachable subnets with one prefix are refused, unless NATs part them", () => {
  const same = { l: subnet("192.168.1.0/24"), r: subnet("192.168.1.0/24"), wan: subnet("203.0.113.0/24") }
  expect(() => lab({ subnets: same, routers: { x: { subnets: ["l", "wan"] }, y: { subnets: ["r", "wan"] } } })).toThrow(
    /same prefix/
  )
  const nat = { kind: "full-cone", outside: "wan", udpTimeoutMs: 1000, hairpin: false } as const
  expect(() =>
    lab({ subnets: same, routers: { x: { subnets: ["l", "wan"], nat }, y: { subnets: ["r", "wan"], nat } } })
  ).not.toThrow()
  expect(() => lab({ subnets: same, routers: { x: { subnets: ["l"], nat } } })).toThrow(/outside of NAT x/)
})

// --- address translation

/** Two homes with the same prefix behind NATs, and two servers outside. */
const homes = (kind: NatKind, hairpin = true): Topology => {
  const nat = { kind, outside: "wan", udpTimeoutMs: 30_000, hairpin } as const
  return {
    subnets: { wan: subnet("203.0.113.0/24"), h1: subnet("192.168.1.0/24"), h2: subnet("192.168.1.0/24") },
    hosts: {
      a: { subnet: "h1" },
      a2: { subnet: "h1" },
      b: { subnet: "h2" },
      s: { subnet: "wan", address: "203.0.113.100" },
      t: { subnet: "wan", address: "203.0.113.101" }
    },
    routers: { n1: { subnets: ["h1", "wan"], nat }, n2: { subnets: ["wan", "h2"], nat } }
  }
}
const KINDS: ReadonlyArray<NatKind> = ["full-cone", "address-restricted", "port-restricted", "symmetric"]

test.each(KINDS)("%s: a request goes out with the outside address and the answer comes back in", (kind) => {
  const { open, say, run } = lab(homes(kind))
  const [a, s] = [open("a", 5), open("s", 7)]
  say("a", 5, "203.0.113.100:7", "ask")
  run(1)
  expect(s).toEqual(["203.0.113.1:5 ask"])
  say("s", 7, "203.0.113.1:5", "answer")
  run(1)
  expect(a).toEqual(["203.0.113.100:7 answer"])
})

/** Who gets in at a's outside port after a has sent to s:7. */
test.each([
  ["full-cone", ["s:7", "s:8", "t:7"]],
  ["address-restricted", ["s:7", "s:8"]],
  ["port-restricted", ["s:7"]],
  ["symmetric", ["s:7"]]
] as const)("%s: of s:7, s:8 and t:7 the NAT lets in %j", (kind, allowed) => {
  const { open, say, run, dropped } = lab(homes(kind))
  const a = open("a", 5)
  open("s", 7)
  say("a", 5, "203.0.113.100:7", "open")
  run(1)
  say("s", 7, "203.0.113.1:5", "s:7")
  say("s", 8, "203.0.113.1:5", "s:8")
  say("t", 7, "203.0.113.1:5", "t:7")
  say("s", 7, "203.0.113.1:6", "no mapping")
  run(1)
  expect(a.map((line) => line.split(" ")[1])).toEqual(allowed)
  expect(dropped()).toEqual({
    ...(allowed.length < 3 ? { "nat-filtered": 3 - allowed.length } : {}),
    "nat-no-mapping": 1
  })
})

test("a private address is not reachable from outside, and the outside address without a mapping neither", () => {
  const { open, say, run, dropped } = lab(homes("full-cone"))
  const a = open("a", 5)
  say("s", 7, "192.168.1.2:5", "x")
  say("s", 7, "192.168.1.1:5", "x")
  say("s", 7, "203.0.113.1:5", "x")
  run(1)
  expect(a).toEqual([])
  expect(dropped()).toEqual({ "nat-no-mapping": 3 })
})

test("two inside hosts with one port get two outside ports, and each its own answers", () => {
  const { open, say, run } = lab(homes("port-restricted"))
  const [a, a2, s] = [open("a", 5), open("a2", 5), open("s", 7)]
  say("a", 5, "203.0.113.100:7", "a")
  say("a2", 5, "203.0.113.100:7", "a2")
  run(1)
  expect(s[0]).toBe("203.0.113.1:5 a")
  expect(s[1]).toMatch(/^203\.0\.113\.1:\d+ a2$/)
  const ports = s.map((line) => /:(\d+)/.exec(line)![1])
  expect(ports[0]).not.toBe(ports[1])
  say("s", 7, `203.0.113.1:${ports[1]}`, "to a2")
  say("s", 7, `203.0.113.1:${ports[0]}`, "to a")
  run(1)
  expect([a, a2]).toEqual([["203.0.113.100:7 to a"], ["203.0.113.100:7 to a2"]])
})

test("a mapping expires after its time-out, streams live longer, and rebinding and wiping reach the live NAT", () => {
  const { network, open, say, run, dropped } = lab(homes("port-restricted"))
  const [a, s] = [open("a", 5), open("s", 7)]
  const aStream = open("a", 5, PROTOCOL.stream)
  const sStream = open("s", 7, PROTOCOL.stream)
  say("a", 5, "203.0.113.100:7", "x")
  say("a", 5, "203.0.113.100:7", "x", PROTOCOL.stream)
  run(30_001)
  say("s", 7, "203.0.113.1:5", "late")
  say("s", 7, "203.0.113.1:5", "in time", PROTOCOL.stream)
  run(1)
  expect([a, aStream]).toEqual([[], ["203.0.113.100:7 in time"]])
  expect(dropped()).toEqual({ "nat-no-mapping": 1 })
  network.natRebind("n1")
  say("a", 5, "203.0.113.100:7", "y", PROTOCOL.stream)
  run(1)
  expect(sStream[1]).toMatch(/^203\.0\.113\.1:\d+ y$/)
  expect(sStream[1]).not.toBe("203.0.113.1:5 y")
  network.natWipe("n1")
  say("a", 5, "203.0.113.100:7", "z", PROTOCOL.stream)
  run(1)
  expect(sStream[2]).toBe("203.0.113.1:5 z")
  expect(s).toEqual(["203.0.113.1:5 x"])
})

test("hairpin: inside hosts meet at the outside address if the NAT does that, showing the outside endpoint", () => {
  const meet = (hairpin: boolean) => {
    const { open, say, run, dropped } = lab(homes("full-cone", hairpin))
    const [a, a2] = [open("a", 5), open("a2", 6)]
    say("a", 5, "203.0.113.100:7", "open")
    run(1)
    say("a2", 6, "203.0.113.1:5", "hello")
    run(1)
    say("a", 5, "203.0.113.1:6", "back")
    run(1)
    return { a, a2, dropped: dropped() }
  }
  expect(meet(true)).toEqual({ a: ["203.0.113.1:6 hello"], a2: ["203.0.113.1:5 back"], dropped: { "no-listener": 1 } })
  expect(meet(false)).toEqual({ a: [], a2: [], dropped: { "no-listener": 1, "nat-no-hairpin": 2 } })
})

test("hairpin obeys the filter", () => {
  const { open, say, run, dropped } = lab(homes("port-restricted"))
  const a = open("a", 5)
  open("s", 7)
  say("a", 5, "203.0.113.100:7", "open")
  run(1)
  say("a2", 6, "203.0.113.1:5", "hello")
  run(1)
  expect(a).toEqual([])
  expect(dropped()).toEqual({ "nat-filtered": 1 })
})

test("hole punching works between port-restricted NATs and fails between symmetric ones", () => {
  const punch = (kind: NatKind) => {
    const { open, say, run } = lab(homes(kind))
    const [a, b, s] = [open("a", 5), open("b", 5), open("s", 7)]
    say("a", 5, "203.0.113.100:7", "me")
    say("b", 5, "203.0.113.100:7", "me")
    run(1)
    const seen = s.map((line) => line.split(" ")[0])
    for (let i = 0; i < 2; i++) {
      say("a", 5, seen[1], "hi")
      say("b", 5, seen[0], "hi")
      run(1)
    }
    return [a.length > 0, b.length > 0]
  }
  expect(punch("port-restricted")).toEqual([true, true])
  expect(punch("symmetric")).toEqual([false, false])
})

/** Carrier grade: homes behind NATs whose outside lies behind another NAT. */
const CARRIER: Topology = (() => {
  const nat = { kind: "port-restricted", udpTimeoutMs: 30_000, hairpin: true } as const
  return {
    subnets: {
      wan: subnet("203.0.113.0/24"),
      carrier: subnet("100.64.0.0/10"),
      h1: subnet("192.168.1.0/24"),
      h2: subnet("192.168.1.0/24")
    },
    hosts: { a: { subnet: "h1" }, b: { subnet: "h2" }, s: { subnet: "wan", address: "203.0.113.100" } },
    routers: {
      cgn: { subnets: ["carrier", "wan"], nat: { ...nat, outside: "wan" } },
      n1: { subnets: ["h1", "carrier"], nat: { ...nat, outside: "carrier" } },
      n2: { subnets: ["h2", "carrier"], nat: { ...nat, outside: "carrier" } }
    }
  }
})()

test("carrier grade: two NATs deep a request gets out, its answer in, and customers meet by the carrier's hairpin", () => {
  const { open, say, run } = lab(CARRIER)
  const [a, b, s] = [open("a", 5), open("b", 5), open("s", 7)]
  say("a", 5, "203.0.113.100:7", "a")
  say("b", 5, "203.0.113.100:7", "b")
  run(1)
  const seen = s.map((line) => line.split(" ")[0])
  expect(seen.every((end) => end.startsWith("203.0.113.1:"))).toBe(true)
  expect(new Set(seen).size).toBe(2)
  say("s", 7, seen[0], "answer")
  say("s", 7, seen[1], "answer")
  run(1)
  expect([a, b]).toEqual([["203.0.113.100:7 answer"], ["203.0.113.100:7 answer"]])
  for (let i = 0; i < 2; i++) {
    say("a", 5, seen[1], "hi")
    say("b", 5, seen[0], "hi")
    run(1)
  }
  expect([a.at(-1), b.at(-1)]).toEqual([`${seen[1]} hi`, `${seen[0]} hi`])
})

test("partitions hold behind NATs, where packets show another source", () => {
  const { network, open, say, run, dropped } = lab(CARRIER)
  const s = open("s", 7)
  const heal = network.partition(["a"], ["s"], "a-to-b")
  say("a", 5, "203.0.113.100:7", "a")
  say("b", 5, "203.0.113.100:7", "b")
  run(1)
  expect(s.map((line) => line.split(" ")[1])).toEqual(["b"])
  expect(dropped()).toEqual({ partition: 1 })
  heal()
  say("a", 5, "203.0.113.100:7", "a")
  run(1)
  expect(s.length).toBe(2)
})

test("ICMP errors are translated on their way in: the inside host sees its own endpoint quoted", () => {
  const { say, run, errors } = lab(CARRIER)
  const told = errors("a", 5)
  say("a", 5, "203.0.113.100:9", "x")
  run(1)
  expect(told).toEqual(["203.0.113.100 303 192.168.1.2:5>203.0.113.100:9"])
})

test("ICMP errors are translated on their way out: the outside host sees the mapping quoted", () => {
  const { network, open, say, run, errors, dropped } = lab(homes("full-cone"))
  const told = errors("s", 7)
  open("s", 7)
  say("a", 5, "203.0.113.100:7", "open")
  run(1)
  // Nobody listens on a's port 5.
  say("s", 7, "203.0.113.1:5", "x")
  run(1)
  expect(told).toEqual(["203.0.113.1 303 203.0.113.100:7>203.0.113.1:5"])
  // A router's own error, about a packet that it has translated already.
  network.changeLink("n1/h1", "up", { mtuBytes: 100 })
  say("s", 7, "203.0.113.1:5", "x".repeat(200))
  run(1)
  expect(told[1]).toBe("203.0.113.1 304 203.0.113.100:7>203.0.113.1:5")
  // And one about a packet that it had not translated yet.
  const { pool } = network
  network.tap = (point, packet, where) => {
    if (point === "sent" && where === "s") pool.ttl[packet] = 1
  }
  say("s", 7, "203.0.113.1:5", "x")
  run(1)
  expect(told[2]).toBe("203.0.113.1 b00 203.0.113.100:7>203.0.113.1:5")
  expect(dropped()).toEqual({ "no-listener": 1, mtu: 1, "ttl-expired": 1 })
})

test("the NAT's own error about a packet too big for its outside cable finds the inside host", () => {
  const { network, say, run, errors } = lab(homes("symmetric"))
  network.changeLink("n1/wan", "up", { mtuBytes: 100 })
  const told = errors("a", 5)
  say("a", 5, "203.0.113.100:7", "x".repeat(200))
  run(1)
  expect(told).toEqual(["203.0.113.1 304 192.168.1.2:5>203.0.113.100:7"])
})

test("hairpinned ICMP errors find the inside sender", () => {
  const { open, say, run, errors } = lab(homes("full-cone"))
  open("s", 7)
  say("a", 5, "203.0.113.100:7", "open")
  run(1)
  const told = errors("a2", 6)
  say("a2", 6, "203.0.113.1:5", "nobody listens")
  run(1)
  expect(told).toEqual(["203.0.113.1 303 192.168.1.3:6>203.0.113.1:5"])
})

test("ICMP errors about flows that the NAT does not know are dropped in both directions", () => {
  const { network, open, say, run, dropped, errors } = lab({
    ...homes("full-cone"),
    hosts: { ...homes("full-cone").hosts, a: { subnet: "h1", up: { delayUs: 5000 }, down: { delayUs: 5000 } } }
  })
  const told = [errors("s", 7), errors("a", 5)]
  open("s", 7)
  say("a", 5, "203.0.113.100:7", "open")
  run(10)
  say("s", 7, "203.0.113.1:5", "x")
  run(6)
  network.natWipe("n1")
  run(10)
  expect(dropped()).toEqual({ "no-listener": 1, "nat-no-mapping": 1 })
  network.changeLink("s", "down", { delayUs: 5000 })
  say("a", 5, "203.0.113.100:9", "x")
  run(7)
  network.natWipe("n1")
  run(20)
  expect(dropped()).toEqual({ "no-listener": 2, "nat-no-mapping": 2 })
  expect(told).toEqual([[], []])
})

test("a NAT whose ports are used up lets nothing more out", () => {
  const { network, open, say, run, dropped } = lab(homes("symmetric"), { packetsMax: 2000 })
  const s = open("s", 7)
  for (let port = 1; port < 1023; port += 2) {
    say("a", port, "203.0.113.100:7", "x")
    say("a2", port, "203.0.113.100:7", "x")
    if (port % 101 === 0) run(1)
  }
  run(1)
  // The range below 1024 has 512 odd ports, and 1,022 flows want one.
  expect(s.length).toBe(512)
  expect(dropped()).toEqual({ "nat-exhausted": 510 })
  expect(network.counters.delivered).toBe(512)
})
