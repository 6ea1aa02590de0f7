import type { Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import fc from "fast-check"
import { expect, test } from "vitest"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { Network } from "./network.ts"
import { PROTOCOL } from "./packet.ts"
import { CONNECTIONS_MAX, type Stream, StreamStack } from "./stream.ts"
import { SEGMENT, SEGMENT_HEADER_BYTES, segmentFlags, writeSegment } from "./stream-segment.ts"

const LAN = (link: Partial<LinkSpec> = {}): Topology => ({
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { client: { subnet: "lan", up: link, down: link }, server: { subnet: "lan" } },
  routers: {}
})

const NAT: Topology = {
  subnets: { home: { cidr: "192.168.1.0/24" }, internet: { cidr: "203.0.113.0/24" } },
  hosts: {
    client: { subnet: "home", up: { delayUs: 5_000 }, down: { delayUs: 5_000 } },
    server: { subnet: "internet" }
  },
  routers: {
    nat: {
      subnets: ["home", "internet"],
      nat: { kind: "port-restricted", outside: "internet", udpTimeoutMs: 30_000, hairpin: false }
    }
  }
}

const DELAY: Partial<LinkSpec> = { delayUs: 10_000 }

const boot = (topology: Topology, seed = 1, packetsMax?: number) => {
  const kernel = new Kernel({ seed })
  const network = new Network(kernel, topology, packetsMax === undefined ? {} : { packetsMax })
  const start = (name: string) => new Process({ kernel, name, wall: new WallClock(kernel, 0) })
  const [client, server] = [network.host("client"), network.host("server")]
  return {
    kernel,
    network,
    start,
    client: { host: client, stack: StreamStack.of(client), process: start("client") },
    server: { host: server, stack: StreamStack.of(server), process: start("server") },
    run: (seconds: number) => kernel.run(kernel.nowNs + seconds * 1e9)
  }
}
type Bench = ReturnType<typeof boot>

/** Remembers what one end of a stream heard. */
class Ear {
  readonly bytes: Array<number> = []
  readonly events: Array<string> = []
  stream: Stream | undefined
  /** What to do when the peer has said all. */
  onPeerEnd: () => void = () => {}

  readonly handler = {
    onOpen: () => void this.events.push("open"),
    onData: (bytes: Uint8Array) => {
      for (const byte of bytes) this.bytes.push(byte)
    },
    onEnd: () => {
      this.events.push("end")
      this.onPeerEnd()
    },
    onClose: (end: string) => void this.events.push(end)
  }
}

/** A server that sends back what it gets and ends when the client does. */
const listenEcho = (bench: Bench, port = 80) => {
  const ears: Array<Ear> = []
  const release = bench.server.stack.listen(bench.server.process, port, (stream) => {
    const ear = new Ear()
    ear.stream = stream
    ears.push(ear)
    return {
      ...ear.handler,
      onData: (bytes) => {
        ear.handler.onData(bytes)
        stream.send(bytes)
      },
      onEnd: () => {
        ear.handler.onEnd()
        stream.end()
      }
    }
  })
  return { ears, release }
}

const connect = (bench: Bench, port = 80) => {
  const ear = new Ear()
  ear.stream = bench.client.stack.connect(bench.client.process, bench.server.host.address, port, ear.handler)
  return { ear, stream: ear.stream! }
}

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255)

const expectQuiet = (bench: Bench): void => {
  expect(bench.client.stack.count).toBe(0)
  expect(bench.server.stack.count).toBe(0)
  expect(bench.network.pool.used).toBe(0)
}

test("bytes go both ways in order and both ends close in order", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  const { ear, stream } = connect(bench)
  const sent = pattern(100_000)
  expect(stream.send(sent)).toBe(true)
  stream.end()
  expect(stream.send(sent)).toBe(false)
  bench.run(10)
  expect(ear.bytes).toEqual([...sent])
  expect(ear.events).toEqual(["open", "end", "closed"])
  expect(ears[0].events).toEqual(["end", "closed"])
  expect([ears[0].stream!.remoteAddress, ears[0].stream!.remotePort >= 32_768]).toEqual([
    bench.client.host.address,
    true
  ])
  expectQuiet(bench)
})

test("a connection is open after one round trip", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear } = connect(bench)
  bench.kernel.run(19_999_999)
  expect(ear.events).toEqual([])
  bench.kernel.run(20_000_000)
  expect(ear.events).toEqual(["open"])
})

test("slow start doubles the window each round trip from ten segments on", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  const { stream } = connect(bench)
  stream.send(new Uint8Array(200_000))
  const received = [20, 40, 60].map((ms) => {
    bench.kernel.run((ms + 15) * 1e6)
    return ears[0].bytes.length / 1400
  })
  expect(received).toEqual([10, 30, 70])
})

test("a port where nobody listens refuses at once, whether or not the host has a stream stack there", () => {
  const bench = boot(LAN(DELAY))
  const { ear } = connect(bench, 81)
  const { release } = listenEcho(bench)
  const held = connect(bench)
  bench.run(1)
  expect(ear.events).toEqual(["refused"])
  release!()
  const late = connect(bench)
  bench.run(1)
  expect(late.ear.events).toEqual(["refused"])
  expect(held.ear.events).toEqual(["open"])
  held.stream.end()
  bench.run(1)
  expect(held.ear.events).toEqual(["open", "end", "closed"])
  expectQuiet(bench)
})

test("an attempt that nobody answers is given up after ten seconds", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  bench.network.partition(["client"], ["server"], "both")
  const { ear } = connect(bench)
  bench.kernel.run(9.9e9)
  expect(ear.events).toEqual([])
  bench.kernel.run(10.1e9)
  expect(ear.events).toEqual(["timeout"])
  bench.run(20)
  expectQuiet(bench)
})

test("data that nobody acknowledges ends the stream after fifteen seconds", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  bench.network.partition(["client"], ["server"], "a-to-b")
  stream.send(pattern(10))
  bench.run(14)
  expect(ear.events).toEqual(["open"])
  bench.run(2)
  expect(ear.events).toEqual(["open", "timeout"])
})

test("a partition shorter than the limit is survived without loss", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  const heal = bench.network.partition(["client"], ["server"], "both")
  stream.send(pattern(20_000))
  stream.end()
  bench.run(8)
  heal()
  bench.run(20)
  expect(ear.bytes).toEqual([...pattern(20_000)])
  expect(ear.events).toEqual(["open", "end", "closed"])
  expectQuiet(bench)
})

test("a lost segment is repaired within a round trip or two, not by the timeout", () => {
  const bench = boot({
    ...LAN(),
    hosts: { client: { subnet: "lan", up: { ...DELAY, dropList: [5] }, down: DELAY }, server: { subnet: "lan" } }
  })
  const { ears } = listenEcho(bench)
  const { stream } = connect(bench)
  stream.send(pattern(14_000))
  bench.kernel.run(75e6)
  expect(ears[0].bytes).toHaveLength(14_000)
})

test("a lost last segment is repaired by the retransmission timeout", () => {
  const bench = boot({
    ...LAN(),
    hosts: { client: { subnet: "lan", up: { ...DELAY, dropList: [2] }, down: DELAY }, server: { subnet: "lan" } }
  })
  const { ears } = listenEcho(bench)
  const { stream } = connect(bench)
  stream.send(pattern(2_000))
  bench.kernel.run(200e6)
  expect(ears[0].bytes).toHaveLength(1_400)
  bench.kernel.run(300e6)
  expect(ears[0].bytes).toHaveLength(2_000)
})

test("whatever a link loses, reorders, doubles or damages, both directions arrive whole or the stream says that it failed", () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(1_000_000),
        lossPpm: fc.nat(150_000),
        duplicatePpm: fc.nat(200_000),
        corruptPpm: fc.nat(50_000),
        jitterUs: fc.nat(20_000),
        bytes: fc.nat(60_000)
      }),
      ({ seed, bytes, ...impairment }) => {
        const bench = boot(LAN({ ...impairment, delayUs: 15_000, distribution: "uniform" }), seed)
        const { ears } = listenEcho(bench)
        const { ear, stream } = connect(bench)
        const sent = pattern(bytes)
        stream.send(sent)
        stream.end()
        bench.run(200)
        const got = ear.bytes
        expect(got).toEqual([...sent.subarray(0, got.length)])
        if (ear.events.includes("closed")) expect(got).toHaveLength(bytes)
        else expect(["timeout", "reset"]).toContain(ear.events.at(-1))
        for (const other of ears) expect(other.bytes).toEqual([...sent.subarray(0, other.bytes.length)])
        expectQuiet(bench)
      }
    ),
    { numRuns: 40, seed: 7 }
  )
})

test("two percent of loss never breaks a stream", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bench = boot(LAN({ ...DELAY, lossPpm: 20_000 }), seed)
    listenEcho(bench)
    const { ear, stream } = connect(bench)
    stream.send(pattern(50_000))
    stream.end()
    bench.run(60)
    expect(ear.bytes).toHaveLength(50_000)
    expect(ear.events).toEqual(["open", "end", "closed"])
  }
})

test("a bottleneck is filled to at least 90 percent", () => {
  const bench = boot(LAN({ delayUs: 5_000, rateBps: 8_000_000 }))
  const { ears } = listenEcho(bench)
  const { stream } = connect(bench)
  stream.send(new Uint8Array(4_000_000))
  bench.kernel.run(2e9)
  expect(ears[0].bytes.length).toBeGreaterThan(0.9 * 2_000_000 * (1400 / 1452))
})

test("a stream goes through a NAT, and the server sees the NAT's address", () => {
  const bench = boot(NAT)
  const { ears } = listenEcho(bench)
  const { ear, stream } = connect(bench)
  stream.send(pattern(5_000))
  stream.end()
  bench.run(5)
  expect(ear.bytes).toHaveLength(5_000)
  expect(ear.events).toEqual(["open", "end", "closed"])
  expect(ears[0].stream!.remoteAddress >>> 8).toBe(0xcb0071)
  const refused = connect(bench, 81)
  bench.run(5)
  expect(refused.ear.events).toEqual(["refused"])
})

test("a path with a smaller MTU is found out by ICMP", () => {
  const bench = boot(LAN({ ...DELAY, mtuBytes: 1_200 }))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  stream.send(pattern(30_000))
  stream.end()
  bench.run(30)
  expect(ear.bytes).toEqual([...pattern(30_000)])
  // The first flight of each side meets the limit, nothing after it.
  expect(bench.network.counters.droppedBy.get("mtu")).toBeLessThanOrEqual(20)
})

test("a host talks to itself", () => {
  const bench = boot(LAN())
  const ear = new Ear()
  bench.client.stack.listen(bench.client.process, 80, (stream) => {
    stream.send(pattern(3))
    stream.end()
    return new Ear().handler
  })
  const stream = bench.client.stack.connect(bench.client.process, 0x7f000001, 80, ear.handler)!
  ear.onPeerEnd = () => stream.end()
  bench.run(1)
  expect(ear.bytes).toEqual([...pattern(3)])
  expect(ear.events).toEqual(["open", "end", "closed"])
})

test("abort resets the peer and says nothing more on its own side", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  stream.abort()
  stream.abort()
  stream.end()
  expect(stream.send(pattern(1))).toBe(false)
  bench.run(1)
  expect(ears[0].events).toEqual(["reset"])
  expect(ear.events).toEqual(["open"])
  expectQuiet(bench)
})

test("an attempt that is aborted before the answer leaves nothing behind at the server", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  const { stream } = connect(bench)
  bench.kernel.run(15e6)
  stream.abort()
  bench.run(1)
  expect(ears).toEqual([])
  expectQuiet(bench)
})

test("the connections of a killed process are gone: the peer is reset at its next segment", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  bench.server.process.kill()
  bench.run(5)
  expect(ear.events).toEqual(["open"])
  stream.send(pattern(1))
  bench.run(1)
  expect(ear.events).toEqual(["open", "reset"])
  bench.run(60)
  expectQuiet(bench)
})

test("the same holds when the host was reset with its process", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  bench.server.process.kill()
  bench.server.host.reset()
  stream.send(pattern(1))
  bench.run(1)
  expect(ear.events).toEqual(["open", "reset"])
  const next = { ...bench, server: { ...bench.server, process: bench.start("server#2") } }
  listenEcho(next)
  const again = connect(next)
  again.stream.send(pattern(9))
  bench.run(1)
  expect(again.ear.bytes).toEqual([...pattern(9)])
})

test("a port that a dead process held is free for its successor, one that a living process holds is not", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  expect(listenEcho(bench).release).toBeUndefined()
  const other = { ...bench, server: { ...bench.server, process: bench.start("other") } }
  expect(listenEcho(other).release).toBeUndefined()
  bench.server.process.kill()
  expect(listenEcho(other).release).toBeDefined()
  const { ear, stream } = connect(bench)
  stream.send(pattern(4))
  bench.run(1)
  expect(ear.bytes).toEqual([...pattern(4)])
})

test("the connections of a killed client end at the server by the keep-alive", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  connect(bench)
  bench.run(1)
  bench.client.process.kill()
  bench.run(70)
  expect(ears[0].events).toEqual(["reset"])
  expectQuiet(bench)
})

test("an idle stream lives on, and ends a minute after its peer has become unreachable", () => {
  const bench = boot(LAN(DELAY))
  const { ears } = listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(600)
  expect(ear.events).toEqual(["open"])
  bench.network.partition(["client"], ["server"], "both")
  bench.run(100)
  expect([ear.events, ears[0].events]).toEqual([["open", "timeout"], ["timeout"]])
  stream.end()
  expectQuiet(bench)
})

test("a paused process is acknowledged for by its host up to the window, and hears all in order when it goes on", () => {
  for (const bytes of [300_000, 3_000_000]) {
    const bench = boot(LAN({ delayUs: 1_000 }))
    const { ears } = listenEcho(bench)
    const { ear, stream } = connect(bench)
    bench.run(1)
    bench.server.process.pause()
    stream.send(pattern(bytes))
    stream.end()
    bench.run(120)
    expect(ears[0].bytes).toHaveLength(0)
    bench.server.process.resume()
    bench.run(30)
    expect(ear.bytes.length).toBe(bytes)
    expect(ear.events).toEqual(["open", "end", "closed"])
    expectQuiet(bench)
  }
}, 20_000)

test("a host holds a limited number of connections and ignores more", () => {
  const bench = boot(LAN())
  listenEcho(bench)
  const dead = { onData: () => {}, onEnd: () => {}, onClose: () => {} }
  let opened = 0
  for (let i = 0; i < CONNECTIONS_MAX + 10; i++)
    if (bench.client.stack.connect(bench.client.process, bench.server.host.address, 80, dead) !== undefined) opened++
  expect(opened).toBe(CONNECTIONS_MAX)
  bench.run(1)
  expect(bench.server.stack.count).toBe(CONNECTIONS_MAX)
  const syn = bench.network.pool.alloc(SEGMENT_HEADER_BYTES)
  const { pool } = bench.network
  pool.destination[syn] = bench.server.host.address
  pool.destinationPort[syn] = 80
  pool.sourcePort[syn] = 9
  pool.protocol[syn] = PROTOCOL.stream
  writeSegment(pool, syn, 1, 0, SEGMENT.syn, 1000)
  bench.client.host.send(syn)
  bench.run(1)
  expect(bench.server.stack.count).toBe(CONNECTIONS_MAX)
})

test("a packet pool at its limit only slows a stream down", () => {
  const bench = boot(LAN(DELAY), 1, 12)
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  stream.send(pattern(60_000))
  stream.end()
  bench.run(120)
  expect(ear.bytes).toHaveLength(60_000)
  expect(bench.network.pool.exhausted).toBeGreaterThan(0)
})

test("segments out of nowhere are answered by one reset each and disturb nothing", () => {
  const bench = boot(LAN(DELAY))
  listenEcho(bench)
  const { ear, stream } = connect(bench)
  bench.run(1)
  const { pool } = bench.network
  const forge = (length: number, flags: number, destinationPort = 80, sourcePort = 7) => {
    const packet = pool.alloc(length)
    pool.destination[packet] = bench.server.host.address
    pool.destinationPort[packet] = destinationPort
    pool.sourcePort[packet] = sourcePort
    pool.protocol[packet] = PROTOCOL.stream
    if (length >= SEGMENT_HEADER_BYTES) writeSegment(pool, packet, 123_456, 654_321, flags, 1000)
    bench.client.host.send(packet)
  }
  const answers: Array<number> = []
  bench.client.host.listen(PROTOCOL.stream, 7, (packet) => answers.push(segmentFlags(pool, packet)))
  forge(3, 0)
  for (const flags of [SEGMENT.ack, SEGMENT.fin, SEGMENT.syn | SEGMENT.ack, SEGMENT.reset, 0])
    forge(SEGMENT_HEADER_BYTES + 4, flags)
  bench.run(1)
  const reset = SEGMENT.reset
  expect(answers).toEqual([reset, reset | SEGMENT.ack, reset, reset | SEGMENT.ack])
  // The same against the open connection, whose window they miss.
  const own = [...Array(28_232).keys()]
    .map((i) => 32_768 + i)
    .find((port) => bench.client.host.listen(PROTOCOL.stream, port, () => {}) === undefined)!
  for (const flags of [SEGMENT.ack, SEGMENT.fin, SEGMENT.syn, SEGMENT.reset, SEGMENT.reset | SEGMENT.ack])
    forge(SEGMENT_HEADER_BYTES, flags, 80, own)
  bench.run(1)
  stream.send(pattern(1_000))
  stream.end()
  bench.run(5)
  expect(ear.bytes).toHaveLength(1_000)
  expect(ear.events).toEqual(["open", "end", "closed"])
})

test("the same seed gives the same packets, another seed other ones", () => {
  const digest = (seed: number): string => {
    const bench = boot(LAN({ ...DELAY, lossPpm: 50_000, jitterUs: 3_000 }), seed)
    listenEcho(bench)
    const { stream } = connect(bench)
    stream.send(pattern(30_000))
    stream.end()
    bench.run(60)
    return bench.kernel.digest.hex()
  }
  expect(digest(3)).toBe(digest(3))
  expect(digest(4)).not.toBe(digest(3))
})
