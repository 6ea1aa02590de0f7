import { linkSpec } from "@horizon/core/link/spec.ts"
import { expect, test } from "vitest"
import { Rng } from "../kernel/rng.ts"
import { lab } from "./lab.fixture.ts"
import { LOOPBACK_DELAY_NS } from "./network.ts"
import { PROTOCOL } from "./packet.ts"

const LAN = {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { a: { subnet: "lan" }, b: { subnet: "lan" }, c: { subnet: "lan" } }
}

test("a packet takes the delay of the sender's up link and the receiver's down link", () => {
  const { network, open, say, run, kernel } = lab({
    ...LAN,
    hosts: {
      a: { subnet: "lan", up: { delayUs: 3000 }, down: { delayUs: 9000 } },
      b: { subnet: "lan", down: { delayUs: 4000 } }
    }
  })
  const heard = open("b", 7)
  say("a", 5, "10.0.0.2:7", "hi")
  run(6.999999)
  expect(heard).toEqual([])
  run(0.000001)
  expect(heard).toEqual(["10.0.0.1:5 hi"])
  expect(kernel.nowNs).toBe(7e6)
  expect(network.counters).toMatchObject({ sent: 1, sentBytes: 30, delivered: 1, deliveredBytes: 30, dropped: 0 })
})

test("a rate counts 28 bytes of headers for UDP", () => {
  const { open, say, run } = lab({
    ...LAN,
    hosts: { a: { subnet: "lan", up: { rateBps: 1_000_000 } }, b: { subnet: "lan" } }
  })
  const heard = open("b", 7)
  // 97 + 28 bytes are 1,000 bits: 1 ms each.
  for (let i = 0; i < 3; i++) say("a", 5, "10.0.0.2:7", "x".repeat(97))
  run(2.9)
  expect(heard.length).toBe(2)
  run(0.1)
  expect(heard.length).toBe(3)
})

test("the loopback takes its fixed delay, no link, and keeps the address that was used", () => {
  const { open, say, run, network } = lab({ ...LAN, hosts: { a: { subnet: "lan", up: { lossPpm: 1_000_000 } } } })
  const heard = open("a", 7)
  say("a", 5, "127.0.0.1:7", "one")
  say("a", 5, "10.0.0.1:7", "two")
  run((LOOPBACK_DELAY_NS - 1) / 1e6)
  expect(heard).toEqual([])
  run(1 / 1e6)
  expect(heard).toEqual(["127.0.0.1:5 one", "10.0.0.1:5 two"])
  expect(network.link("a", "up").link.counters.offered).toBe(0)
})

test("limited and directed broadcasts reach every other host of the subnet and no other", () => {
  const { open, say, run, network, dropped } = lab({
    subnets: { lan: { cidr: "10.0.0.0/24" }, far: { cidr: "10.0.1.0/24" } },
    hosts: { a: { subnet: "lan" }, b: { subnet: "lan" }, c: { subnet: "lan" }, d: { subnet: "far" } },
    routers: { r: { subnets: ["lan", "far"] } }
  })
  const heard = ["a", "b", "c", "d"].map((name) => open(name, 7))
  say("a", 5, "255.255.255.255:7", "limited")
  say("b", 5, "10.0.0.255:7", "directed")
  say("d", 5, "10.0.0.255:7", "from afar")
  say("d", 5, "10.0.1.255:7", "alone")
  run(1)
  expect(heard).toEqual([
    ["10.0.0.3:5 directed"],
    ["10.0.0.2:5 limited"],
    ["10.0.0.2:5 limited", "10.0.0.3:5 directed"],
    []
  ])
  expect(dropped()).toEqual({ "broadcast-not-routed": 1, "no-host": 1 })
  expect(network.counters.copied).toBe(2)
})

test("a broadcast to a closed port is dropped without an ICMP error", () => {
  const { say, run, errors, dropped } = lab(LAN)
  const complaints = errors("a", 5)
  say("a", 5, "255.255.255.255:9", "x")
  say("a", 5, "10.0.0.255:9", "x")
  run(1)
  expect(complaints).toEqual([])
  expect(dropped()).toEqual({ "no-listener": 4 })
})

test("a closed port is answered by ICMP to the socket that sent, and only to it", () => {
  const { say, run, errors, dropped, network } = lab(LAN)
  const mine = errors("a", 5)
  const others = errors("a", 6)
  say("a", 5, "10.0.0.2:9", "x")
  say("a", 5, "127.0.0.1:9", "x")
  say("a", 5, "10.0.0.2:80", "x", PROTOCOL.stream)
  run(1)
  expect(mine).toEqual(["10.0.0.2 303 10.0.0.1:5>10.0.0.2:9", "127.0.0.1 303 127.0.0.1:5>127.0.0.1:9"])
  expect(others).toEqual([])
  expect(dropped()).toEqual({ "no-listener": 3 })
  expect(network.counters).toMatchObject({ sent: 6, delivered: 3 })
})

test("an address that no host has and one that no route leads to are different drops", () => {
  const { say, run, dropped } = lab(LAN)
  say("a", 5, "10.0.0.99:9", "x")
  say("a", 5, "8.8.8.8:9", "x")
  run(1)
  expect(dropped()).toEqual({ "no-host": 1, "no-route": 1 })
})

test("a port is taken once for each address; a reset host has none", () => {
  const { network, say, run, open, errors, dropped } = lab(LAN)
  const host = network.host("b")
  const nothing = () => {}
  const unlisten = host.listen(PROTOCOL.udp, 7, nothing, host.address)!
  expect(host.listen(PROTOCOL.udp, 7, nothing, host.address)).toBeUndefined()
  expect(host.listen(PROTOCOL.udp, 7, nothing)).toBeUndefined()
  expect(host.listen(PROTOCOL.stream, 7, nothing)).toBeDefined()
  expect(host.listen(PROTOCOL.udp, 7, nothing, 0x7f000001)).toBeDefined()
  unlisten()
  unlisten()
  expect(host.listen(PROTOCOL.udp, 7, nothing, host.address)).toBeDefined()
  host.listen(PROTOCOL.udp, 6, () => expect.unreachable("the listener is bound to the loopback"), 0x7f000001)
  say("a", 5, "10.0.0.2:6", "x")
  const heard = open("b", 8)
  const complaints = errors("b", 5)
  host.reset()
  say("a", 5, "10.0.0.2:8", "x")
  say("b", 5, "10.0.0.1:8", "x")
  run(1)
  expect([heard, complaints]).toEqual([[], []])
  expect(dropped()).toEqual({ "no-listener": 3 })
  expect(open("b", 8)).toEqual([])
})

test("a removed ICMP receiver hears nothing more, its neighbour still does", () => {
  const { network, say, run } = lab(LAN)
  const calls: Array<string> = []
  const host = network.host("a")
  const remove = host.onIcmp(PROTOCOL.udp, 5, () => calls.push("first"))
  host.onIcmp(PROTOCOL.udp, 5, () => calls.push("second"))
  say("a", 5, "10.0.0.2:9", "x")
  run(1)
  remove()
  say("a", 5, "10.0.0.2:9", "x")
  run(1)
  expect(calls).toEqual(["first", "second", "second"])
})

test("ephemeral ports are free, in range and from the seed; none is left when all are taken", () => {
  const draw = (seed: number) => {
    const { network } = lab(LAN, { seed })
    const host = network.host("a")
    return Array.from({ length: 500 }, () => {
      const port = host.ephemeralPort(PROTOCOL.udp)
      host.listen(PROTOCOL.udp, port, () => {})
      return port
    })
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(new Set(draw(1)).size).toBe(500)
  expect(draw(1).every((port) => port >= 32_768 && port <= 60_999)).toBe(true)
})

// --- faults

test("partitions cut one way or both, and overlapping ones heal one by one", () => {
  const { network, open, say, run, dropped } = lab(LAN)
  const heard = { a: open("a", 7), b: open("b", 7), c: open("c", 7) }
  const talk = () => {
    for (const list of Object.values(heard)) list.length = 0
    say("a", 5, "10.0.0.2:7", "x")
    say("b", 5, "10.0.0.1:7", "x")
    say("c", 5, "10.0.0.1:7", "x")
    say("a", 5, "10.0.0.3:7", "x")
    run(1)
    return [heard.a.length, heard.b.length, heard.c.length]
  }
  expect(talk()).toEqual([2, 1, 1])
  const oneWay = network.partition(["a"], ["b"], "a-to-b")
  expect(talk()).toEqual([2, 0, 1])
  const bothWays = network.partition(["a"], ["b", "c"], "both")
  expect(talk()).toEqual([0, 0, 0])
  oneWay()
  expect(talk()).toEqual([0, 0, 0])
  oneWay()
  const again = network.partition(["b"], ["a"], "a-to-b")
  bothWays()
  bothWays()
  expect(talk()).toEqual([1, 1, 1])
  again()
  expect(talk()).toEqual([2, 1, 1])
  expect(dropped()).toEqual({ partition: 1 + 4 + 4 + 1 })
})

test("a partition stops broadcasts and ICMP of the hosts that it parts, and loopback never", () => {
  const { network, open, say, run, errors } = lab(LAN)
  const b = open("b", 7)
  const c = open("c", 7)
  const self = open("a", 7)
  const complaints = errors("a", 5)
  network.partition(["b"], ["a"], "both")
  say("a", 5, "255.255.255.255:7", "x")
  say("a", 5, "10.0.0.2:9", "x")
  say("a", 5, "127.0.0.1:7", "x")
  run(1)
  expect([b.length, c.length, self.length, complaints.length]).toEqual([0, 1, 1, 0])
})

test("changes of a link stack and each is undone alone, in any order", () => {
  const { network, open, say, run, kernel } = lab({
    ...LAN,
    hosts: { ...LAN.hosts, a: { subnet: "lan", up: { delayUs: 1000 } } }
  })
  const heard = open("b", 7)
  const delayMs = () => {
    const start = kernel.nowNs
    heard.length = 0
    say("a", 5, "10.0.0.2:7", "x")
    while (heard.length === 0 && kernel.nowNs - start < 100e6) run(1)
    return heard.length === 0 ? Number.POSITIVE_INFINITY : (kernel.nowNs - start) / 1e6
  }
  expect(delayMs()).toBe(1)
  const slow = network.changeLink("a", "both", { delayUs: 10_000 })
  expect(delayMs()).toBe(10)
  const slower = network.changeLink("a", "up", { delayUs: 20_000 })
  const lossy = network.changeLink("a", "up", { lossPpm: 1_000_000 })
  expect(delayMs()).toBe(Number.POSITIVE_INFINITY)
  slow()
  lossy()
  expect(delayMs()).toBe(20)
  slow()
  slower()
  expect(delayMs()).toBe(1)
})

test("faults that make no link together do not stop the run: the later one wins while it lasts", () => {
  const { network } = lab(LAN)
  const rate = network.changeLink("a", "up", { rateBps: 1_000_000, reorderGap: { gap: 5, ppm: 1000 } })
  const trace = network.changeLink("a", "up", { deliveryTraceMs: [1, 2], reordering: "forbidden" })
  const again = network.changeLink("a", "up", { rateBps: 2_000_000, reorderGap: { gap: 5, ppm: 1000 } })
  trace()
  network.changeLink("a", "up", { deliveryTraceMs: [1, 2] })
  rate()
  again()
  expect(() => network.changeLink("a", "up", { lossPpm: -1 })).toThrow(/lossPpm: -1/)
})

test("a link that is cut twice works again only when both cuts are mended; what was under way still arrives", () => {
  const { network, open, say, run, dropped } = lab({
    ...LAN,
    hosts: { ...LAN.hosts, a: { subnet: "lan", up: { delayUs: 1000 } } }
  })
  const heard = open("b", 7)
  say("a", 5, "10.0.0.2:7", "under way")
  const first = network.setLinkDown("a", "up")
  const second = network.setLinkDown("a", "both")
  say("a", 5, "10.0.0.2:7", "lost")
  run(2)
  second()
  second()
  say("a", 5, "10.0.0.2:7", "lost")
  first()
  say("a", 5, "10.0.0.2:7", "back")
  run(2)
  expect(heard).toEqual(["10.0.0.1:5 under way", "10.0.0.1:5 back"])
  expect(dropped()).toEqual({ down: 2 })
})

test("faults on what the topology does not have are refused by name", () => {
  const { network } = lab(LAN)
  expect(() => network.host("z")).toThrow(/declares the host z/)
  expect(() => network.changeLink("z", "up", {})).toThrow(/declares the interface z/)
  expect(() => network.natWipe("z")).toThrow(/declares the NAT z/)
})

// --- impairments and limits

test("duplicates arrive as packets of their own, with the same content", () => {
  const { network, open, say, run } = lab({
    ...LAN,
    hosts: { ...LAN.hosts, a: { subnet: "lan", up: { duplicatePpm: 1_000_000 } } }
  })
  const heard = open("b", 7)
  say("a", 5, "10.0.0.2:7", "twice")
  run(1)
  expect(heard).toEqual(["10.0.0.1:5 twice", "10.0.0.1:5 twice"])
  expect(network.counters).toMatchObject({ sent: 1, copied: 1, delivered: 2 })
})

test("a flipped bit reaches the receiver of UDP in the payload and is caught by a checksum elsewhere", () => {
  const flip = (protocol: number, length: number) => {
    const { open, say, run, dropped } = lab({
      ...LAN,
      hosts: { ...LAN.hosts, a: { subnet: "lan", up: { corruptPpm: 1_000_000 } } }
    })
    const heard = open("b", 7, protocol)
    for (let i = 0; i < 50; i++) say("a", 5, "10.0.0.2:7", "@".repeat(length), protocol)
    run(1)
    return { heard, caught: dropped()["bad-checksum"] ?? 0 }
  }
  const large = flip(PROTOCOL.udp, 1000)
  expect(large.heard.length + large.caught).toBe(50)
  expect(large.heard.length).toBeGreaterThan(40)
  for (const line of large.heard) {
    const text = line.split(" ").slice(1).join(" ")
    expect([...text].filter((character) => character !== "@").length).toBe(1)
  }
  expect(flip(PROTOCOL.udp, 0).caught).toBe(50)
  expect(flip(PROTOCOL.stream, 1000).caught).toBe(50)
})

test("a truncated UDP payload arrives shorter; cut in the header, or of a stream, it does not arrive", () => {
  const cut = (protocol: number) => {
    const { open, say, run, dropped } = lab({
      ...LAN,
      hosts: { ...LAN.hosts, a: { subnet: "lan", up: { truncatePpm: 1_000_000 } } }
    })
    const heard = open("b", 7, protocol)
    for (let i = 0; i < 50; i++) say("a", 5, "10.0.0.2:7", "@".repeat(100), protocol)
    run(1)
    return { lengths: heard.map((line) => line.split(" ")[1].length), caught: dropped()["bad-checksum"] ?? 0 }
  }
  const udp = cut(PROTOCOL.udp)
  expect(udp.lengths.length + udp.caught).toBe(50)
  expect(udp.lengths.length).toBeGreaterThan(25)
  expect(udp.lengths.every((length) => length < 100)).toBe(true)
  expect(udp.caught).toBeGreaterThan(0)
  expect(cut(PROTOCOL.stream)).toEqual({ lengths: [], caught: 50 })
})

test("CoDel marks ECN-capable packets, and its queue and time-outs run on the kernel", () => {
  const { network, pool, say, run } = lab({
    ...LAN,
    hosts: {
      ...LAN.hosts,
      a: {
        subnet: "lan",
        up: {
          rateBps: 1_000_000,
          queue: { kind: "codel", packetsMax: 1000, bytesMax: 1_500_000, targetUs: 5000, intervalUs: 20_000, ecn: true }
        }
      }
    }
  })
  const marks: Array<number> = []
  network.host("b").listen(PROTOCOL.udp, 7, (packet) => marks.push(pool.ecn[packet]))
  network.tap = (point, packet) => {
    if (point === "sent") pool.ecn[packet] = 2
  }
  for (let i = 0; i < 100; i++) say("a", 5, "10.0.0.2:7", "x".repeat(222))
  run(100)
  expect(network.link("a", "up").queuePackets()).toBe(100 - marks.length - 1)
  expect(network.link("a", "up").queueBytes()).toBe((100 - marks.length - 1) * 250)
  run(200)
  expect(marks.length).toBe(100)
  expect(marks.filter((ecn) => ecn === 3).length).toBeGreaterThan(3)
  expect(marks.every((ecn) => ecn === 2 || ecn === 3)).toBe(true)
})

test("a packet above the MTU is answered by ICMP from whichever end of the cable, or vanishes in a black hole", () => {
  const { network, say, run, errors, dropped } = lab({
    subnets: { lan: { cidr: "10.0.0.0/24" }, far: { cidr: "10.0.1.0/24" } },
    hosts: {
      a: { subnet: "lan" },
      b: { subnet: "far", down: { mtuBytes: 1280 } },
      c: { subnet: "lan", down: { mtuBytes: 1000, mtuAnswer: false } }
    },
    routers: { r: { subnets: ["lan", "far"], links: { far: { up: { mtuBytes: 1400 } } } } }
  })
  const told = errors("a", 5)
  const text = (bytes: number) => "x".repeat(bytes - 28)
  say("a", 5, "10.0.1.2:7", text(1500))
  run(1)
  // The router's end of its own cable, then the switch's end of b's.
  expect(told).toEqual(["10.0.1.1 304 10.0.0.2:5>10.0.1.2:7"])
  say("a", 5, "10.0.1.2:7", text(1400))
  run(1)
  expect(told.slice(1)).toEqual(["10.0.1.2 304 10.0.0.2:5>10.0.1.2:7"])
  network.changeLink("a", "up", { mtuBytes: 1200 })
  say("a", 5, "10.0.1.2:7", text(1280))
  run(1)
  expect(told.slice(2)).toEqual(["10.0.0.2 304 10.0.0.2:5>10.0.1.2:7"])
  say("a", 5, "10.0.0.3:7", text(1100))
  run(1)
  expect(told.length).toBe(3)
  expect(dropped()).toEqual({ mtu: 4 })
})

test("a full pool makes senders, copies and errors fail, and nothing else", () => {
  const { network, open, say, run, pool } = lab(LAN, { packetsMax: 3 })
  const heard = [open("b", 7), open("c", 7)]
  say("a", 5, "255.255.255.255:7", "1")
  say("a", 5, "255.255.255.255:7", "2")
  say("a", 5, "255.255.255.255:7", "no room")
  run(1)
  // The second broadcast lacked the room for its copy, so only the last host of the subnet heard it.
  expect(heard).toEqual([["10.0.0.1:5 1"], ["10.0.0.1:5 1", "10.0.0.1:5 2"]])
  expect(pool.exhausted).toBe(2)
  for (let i = 0; i < 3; i++) say("a", 5, "10.0.0.2:9", "x")
  run(1)
  // The first refusal lacked the room for its error; by being dropped it made the room for the others'.
  expect(pool.exhausted).toBe(3)
  expect(network.counters).toMatchObject({ sent: 7, copied: 1, delivered: 5, dropped: 3 })
  expect(pool.used).toBe(0)
})

// --- the run as a whole

const STORMY = linkSpec({
  delayUs: 2000,
  jitterUs: 1500,
  lossPpm: 50_000,
  corruptPpm: 50_000,
  truncatePpm: 20_000,
  duplicatePpm: 50_000,
  rateBps: 2_000_000,
  queue: { kind: "droptail", packetsMax: 3, bytesMax: 20_000 }
})

/** Two homes behind NATs, a LAN, faults and ten thousand packets of all kinds. */
const storm = (seed: number, change: { readonly extraLossAtC?: boolean } = {}) => {
  const home = {
    subnets: ["wan"],
    nat: { kind: "port-restricted", outside: "wan", udpTimeoutMs: 50, hairpin: true }
  } as const
  const { kernel, network, pool, open, say, run } = lab(
    {
      subnets: { wan: { cidr: "203.0.113.0/24" }, h1: { cidr: "192.168.1.0/24" }, h2: { cidr: "192.168.1.0/24" } },
      hosts: {
        a: { subnet: "h1", up: STORMY, down: STORMY },
        a2: { subnet: "h1", up: STORMY },
        b: { subnet: "h2", up: STORMY },
        c: { subnet: "wan", ...(change.extraLossAtC === true ? { up: { lossPpm: 10_000 } } : {}) },
        d: { subnet: "wan", down: STORMY }
      },
      routers: { n1: { ...home, subnets: ["h1", "wan"] }, n2: { ...home, subnets: ["h2", "wan"] } }
    },
    { seed, packetsMax: 300 }
  )
  for (const name of ["a", "a2", "b", "c", "d"]) open(name, 7)
  const rng = new Rng(seed, "test")
  const names = ["a", "a2", "b", "c", "d"]
  const targets = [
    "203.0.113.3",
    "203.0.113.4",
    "203.0.113.1",
    "192.168.1.2",
    "192.168.1.255",
    "255.255.255.255",
    "127.0.0.1",
    "8.8.8.8"
  ]
  const undo: Array<() => void> = []
  for (let i = 0; i < 10_000; i++) {
    const text = "payload ".repeat(rng.below(20))
    say(
      rng.pick(names),
      7,
      `${rng.pick(targets)}:${rng.pick([7, 7, 9])}`,
      text,
      rng.pick([PROTOCOL.udp, PROTOCOL.udp, PROTOCOL.stream])
    )
    if (rng.chance(10_000)) undo.push(network.partition([rng.pick(names)], [rng.pick(names)], "both"))
    if (rng.chance(10_000)) undo.push(network.setLinkDown(rng.pick(names), "both"))
    if (rng.chance(10_000)) network.natRebind("n1")
    if (rng.chance(30_000)) undo.shift()?.()
    if (rng.chance(200_000)) run(0.3)
  }
  return { kernel, network, pool, run }
}

test("no packet is lost sight of: sent and copied are delivered, dropped or under way, at every moment", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { kernel, network, pool, run } = storm(seed)
    const balance = () => {
      const { sent, copied, delivered, dropped } = network.counters
      return sent + copied - delivered - dropped
    }
    expect(balance()).toBe(pool.used)
    expect(pool.used).toBeGreaterThan(0)
    run(10_000)
    expect([balance(), pool.used]).toEqual([0, 0])
    const { droppedBy, dropped, delivered } = network.counters
    expect([...droppedBy.values()].reduce((a, b) => a + b)).toBe(dropped)
    expect(delivered).toBeGreaterThan(2000)
    // The storm must have seen what it is there for.
    expect([...droppedBy.keys()]).toEqual(
      expect.arrayContaining([
        "loss",
        "queue-full",
        "partition",
        "down",
        "nat-no-mapping",
        "nat-filtered",
        "no-route",
        "bad-checksum"
      ])
    )
    expect(kernel.digest.count).toBe(delivered + dropped)
  }
})

test("one seed gives one digest, another seed another", () => {
  const digest = (seed: number) => {
    const { kernel, run } = storm(seed)
    run(1000)
    return kernel.digest.hex()
  }
  expect(digest(1)).toBe(digest(1))
  expect(digest(1)).not.toBe(digest(2))
})

test("a stage that is switched on at one link shifts no draw of another", () => {
  const lossesOf = (extraLossAtC: boolean) => {
    const { network, say, run, open } = lab({
      ...LAN,
      hosts: {
        a: { subnet: "lan", up: { lossPpm: 300_000 } },
        b: { subnet: "lan" },
        c: { subnet: "lan", up: extraLossAtC ? { lossPpm: 500_000, jitterUs: 10, delayUs: 100 } : {} }
      }
    })
    const heard = open("b", 7)
    for (let i = 0; i < 300; i++) {
      say("a", 5, "10.0.0.2:7", String(i))
      say("c", 5, "10.0.0.2:7", "noise")
    }
    run(10)
    expect(network.link("c", "up").link.counters.drops.some((count) => count > 0)).toBe(extraLossAtC)
    return heard.filter((line) => !line.endsWith("noise"))
  }
  expect(lossesOf(true)).toEqual(lossesOf(false))
  expect(lossesOf(true).length).toBeLessThan(300)
})

test("the tap sees every packet leave, arrive or fall, and where and why", () => {
  const { network, pool, open, say, run } = lab({
    ...LAN,
    hosts: { ...LAN.hosts, b: { subnet: "lan", down: { dropList: [1] } } }
  })
  open("b", 7)
  const seen: Array<string> = []
  network.tap = (point, packet, where, reason) => seen.push(`${point} ${pool.length[packet]} ${where} ${reason}`.trim())
  say("a", 5, "10.0.0.2:7", "x")
  say("a", 5, "10.0.0.2:7", "xx")
  run(1)
  expect(seen).toEqual(["sent 1 a", "sent 2 a", "dropped 2 b/down drop-list", "delivered 1 b"])
})

test("the digest tells apart runs that differ only in a port", () => {
  const digest = (port: number) => {
    const { kernel, open, say, run } = lab(LAN)
    open("b", 7)
    say("a", port, "10.0.0.2:7", "x")
    run(1)
    return kernel.digest.hex()
  }
  expect(digest(5)).toBe(digest(5))
  expect(digest(5)).not.toBe(digest(6))
})
