import { apiKey } from "@horizon/core/api/api-key.ts"
import { toBase64Url } from "@horizon/core/api/base64url.ts"
import { memberAgent } from "@horizon/core/api/member-agent.ts"
import type { Revocation } from "@horizon/core/api/server.ts"
import { type ServerAgent, type ServerAgentOptions, serverAgent } from "@horizon/core/api/server-agent.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { verifyTicket } from "@horizon/core/wire/ticket.ts"
import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, BrokerWorld, type BrokerWorldOptions, REGISTRATION } from "./broker-world.contract.ts"

const boot = (options: BrokerWorldOptions = {}): BrokerWorld => {
  const world = new BrokerWorld(options)
  expect(world.startBroker()).toBe(undefined)
  return world
}

const serverOptions = (world: BrokerWorld, host: string, change: Partial<ServerAgentOptions>): ServerAgentOptions => ({
  brokerUrl: world.url,
  registrationKey: REGISTRATION,
  name: host,
  kind: "gateway",
  endpoint: { address: "10.0.0.9", port: 4000 },
  region: "eu",
  capacity: 10,
  capabilities: [],
  metrics: () => ({ sessions: 1, loadPpm: 0, rttUs: null, bytesIn: 0, bytesOut: 0 }),
  ...change
})

/** Starts a server's agent on a host; it runs until the host's process ends. The function gives the agent once it is there. */
const beginAgent = (
  world: BrokerWorld,
  host: string,
  change: Partial<ServerAgentOptions> = {}
): (() => ServerAgent | undefined) => {
  let agent: ServerAgent | undefined
  const options = serverOptions(world, host, change)
  world.begin(
    host,
    Effect.scoped(
      Effect.gen(function* () {
        agent = yield* serverAgent(options)
        return yield* Effect.never
      })
    )
  )
  return () => agent
}

const agentOn = (world: BrokerWorld, host: string, change: Partial<ServerAgentOptions> = {}): ServerAgent => {
  const begun = beginAgent(world, host, change)
  world.advance(50)
  const agent = begun()
  if (agent === undefined) throw new Error("the agent did not start without the broker")
  return agent
}

/** How many of the moments lie in each tenth of a second. */
const tenthsOf = (momentsNs: ReadonlyArray<number>): Map<number, number> => {
  const tenths = new Map<number, number>()
  for (const atNs of momentsNs) tenths.set(Math.floor(atNs / 1e8), (tenths.get(Math.floor(atNs / 1e8)) ?? 0) + 1)
  return tenths
}

const member = (world: BrokerWorld, host = "one", change: { personalKey?: string; brokerKey?: Uint8Array } = {}) =>
  world.on(host, memberAgent({ brokerUrl: world.url, personalKey: ANNA, ...change }))

const listed = (world: BrokerWorld) =>
  world.call(ANNA, (client) => client.members.listServers({ query: {} }), "two").servers

const linkEvents = (world: BrokerWorld, node: string) =>
  world.trace.events
    .filter((event) => event.node === node && event.kind.startsWith("broker-link."))
    .map((event) => event.kind.slice("broker-link.".length))

const connection = (connectionId: number, event: "opened" | "alive" | "closed" = "opened") => ({
  event,
  connectionId,
  openedMs: 1_000,
  deviceId: "a".repeat(32),
  user: "anna",
  tenant: "home",
  peer: { address: "192.0.2.1", port: 5_000 },
  reason: event === "closed" ? "normal" : "",
  bytesIn: 0,
  bytesOut: 0
})
const connections = (world: BrokerWorld) =>
  world
    .call(ADMIN, (client) => client.admin.listConnections({ query: {} }), "two")
    .connections.map((each) => `${each.connectionId} ${each.state}`)
    .sort()

describe("the server's agent", () => {
  test("registers, is up, and is heard at the broker's interval", () => {
    const world = boot({ config: { heartbeatIntervalMs: 2_000 } })
    const agent = agentOn(world, "one")
    expect(agent.state()).toMatchObject({ link: "up", attempts: 0, message: "" })
    expect(toBase64Url(agent.brokerKey()!)).toBe(world.ready[0].brokerKey)
    const before = world.events("broker.heartbeat").length
    world.advance(20_000)
    const beats = world.events("broker.heartbeat").length - before
    expect(beats).toBeGreaterThanOrEqual(10)
    expect(beats).toBeLessThanOrEqual(12)
    expect(listed(world).map((entry) => [entry.record.id, entry.status])).toEqual([[agent.serverId, "online"]])
    expect(linkEvents(world, "one")).toEqual(["attempt", "up"])
    expect(agent.brokerNowMs() - world.nowMs()).toBeLessThan(20)
  })

  test("goes on after a restart without registering again, and no counter is used twice", () => {
    const world = boot()
    agentOn(world, "one")
    world.advance(12_000)
    world.kill("one")
    const agent = agentOn(world, "one")
    expect(agent.state().link).toBe("up")
    expect(world.events("broker.server-registered")).toHaveLength(1)
    expect(world.events("broker.request").filter((event) => event.fields.status === 409)).toEqual([])
  })

  test("registers anew when what it declares has changed", () => {
    const world = boot()
    agentOn(world, "one")
    world.kill("one")
    agentOn(world, "one", { endpoint: { address: "10.0.0.10", port: 4001 } })
    expect(listed(world).map((entry) => entry.record.endpoint.port)).toEqual([4001])
  })

  test("starts with the broker's key from the cache while the broker is away, and connects when it is there", () => {
    const world = boot()
    const key = agentOn(world, "one").brokerKey()!
    world.kill("one")
    world.killBroker()
    const agent = agentOn(world, "one")
    expect(agent.brokerKey()).toEqual(key)
    world.advance(30_000)
    expect(agent.state().link).toBe("down")
    expect(agent.state().message).toContain("cannot be reached")
    expect(world.startBroker()).toBe(undefined)
    world.advance(5_000)
    expect(agent.state().link).toBe("up")
  })

  test.each(["down", "half"] as const)(
    "comes back within 5 s of the end of an outage (%s), and reports what happened meanwhile",
    (mode) => {
      const world = boot({ config: { heartbeatIntervalMs: 1_000, serverStaleMs: 3_000, connectionStaleMs: 10_000 } })
      const agent = agentOn(world, "one")
      agent.reportConnections([connection(1), connection(2)])
      world.advance(1_000)
      expect(connections(world)).toEqual(["1 open", "2 open"])
      world.outage(mode)
      world.advance(10_000)
      expect(agent.state().link).toBe("down")
      agent.reportConnections([connection(2, "closed"), connection(3)])
      world.advance(50_000)
      world.outage(undefined)
      world.advance(5_000)
      expect(agent.state().link).toBe("up")
      expect(connections(world)).toEqual(["1 open", "2 closed", "3 open"])
      const kinds = linkEvents(world, "one").filter((kind) => kind !== "attempt")
      expect(kinds).toEqual(["up", "down", "up"])
    }
  )

  test("forty servers that want the broker in one moment come back spread out, not as a herd", () => {
    const hosts = Array.from({ length: 40 }, (_, i) => `s${i}`)
    const world = boot({ hosts: [...hosts, "two"] })
    world.outage("down")
    const startedNs = world.kernel.nowNs
    for (const host of hosts) beginAgent(world, host)
    world.advance(30_000)
    const before = world.events("broker-link.attempt").filter((event) => event.atNs - startedNs >= 1e9)
    const busiest = Math.max(...tenthsOf(before.map((event) => event.atNs)).values())
    expect(before.length).toBeGreaterThan(40 * 10)
    expect(busiest).toBeLessThan(15)
    const returnedNs = world.kernel.nowNs
    world.outage(undefined)
    world.advance(5_000)
    const up = world.events("broker-link.up").map((event) => event.atNs - returnedNs)
    expect(up).toHaveLength(40)
    expect(Math.max(...tenthsOf(up).values())).toBeLessThan(12)
    expect(tenthsOf(up).size).toBeGreaterThan(10)
  })

  test("attempts while the broker is away stay bounded in rate", () => {
    const world = boot()
    agentOn(world, "one")
    world.killBroker()
    world.advance(10_000)
    const before = world.events("broker-link.attempt").length
    world.advance(60_000)
    const attempts = world.events("broker-link.attempt").length - before
    expect(attempts).toBeGreaterThan(20)
    expect(attempts).toBeLessThan(90)
  })

  test("registers anew when the broker has lost its store but not its key", () => {
    const world = boot()
    const agent = agentOn(world, "one")
    const engine = world.station("broker").disk.database()
    engine.run("DELETE FROM servers", [])
    world.advance(10_000)
    expect(agent.state().link).toBe("up")
    expect(world.events("broker.server-registered")).toHaveLength(2)
  })

  test("does not follow a broker with another key, and says what to do", () => {
    const world = boot()
    const key = agentOn(world, "one").brokerKey()
    world.killBroker()
    const { disk } = world.station("broker")
    disk.entries.remove("broker.seed")
    disk.database().run("DELETE FROM servers", [])
    expect(world.startBroker()).toBe(undefined)
    world.kill("one")
    const agent = agentOn(world, "one")
    world.advance(10_000)
    expect(agent.state().link).toBe("refused")
    expect(agent.state().message).toContain("broker.registration")
    expect(agent.brokerKey()).toEqual(key)
  })

  test("does not register with a broker whose key is not the pinned one", () => {
    const world = boot()
    const agent = agentOn(world, "one", { brokerKey: new Uint8Array(32).fill(7) })
    expect(agent.state().link).toBe("refused")
    expect(listed(world)).toEqual([])
  })

  test("says why it is refused, and is up soon after the reason is gone", () => {
    const world = boot()
    const registrationKey = apiKey("registration", new Uint8Array(32).fill(9))
    const agent = agentOn(world, "one", { registrationKey })
    expect(agent.state()).toMatchObject({ link: "refused", message: expect.stringContaining("registration key") })
    world.stopBroker()
    world.config = { ...world.config, bootstrapRegistrationKeys: [REGISTRATION, registrationKey] }
    expect(world.startBroker()).toBe(undefined)
    world.advance(35_000)
    expect(agent.state().link).toBe("up")
  })

  test("is up whatever its own wall clock shows, also after a step and a restart", () => {
    const world = boot()
    world.station("one").wall.step(-86_400_000)
    const agent = agentOn(world, "one")
    expect(agent.state().link).toBe("up")
    world.station("one").wall.step(3 * 86_400_000)
    world.advance(12_000)
    expect(agent.state().link).toBe("up")
    world.kill("one")
    const again = agentOn(world, "one")
    expect(again.state().link).toBe("up")
    expect(Math.abs(again.brokerNowMs() - world.nowMs())).toBeLessThan(20)
  })

  test("learns of revoked tickets, tells the gateway, and remembers them over a restart without the broker", () => {
    const world = boot({ config: { heartbeatIntervalMs: 1_000, serverStaleMs: 3_000 } })
    const heard: Array<Revocation> = []
    const agent = agentOn(world, "one", { onRevoked: (revocation) => void heard.push(revocation) })
    const who = member(world, "two")
    const granted = world.on("two", who.ticket(agent.serverId))
    const subject = { deviceId: deviceId(nobleCrypto, who.identity.publicKey), ticketExpiresMs: granted.expiresMs }
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }), "two")
    const id = toBase64Url(keys.find((key) => key.user === "anna")!.id)
    expect(agent.isRevoked(subject)).toBe(false)
    world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id } }), "two")
    world.advance(1_100)
    expect(agent.isRevoked(subject)).toBe(true)
    expect(heard.map((each) => each.deviceId)).toEqual([subject.deviceId])
    world.killBroker()
    world.kill("one")
    expect(agentOn(world, "one").isRevoked(subject)).toBe(true)
  })

  test("open connections are spoken of again and again, so the broker does not close them", () => {
    const world = boot({ config: { connectionStaleMs: 10_000, sweepIntervalMs: 1_000 } })
    const agent = agentOn(world, "one", { aliveEveryMs: 4_000 })
    agent.reportConnections([connection(1)])
    world.advance(60_000)
    expect(connections(world)).toEqual(["1 open"])
  })

  test("a report that does not fit the API is given up and keeps neither heartbeats nor later reports from the broker", () => {
    const world = boot({ config: { heartbeatIntervalMs: 1_000, serverStaleMs: 3_000 } })
    const agent = agentOn(world, "one")
    agent.reportConnections([{ ...connection(1), user: "" }])
    world.advance(5_000)
    agent.reportConnections([connection(2)])
    world.advance(1_000)
    expect(agent.state().link).toBe("up")
    expect(connections(world)).toEqual(["2 open"])
    expect(world.logged.join()).toContain("given up")
  })

  test("a server that stops cleanly reports at the last moment what waits", () => {
    const world = boot()
    let agent: ServerAgent | undefined
    const options = serverOptions(world, "one", {})
    const fiber = world.begin(
      "one",
      Effect.scoped(
        Effect.gen(function* () {
          const started = yield* serverAgent(options)
          agent = started
          yield* Effect.addFinalizer(() => Effect.sync(() => started.reportConnections([connection(1, "closed")])))
          return yield* Effect.never
        })
      )
    )
    world.advance(1_000)
    agent!.reportConnections([connection(1)])
    world.advance(1_000)
    fiber.interruptUnsafe()
    world.advance(100)
    expect(connections(world)).toEqual(["1 closed"])
  })

  test("a bug in what the server says of itself ends the agent, so that the node can stop", () => {
    const world = boot()
    const bug = new Error("a bug in the figures")
    const agent = agentOn(world, "one", {
      metrics: () => {
        throw bug
      }
    })
    expect(() => world.on("one", agent.ended)).toThrow("a bug in the figures")
  })

  test("a key store that is full does not stop the link, nor lose a revocation", () => {
    const world = boot({ config: { heartbeatIntervalMs: 1_000, serverStaleMs: 3_000 } })
    const agent = agentOn(world, "one")
    world.station("one").disk.entriesFault = "full"
    const who = member(world, "two")
    const granted = world.on("two", who.ticket(agent.serverId))
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }), "two")
    const id = toBase64Url(keys.find((key) => key.user === "anna")!.id)
    world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id } }), "two")
    world.advance(5_000)
    const subject = { deviceId: deviceId(nobleCrypto, who.identity.publicKey), ticketExpiresMs: granted.expiresMs }
    expect([agent.state().link, agent.isRevoked(subject)]).toEqual(["up", true])
    world.kill("one")
    world.station("one").disk.entriesFault = undefined
    const again = agentOn(world, "one")
    expect([again.state().link, again.isRevoked(subject)]).toEqual(["up", true])
  })

  test("an identity of the wrong length is an error that says where, and is left alone", () => {
    const world = boot()
    const { disk } = world.station("one")
    disk.entries.write("identity.seed", new Uint8Array(31))
    const error = world.on("one", Effect.flip(Effect.scoped(serverAgent(serverOptions(world, "one", {})))))
    expect(error).toMatchObject({
      _tag: "KeysError",
      reason: "corrupt",
      message: expect.stringContaining("identity.seed")
    })
    expect(disk.entries.read("identity.seed")).toEqual(new Uint8Array(31))
  })

  test("a damaged cache is only a cache: the server registers anew", () => {
    const world = boot()
    agentOn(world, "one")
    world.kill("one")
    world.station("one").disk.entries.write("broker.registration", new Uint8Array([1, 2, 3]))
    expect(agentOn(world, "one").state().link).toBe("up")
    expect(world.events("broker.server-registered")).toHaveLength(2)
  })
})

test.each([1, 2, 3, 4, 5])(
  "with fibers pre-empted at random, ready work in random order and a store that fails now and then, all comes right (seed %i)",
  (seed) => {
    const world = new BrokerWorld({
      kernel: { seed, order: "random", preemptPpm: 100_000 },
      hosts: ["one", "two", "three", "four"],
      config: { heartbeatIntervalMs: 1_000, serverStaleMs: 3_000, connectionStaleMs: 20_000, sweepIntervalMs: 500 }
    })
    const { disk } = world.station("broker")
    disk.storeFault = { mode: seed % 2 === 0 ? "busy" : "failed-commit", ppm: 30_000, delayMs: 0 }
    expect(world.startBroker()).toBe(undefined)
    const agents = ["one", "two", "three"].map((host) => agentOn(world, host))
    for (let round = 0; round < 20; round++) {
      const news = [connection(round), ...(round % 2 === 1 ? [connection(round - 1, "closed")] : [])]
      for (const agent of agents) agent.reportConnections(news)
      world.advance(500)
      if (round === 8) world.killBroker()
      if (round === 12) expect(world.startBroker()).toBe(undefined)
    }
    disk.storeFault = undefined
    world.advance(6_000)
    expect(agents.map((agent) => agent.state().link)).toEqual(["up", "up", "up"])
    const servers = listed(world)
    expect(servers.map((entry) => entry.status)).toEqual(["online", "online", "online"])
    const each = Array.from({ length: 20 }, (_, i) => `${i} ${i % 2 === 0 ? "closed" : "open"}`)
    const expected = each.flatMap((one) => [one, one, one]).sort()
    expect(connections(world)).toEqual(expected)
  }
)

describe("the member's agent", () => {
  test("lists servers and gets a ticket that the server's key and the broker's key check offline", () => {
    const world = boot()
    const server = agentOn(world, "one")
    const who = member(world, "two")
    const listing = world.on("two", who.listServers("gateway"))
    expect(listing).toMatchObject({ cached: false, servers: [{ record: { id: server.serverId } }] })
    const granted = world.on("two", who.ticket(server.serverId))
    const verdict = verifyTicket(
      nobleCrypto,
      server.brokerKey()!,
      granted.ticket,
      world.nowMs(),
      server.identity.publicKey
    )
    expect(verdict.ok).toBe(true)
    expect(granted).toMatchObject({ user: "anna", tenant: "home", cached: false })
  })

  test("serves list and ticket from the cache while the broker is away, also after a restart, until the ticket ends", () => {
    const world = boot({ config: { ticketLifetimeMs: 60_000 } })
    const server = agentOn(world, "one")
    const first = member(world, "two")
    world.on("two", first.listServers("gateway"))
    const fresh = world.on("two", first.ticket(server.serverId))
    world.killBroker()
    world.kill("two")
    const who = member(world, "two")
    expect(world.on("two", who.listServers("gateway"))).toMatchObject({ cached: true, servers: [{}] })
    const kept = world.on("two", who.ticket(server.serverId))
    expect(kept).toMatchObject({ cached: true, expiresMs: fresh.expiresMs })
    expect(kept.ticket).toEqual(fresh.ticket)
    world.advance(60_000)
    const error = world.on("two", Effect.flip(who.ticket(server.serverId)))
    expect(error).toMatchObject({ _tag: "BrokerCallError", reason: "unreachable", passing: true })
  })

  test("a new member gets a clear error while the broker is away or half away", () => {
    const world = boot()
    const who = member(world, "two")
    for (const [mode, reason, words] of [
      ["down", "unreachable", "cannot be reached"],
      ["half", "timeout", "did not answer within 2 s"]
    ] as const) {
      world.outage(mode)
      const error = world.on("two", Effect.flip(who.listServers("gateway")))
      expect(error).toMatchObject({ reason, passing: true, message: expect.stringContaining(words) })
    }
  })

  test("a refusal is not papered over by the cache", () => {
    const world = boot()
    const server = agentOn(world, "one")
    const who = member(world, "two")
    world.on("two", who.listServers("gateway"))
    world.on("two", who.ticket(server.serverId))
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }), "two")
    const id = toBase64Url(keys.find((key) => key.user === "anna")!.id)
    world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id } }), "two")
    for (const call of [who.listServers("gateway"), who.ticket(server.serverId)]) {
      expect(world.on("two", Effect.flip(call as Effect.Effect<unknown, Error>))).toMatchObject({
        reason: "refused",
        problem: "credential-revoked",
        passing: false
      })
    }
  })

  test("a key store that is full costs the cache and nothing else", () => {
    const world = boot()
    const server = agentOn(world, "one")
    const who = member(world, "two")
    world.station("two").disk.entriesFault = "full"
    expect(world.on("two", who.listServers("gateway")).servers).toHaveLength(1)
    const granted = world.on("two", who.ticket(server.serverId))
    world.killBroker()
    expect(world.on("two", who.ticket(server.serverId)).ticket).toEqual(granted.ticket)
    world.kill("two")
    world.station("two").disk.entriesFault = undefined
    const error = world.on("two", Effect.flip(member(world, "two").ticket(server.serverId)))
    expect(error.reason).toBe("unreachable")
  })

  test("gets a ticket whatever its own wall clock shows", () => {
    const world = boot()
    const server = agentOn(world, "one")
    world.station("two").wall.step(-3_600_000)
    const granted = world.on("two", member(world, "two").ticket(server.serverId))
    expect(granted.cached).toBe(false)
  })

  test("trusts no other broker than the pinned or first one", () => {
    const world = boot()
    const pinned = member(world, "one", { brokerKey: new Uint8Array(32).fill(7) })
    expect(world.on("one", Effect.flip(pinned.listServers("gateway")))).toMatchObject({ reason: "untrusted" })
    const first = member(world, "two")
    world.on("two", first.listServers("gateway"))
    world.killBroker()
    world.station("broker").disk.entries.remove("broker.seed")
    expect(world.startBroker()).toBe(undefined)
    expect(world.on("two", Effect.flip(first.listServers("gateway")))).toMatchObject({
      reason: "untrusted",
      message: expect.stringContaining("broker.cache")
    })
  })

  test("does not believe a record that the broker's key did not sign", () => {
    const world = boot()
    agentOn(world, "one")
    world.station("broker").disk.database().run("UPDATE servers SET address = '10.6.6.6'", [])
    const error = world.on("two", Effect.flip(member(world, "two").listServers("gateway")))
    expect(error).toMatchObject({ reason: "untrusted", message: expect.stringContaining('"one"') })
  })

  test("something that is no broker is told apart from a broker that is away", () => {
    const world = boot()
    const who = world.on("two", memberAgent({ brokerUrl: `${world.url}/elsewhere`, personalKey: ANNA }))
    expect(world.on("two", Effect.flip(who.listServers("gateway")))).toMatchObject({ problem: "route-unknown" })
    const bad = world.on("two", memberAgent({ brokerUrl: "no url", personalKey: ANNA }))
    expect(world.on("two", Effect.flip(bad.listServers("gateway")))).toMatchObject({
      reason: "protocol",
      passing: false
    })
  })
})
