import type { NatKind, Topology } from "@horizon/core/lab/topology.ts"
import type { LinkSpec } from "@horizon/core/link/spec.ts"
import { type UdpInstance, udpContract } from "@horizon/core/port/udp.contract.ts"
import { Effect, Exit, Scope } from "effect"
import { expect, test } from "vitest"
import { behindNat, sleep, testGround, until } from "./ground.fixture.ts"

const pair = (up: Partial<LinkSpec> = {}, down: Partial<LinkSpec> = {}): Topology => ({
  subnets: { lan: { cidr: "10.9.0.0/24" } },
  hosts: { a: { subnet: "lan", up, down: up }, b: { subnet: "lan", up: down, down } },
  routers: {}
})

udpContract({
  name: "loopback",
  open: async (): Promise<UdpInstance> => {
    const { udpOf, live, address } = await testGround(pair())
    return {
      run: (effect) => Effect.runPromise(Effect.scoped(effect)),
      a: { layer: udpOf("a").layer(live("a")), address: address("a") },
      b: { layer: udpOf("b").layer(live("b")), address: address("b") }
    }
  }
})

const numbers = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => String(i))

test("a datagram takes the delay of both access links, to well under a millisecond", async () => {
  const { open } = await testGround(pair({ delayUs: 12_000 }, { delayUs: 8_500 }))
  const [a, b] = [await open("a"), await open("b")]
  const sentMs: Array<number> = []
  for (const number of numbers(60)) {
    sentMs.push(performance.now())
    a.say(b.at, number)
    await sleep(3)
  }
  await until(() => b.heard.length === 60)
  const tookMs = b.heard.map(({ atMs }, i) => atMs - sentMs[i]).sort((x, y) => x - y)
  expect(b.texts()).toEqual(numbers(60))
  expect(tookMs[0]).toBeGreaterThanOrEqual(20.5)
  expect(tookMs[30]).toBeLessThan(21.5)
})

test("exactly the datagrams that a drop list names are lost", async () => {
  const { open, network } = await testGround(pair({}, { dropList: [0, 3, 4, 19] }))
  const [a, b] = [await open("a"), await open("b")]
  a.say(b.at, ...numbers(20))
  await until(() => b.heard.length >= 16)
  await sleep(20)
  expect(b.texts()).toEqual(numbers(20).filter((number) => !["0", "3", "4", "19"].includes(number)))
  expect(network.link("b", "down").link.counters).toMatchObject({ offered: 20, delivered: 16 })
})

test("a rate spaces datagrams by their time on the line, and a change of the link takes effect and can be taken back", async () => {
  const { open, network } = await testGround(pair({ rateBps: 1_000_000 }))
  const [a, b] = [await open("a"), await open("b")]
  // With 28 bytes of IP and UDP each is 1,250 bytes: 10 ms on the line.
  const long = "x".repeat(1_222)
  a.say(b.at, long, long, long, long)
  await until(() => b.heard.length === 4)
  const gaps = b.heard.slice(1).map(({ atMs }, i) => atMs - b.heard[i].atMs)
  expect(gaps.reduce((sum, gap) => sum + gap, 0)).toBeGreaterThan(29)
  const undo = network.changeLink("a", "up", { lossPpm: 1_000_000 })
  a.say(b.at, "lost")
  await sleep(20)
  undo()
  a.say(b.at, "heard")
  await until(() => b.heard.length > 4)
  expect(b.texts().slice(4)).toEqual(["heard"])
})

test("the seed decides which datagrams a random loss takes", async () => {
  const kept = async (seed: number): Promise<string> => {
    const { open } = await testGround(pair({ lossPpm: 300_000 }), seed)
    const [a, b] = [await open("a"), await open("b")]
    a.say(b.at, ...numbers(60))
    await sleep(50)
    return b.texts().join()
  }
  const first = await kept(1)
  expect(await kept(1)).toBe(first)
  expect(await kept(2)).not.toBe(first)
  expect(first.split(",").length).toBeLessThan(60)
})

/** Who gets in at an outside port from which a datagram went to `server`: the server from another port, somebody else (RFC 4787 §5). */
const FILTERS: ReadonlyArray<readonly [NatKind, { otherPort: boolean; stranger: boolean; samePort: boolean }]> = [
  ["full-cone", { otherPort: true, stranger: true, samePort: true }],
  ["address-restricted", { otherPort: true, stranger: false, samePort: true }],
  ["port-restricted", { otherPort: false, stranger: false, samePort: true }],
  ["symmetric", { otherPort: false, stranger: false, samePort: false }]
]

test.each(FILTERS)(
  "%s: what leaves comes from a real outside port, what enters is filtered",
  async (kind, expected) => {
    const { open, routerAddress } = await testGround(behindNat(kind))
    const [ada, server, otherPort] = [await open("ada"), await open("server"), await open("server")]
    const stranger = await open("stranger")
    ada.say(server.at, "hello")
    await until(() => server.heard.length > 0)
    const outside = server.heard[0].from
    expect(outside.split(":")[0]).toBe(routerAddress("nat/internet"))
    server.say(outside, "answer")
    otherPort.say(outside, "other port")
    stranger.say(outside, "stranger")
    await until(() => ada.heard.length > 0)
    await sleep(20)
    const wanted = ["answer", ...(expected.otherPort ? ["other port"] : []), ...(expected.stranger ? ["stranger"] : [])]
    expect(ada.texts()).toEqual(wanted)
    expect(ada.heard[0].from).toBe(server.at)
    ada.say(stranger.at, "hello")
    await until(() => stranger.heard.length > 0)
    expect(stranger.heard[0].from === outside).toBe(expected.samePort)
  }
)

test.each(FILTERS)(
  "%s: after a rebinding the same flow comes from a new port, and the old one is closed",
  async (kind) => {
    const { open, network } = await testGround(behindNat(kind))
    const [ada, server] = [await open("ada"), await open("server")]
    ada.say(server.at, "before")
    await until(() => server.heard.length === 1)
    network.natRebind("nat")
    server.say(server.heard[0].from, "to the old port")
    ada.say(server.at, "after")
    await until(() => server.heard.length === 2)
    expect(server.heard[1].from.split(":")[0]).toBe(server.heard[0].from.split(":")[0])
    expect(server.heard[1].from).not.toBe(server.heard[0].from)
    server.say(server.heard[1].from, "to the new port")
    await until(() => ada.heard.length > 0)
    await sleep(20)
    expect(ada.texts()).toEqual(["to the new port"])
  }
)

test("a mapping that is not used runs out, a wiped one is gone at once", async () => {
  const { open, network } = await testGround(behindNat("full-cone", { udpTimeoutMs: 60 }))
  const [ada, server] = [await open("ada"), await open("server")]
  ada.say(server.at, "one")
  await until(() => server.heard.length === 1)
  server.say(server.heard[0].from, "in time")
  await until(() => ada.heard.length === 1)
  await sleep(100)
  server.say(server.heard[0].from, "too late")
  await sleep(20)
  ada.say(server.at, "two")
  await until(() => server.heard.length === 2)
  network.natWipe("nat")
  server.say(server.heard[1].from, "wiped")
  await sleep(20)
  expect(ada.texts()).toEqual(["in time"])
  expect(network.counters.droppedBy.get("nat-no-mapping")).toBe(2)
})

test("a member reaches another one of its home by the outside address, and sees it there (hairpin)", async () => {
  const { open, routerAddress } = await testGround(behindNat("full-cone"))
  const [ada, ben, server] = [await open("ada"), await open("ben"), await open("server")]
  ben.say(server.at, "here I am")
  await until(() => server.heard.length > 0)
  ada.say(server.heard[0].from, "neighbour")
  await until(() => ben.heard.length > 0)
  expect(ben.texts()).toEqual(["neighbour"])
  expect(ben.heard[0].from.split(":")[0]).toBe(routerAddress("nat/internet"))
})

test("a partition holds one way or both, whatever addresses it takes, and heals", async () => {
  const { open, network } = await testGround(behindNat("full-cone"))
  const [ada, server] = [await open("ada"), await open("server")]
  const heal = network.partition(["ada"], ["server"], "a-to-b")
  ada.say(server.at, "cut")
  await sleep(20)
  heal()
  ada.say(server.at, "healed")
  await until(() => server.heard.length > 0)
  const cut = network.partition(["ada"], ["server"], "both")
  server.say(server.heard[0].from, "cut too")
  await sleep(20)
  cut()
  expect(server.texts()).toEqual(["healed"])
  expect(ada.texts()).toEqual([])
})

test("what was sent before the socket closed arrives; what a killed node tries to say does not", async () => {
  const { open, live } = await testGround(pair({ delayUs: 15_000 }))
  const b = await open("b", { port: 7_000 })
  const scope = Scope.makeUnsafe()
  const leaving = await open("a", { port: 7_001 }, live("a#1"), scope)
  leaving.say(b.at, "goodbye")
  await Effect.runPromise(Scope.close(scope, Exit.void))
  const life = live("a#2")
  const killed = await open("a", { port: 7_001 }, life)
  await until(() => b.heard.length > 0)
  expect(b.heard[0]).toMatchObject({ text: "goodbye", from: killed.at })
  await life.kill()
  killed.say(b.at, "from the grave")
  b.say(killed.at, "anybody?")
  const next = await open("a", { port: 7_001 }, live("a#3"))
  next.say(b.at, "alive")
  await until(() => b.heard.length > 1)
  expect(b.texts()).toEqual(["goodbye", "alive"])
  expect(killed.texts()).toEqual([])
  expect(killed.socket.stats()).toMatchObject({ packetsOut: 0, dropsOut: 1 })
})

test("while a node stands still datagrams wait in its receive buffer, in order, as many as Linux would hold", async () => {
  const { open, live } = await testGround(pair())
  const life = live("b")
  const [a, b] = [await open("a"), await open("b", { port: 0 }, life)]
  life.process.pause()
  for (let first = 0; first < 320; first += 64) a.say(b.at, ...numbers(320).slice(first, first + 64))
  await sleep(30)
  expect(b.heard).toEqual([])
  life.process.resume()
  // 768 bytes of memory for each small datagram, 212,992 bytes in all.
  await until(() => b.heard.length >= 277)
  await sleep(20)
  expect(b.texts()).toEqual(numbers(277))
  expect(b.socket.stats()).toMatchObject({ packetsIn: 277, dropsIn: 43 })
})

test("a slow consumer hears in bursts, and at once again when it is over", async () => {
  const { open, udpOf } = await testGround(pair())
  const [a, b] = [await open("a"), await open("b")]
  const undo = udpOf("b").slowConsumer(60)
  const startMs = performance.now()
  for (const number of numbers(30)) {
    a.say(b.at, number)
    await sleep(5)
  }
  undo()
  const tookMs = performance.now() - startMs
  await until(() => b.heard.length === 30)
  expect(b.texts()).toEqual(numbers(30))
  const bursts = b.heard.filter(({ atMs }, i) => i === 0 || atMs - b.heard[i - 1].atMs > 20)
  expect(bursts.length).toBeLessThanOrEqual(Math.ceil(tookMs / 60) + 1)
  expect(bursts.length).toBeGreaterThan(1)
})

test("a node that a packet handler of its own kills dies alone", async () => {
  const { open, live } = await testGround(pair())
  const life = live("b")
  const [a, b] = [await open("a"), await open("b", { port: 0 }, life)]
  const ended = new Promise<Exit.Exit<void, unknown>>((resolve) => {
    life.start(life.layerClock(), Effect.never, resolve)
  })
  b.socket.onBatch(() => {
    throw new Error("a bug")
  })
  a.say(b.at, "x")
  expect(String(await ended)).toContain("a bug")
  const other = await open("b")
  a.say(other.at, "y")
  await until(() => other.heard.length > 0)
  expect(other.texts()).toEqual(["y"])
})

test("outlets of a NAT's ports are opened at need and closed when they have been idle", async () => {
  const { open, outlets, kernel } = await testGround(behindNat("symmetric"))
  const [ada, server, stranger] = [await open("ada"), await open("server"), await open("stranger")]
  ada.say(server.at, "x")
  ada.say(stranger.at, "x")
  await until(() => server.heard.length + stranger.heard.length === 2)
  expect(outlets.size).toBe(5)
  // As if 16 s had passed without a packet: nothing else waits in the kernel.
  kernel.run(kernel.nowNs + 16e9)
  await until(() => outlets.size === 3)
  expect(outlets.size).toBe(3)
})
