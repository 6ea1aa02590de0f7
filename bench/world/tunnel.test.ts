/** The whole tunnel in the simulated world: broker, gateways and clients, as they ship, on a simulated network. */

import { broker } from "@horizon/broker/broker.ts"
import { bootstrapPersonalKey, brokerSettings } from "@horizon/broker/settings.ts"
import { client } from "@horizon/client/client.ts"
import { clientSettings } from "@horizon/client/settings.ts"
import { type ClientStatus, StatusSink } from "@horizon/client/status.ts"
import { apiKey } from "@horizon/core/api/api-key.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { type TraceEvent, TraceLog } from "@horizon/core/lab/trace.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { echoDataAt, isEchoReply } from "@horizon/core/wire/icmp.ts"
import { ipv4Destination, ipv4Source } from "@horizon/core/wire/ipv4.ts"
import { ipv4Packet, pingPacket } from "@horizon/core/wire/ipv4-packet.fixture.ts"
import { gateway } from "@horizon/gateway/gateway.ts"
import { gatewaySettings } from "@horizon/gateway/settings.ts"
import { Disk } from "@horizon/sim/disk/disk.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { Process, WallClock } from "@horizon/sim/kernel/process.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { layerClock } from "@horizon/sim/port/clock.ts"
import { layerEntropy } from "@horizon/sim/port/entropy.ts"
import { Hardware, layerHostFacts } from "@horizon/sim/port/host-facts.ts"
import { layerHttpServer, setOutage } from "@horizon/sim/port/http.ts"
import { layerHttpClient } from "@horizon/sim/port/http-client.ts"
import { layerKeys } from "@horizon/sim/port/keys.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { TunHost } from "@horizon/sim/port/tun.ts"
import { layerUdp } from "@horizon/sim/port/udp.ts"
import { Cause, Effect, Exit, type Fiber, Layer } from "effect"
import { expect, test } from "vitest"
import { openMemoryEngine } from "./memory-engine.ts"

const BROKER_PORT = 7_400
const REGISTRATION = apiKey("registration", new Uint8Array(32).fill(1))
const personal = (n: number): string => apiKey("personal", new Uint8Array(32).fill(n))

/** The simulated interface of a host, with a way to send raw packets as its stack would and to see what comes out of the tunnel. */
class HostTun {
  readonly tun: TunHost
  readonly received: Array<Uint8Array> = []

  constructor(kernel: Kernel) {
    this.tun = new TunHost({ nowNs: () => kernel.nowNs, defer: (work) => kernel.enqueue(work) })
    const { stack } = this.tun
    const deliver = stack.handlePacket.bind(stack)
    stack.handlePacket = (bytes, at, length) => {
      this.received.push(bytes.slice(at, at + length))
      return deliver(bytes, at, length)
    }
  }

  /** 0 while the interface is down. */
  get address(): number {
    return this.tun.stack.interface?.address ?? 0
  }

  send(packet: Uint8Array): void {
    const { toDevice } = this.tun
    const slot = toDevice.push(packet.length)
    toDevice.slots.slab.set(packet, toDevice.slots.offset(slot))
    this.tun.wakeDevice()
  }

  /** Echo replies received from `source` with `data`. */
  repliesFrom(source: number, data: Uint8Array): number {
    return this.received.filter(
      (packet) =>
        isEchoReply(packet, 0, packet.length) &&
        ipv4Source(packet, 0) === source &&
        String(packet.slice(echoDataAt(packet, 0))) === String(data)
    ).length
  }
}

interface Node {
  readonly name: string
  readonly disk: Disk
  readonly wall: WallClock
  readonly tun: HostTun
  life: number
  process: Process | undefined
  fiber: Fiber.Fiber<void, unknown> | undefined
  status: ClientStatus | undefined
}

/** Broker, two gateways and four clients (three of the tenant red, one of blue) on one network. Nothing runs at first. */
const boot = (options: { seed?: number; planted?: string; broker?: object; gateway?: object } = {}) => {
  const kernel = new Kernel({ seed: options.seed ?? 1 })
  const near = { up: { delayUs: 2_000 }, down: { delayUs: 2_000 } }
  const far = { up: { delayUs: 20_000 }, down: { delayUs: 20_000 } }
  const hosts = { broker: near, "gw-1": near, "gw-2": far, red1: near, red2: near, red3: near, blue1: near }
  const network = new Network(kernel, {
    subnets: { net: { cidr: "10.0.0.0/24" } },
    hosts: Object.fromEntries(Object.entries(hosts).map(([name, links]) => [name, { subnet: "net", ...links }])),
    routers: {}
  })
  const trace = new TraceLog()
  const nodes = new Map<string, Node>()
  for (const name of Object.keys(hosts)) {
    const disk = new Disk({
      kernel,
      host: name,
      openEngine: openMemoryEngine
    })
    const wall = new WallClock(kernel, 1_767_225_600_000)
    nodes.set(name, {
      name,
      disk,
      wall,
      tun: new HostTun(kernel),
      life: 0,
      process: undefined,
      fiber: undefined,
      status: undefined
    })
  }
  const node = (name: string): Node => nodes.get(name) ?? expect.unreachable(`there is no node ${name}`)
  const brokerUrl = `http://${formatV4(network.host("broker").address)}:${BROKER_PORT}`
  const people = { red1: "ann@red", red2: "bob@red", red3: "cid@red", blue1: "dan@blue" }

  let pings = 0

  const programOf = (name: string): Effect.Effect<void, unknown, any> => {
    const address = formatV4(network.host(name).address)
    if (name === "broker")
      return broker(
        configWith(brokerSettings, {
          listenAddress: address,
          port: BROKER_PORT,
          bootstrapRegistrationKeys: [REGISTRATION],
          bootstrapPersonalKeys: Object.values(people).map((person, n) => {
            const [user, tenant] = person.split("@")
            return bootstrapPersonalKey(user, tenant, personal(10 + n))
          }),
          ...options.broker
        })
      )
    if (name.startsWith("gw"))
      return gateway(
        configWith(gatewaySettings, {
          name,
          brokerUrl,
          registrationKey: REGISTRATION,
          listenAddress: address,
          network: name === "gw-1" ? "10.77.0.0/16" : "10.78.0.0/16",
          ...options.gateway
        })
      )
    const person = Object.keys(people).indexOf(name)
    return client(configWith(clientSettings, { brokerUrl, personalKey: personal(10 + person) }))
  }

  const start = (...names: ReadonlyArray<string>): void => {
    for (const name of names) {
      const own = node(name)
      const process = new Process({ kernel, name: `${name}#${++own.life}`, wall: own.wall })
      const host = network.host(name)
      const ports = Layer.mergeAll(
        layerUdp(host, process),
        layerClock(process),
        layerEntropy(process),
        layerHostFacts(new Hardware(name)),
        layerKeys(own.disk),
        layerHttpClient(host, process),
        own.tun.tun.layerTun(process),
        Layer.succeed(Crypto)(nobleCrypto),
        name === "broker"
          ? Layer.merge(layerHttpServer(host, process, BROKER_PORT), layerStore(own.disk))
          : Layer.empty,
        Layer.succeed(Trace)((kind, fields) => trace.write(kernel.nowNs, name, kind, fields)),
        Layer.succeed(FaultPoints)((point) => point === options.planted),
        Layer.succeed(StatusSink)((status) => {
          own.status = status
        })
      )
      own.process = process
      own.fiber = process.fork(Effect.provide(programOf(name), ports) as Effect.Effect<void, unknown>)
    }
  }
  const crash = (name: string): void => {
    node(name).process?.kill()
    node(name).disk.crash()
  }
  const stop = (name: string): void => node(name).fiber?.interruptUnsafe()
  const run = (seconds: number): void => {
    kernel.run(kernel.nowNs + seconds * 1e9)
    for (const { name, fiber, process } of nodes.values()) {
      const exit = fiber?.pollUnsafe()
      if (exit !== undefined && process?.alive && Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause))
        expect.unreachable(`${name} failed: ${Cause.pretty(exit.cause)}`)
    }
  }
  /** Runs until all clients named are connected; the seconds that took, at most `limit`. */
  const connected = (names: ReadonlyArray<string>, limit: number): number => {
    const startNs = kernel.nowNs
    const done = () => names.every((name) => node(name).status?.state === "connected")
    expect(
      kernel.runUntil(done, kernel.nowNs + limit * 1e9),
      names.map((name) => `${name}: ${node(name).status?.state} ${node(name).status?.detail}`).join("\n")
    ).toBe(true)
    return (kernel.nowNs - startNs) / 1e9
  }
  /** One ping through the tunnel from a client's host to another's; whether the other's host answered it. */
  const ping = (from: string, to: string): boolean => {
    const { tun } = node(from)
    const destination = node(to).tun.address
    const data = new Uint8Array(8).fill(++pings)
    tun.send(pingPacket(tun.address, destination, 1, data))
    run(0.2)
    return tun.repliesFrom(destination, data) === 1
  }
  const events = <K extends TraceEvent["kind"]>(kind: K, from?: string) =>
    trace.events.filter(
      (event): event is Extract<TraceEvent, { kind: K }> =>
        event.kind === kind && (from === undefined || event.node === from)
    )
  return { kernel, network, trace, node, start, crash, stop, run, connected, ping, events, outage: setOutage }
}

const ALL = ["red1", "red2", "red3", "blue1"]

test("clients get tickets, choose the nearest gateway, prove the tunnel and reach each other, but not another tenant", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "gw-2")
  lab.run(2)
  lab.start(...ALL)
  expect(lab.connected(ALL, 5)).toBeLessThan(2)
  for (const { fields } of lab.events("client.server-chosen")) {
    expect(fields.among).toBe(2)
    expect(Math.abs(fields.rttUs - 8_000)).toBeLessThan(1_000)
  }
  expect(new Set(ALL.map((name) => lab.node(name).tun.address)).size).toBe(4)
  expect(lab.ping("red1", "red2") && lab.ping("red2", "red1") && lab.ping("red3", "red1")).toBe(true)
  expect(lab.ping("red1", "blue1") || lab.ping("blue1", "red2")).toBe(false)
  expect(
    lab
      .events("lease.granted")
      .map(({ fields }) => fields.tenant)
      .sort()
  ).toEqual(["blue", "red", "red", "red"])
})

test("the gateway answers the host's own ping to its tunnel address", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  const { tun } = lab.node("red1")
  const data = new Uint8Array([1, 2, 3, 4])
  tun.send(pingPacket(tun.address, 0x0a4d0001, 1, data))
  lab.run(0.1)
  expect(tun.repliesFrom(0x0a4d0001, data)).toBe(1)
})

test("a packet as long as the MTU passes, a longer one does not", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "red1", "red2")
  lab.connected(["red1", "red2"], 10)
  const [from, to] = [lab.node("red1").tun, lab.node("red2").tun]
  const { mtuBytes } = from.tun.stack.interface ?? expect.unreachable("the interface is up")
  for (const length of [mtuBytes, mtuBytes + 1])
    from.send(ipv4Packet(from.address, to.address, new Uint8Array(length - 20).fill(7)))
  lab.run(0.1)
  expect(to.received.filter((packet) => ipv4Source(packet, 0) === from.address).map((packet) => packet.length)).toEqual(
    [mtuBytes]
  )
})

test("a step of the wall clocks of gateway and client over the end of every ticket shuts nobody out", () => {
  const lab = boot({ broker: { ticketLifetimeMs: 60_000 } })
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  for (const stepMs of [7_200_000, -14_400_000]) {
    lab.node("gw-1").wall.step(stepMs)
    lab.node("red1").wall.step(stepMs)
    lab.run(1)
    expect(lab.node("red1").status?.state).toBe("connected")
    lab.crash("red1")
    lab.start("red1")
    lab.run(0.01)
    expect(lab.connected(["red1"], 10)).toBeLessThan(3)
  }
  expect(lab.events("session.refused")).toEqual([])
})

test("a broadcast reaches the members of the tenant and nobody else", () => {
  const lab = boot()
  lab.start("broker", "gw-1", ...ALL)
  lab.connected(ALL, 10)
  const packet = ipv4Packet(lab.node("red1").tun.address, 0xffffffff, new Uint8Array([9, 9, 9]))
  lab.node("red1").tun.send(packet)
  lab.run(0.1)
  const got = (name: string): boolean =>
    lab.node(name).tun.received.some((each) => ipv4Destination(each, 0) === 0xffffffff)
  expect(ALL.map(got)).toEqual([false, true, true, false])
})

test("after a gateway's crash and restart every client is back by itself, with the address it had", () => {
  const lab = boot()
  lab.start("broker", "gw-1")
  lab.run(2)
  lab.start(...ALL)
  lab.connected(ALL, 5)
  lab.run(5)
  const before = ALL.map((name) => lab.node(name).tun.address)
  lab.crash("gw-1")
  lab.run(3)
  lab.start("gw-1")
  lab.run(2)
  expect(ALL.map((name) => lab.node(name).status?.state)).not.toContain("connected")
  expect(lab.connected(ALL, 15)).toBeLessThan(10)
  expect(ALL.map((name) => lab.node(name).tun.address)).toEqual(before)
  expect(lab.ping("red1", "red2")).toBe(true)
})

test("a gateway that stays dead is replaced by another one", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "gw-2")
  lab.run(2)
  lab.start("red1", "red2")
  lab.connected(["red1", "red2"], 5)
  expect(lab.node("red1").status?.server).toBe("gw-1")
  lab.crash("gw-1")
  lab.run(4)
  expect(lab.connected(["red1", "red2"], 20)).toBeLessThan(10)
  expect(["red1", "red2"].map((name) => lab.node(name).status?.server)).toEqual(["gw-2", "gw-2"])
  expect(lab.node("red1").status?.address).toMatch(/^10\.78\./)
  expect(lab.ping("red1", "red2")).toBe(true)
})

test("a gateway that is stopped says goodbye: its clients do not wait for a timeout", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "gw-2")
  lab.run(2)
  lab.start("red1")
  lab.connected(["red1"], 5)
  lab.stop("gw-1")
  lab.run(0.1)
  expect(lab.node("red1").status?.state).not.toBe("connected")
  expect(lab.connected(["red1"], 5)).toBeLessThan(3)
  expect(lab.node("red1").status?.server).toBe("gw-2")
})

test("while the broker is away or half away tunnels go on, lost ones come back on cached tickets, and the client says so", () => {
  for (const mode of ["down", "half"] as const) {
    const lab = boot()
    lab.start("broker", "gw-1")
    lab.run(2)
    lab.start("red1", "red2")
    lab.connected(["red1", "red2"], 5)
    const before = lab.node("red1").tun.address
    lab.outage(lab.network.host("broker"), mode)
    lab.run(60)
    expect(lab.node("red1").status?.state).toBe("connected")
    expect(lab.node("red1").status?.detail).toContain("The broker is not available")
    expect(lab.ping("red1", "red2")).toBe(true)
    lab.crash("gw-1")
    lab.run(1)
    lab.start("gw-1")
    lab.run(6)
    expect(lab.connected(["red1", "red2"], 15)).toBeLessThan(10)
    expect(lab.node("red1").tun.address).toBe(before)
    lab.outage(lab.network.host("broker"), undefined)
    lab.run(20)
    expect(lab.node("red1").status?.detail).not.toContain("broker")
  }
})

test("a new client is told plainly that the broker is away, and is connected within 5 s of its return", () => {
  for (const mode of ["down", "half"] as const) {
    const lab = boot()
    lab.start("broker", "gw-1")
    lab.run(2)
    lab.outage(lab.network.host("broker"), mode)
    lab.start("red1")
    lab.run(30)
    expect(lab.node("red1").status?.state).toBe("contacting-broker")
    expect(lab.node("red1").status?.detail).toMatch(/broker at http.*(cannot be reached|did not answer)/)
    lab.outage(lab.network.host("broker"), undefined)
    expect(lab.connected(["red1"], 20)).toBeLessThan(5.5)
  }
})

test("a client that starts anew while the broker is away or half away is connected at once with what it has kept", () => {
  for (const mode of ["down", "half"] as const) {
    const lab = boot()
    lab.start("broker", "gw-1", "red1")
    lab.connected(["red1"], 10)
    const before = lab.node("red1").tun.address
    lab.outage(lab.network.host("broker"), mode)
    lab.crash("red1")
    lab.run(1)
    lab.start("red1")
    lab.run(0.01)
    expect(lab.connected(["red1"], 10)).toBeLessThan(1.5)
    expect(lab.node("red1").tun.address).toBe(before)
  }
})

test("a pool that is full refuses in clear words, and the next client waits for a free address", () => {
  const lab = boot({ gateway: { leasesMax: 1, leaseSeconds: 5 } })
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  lab.start("red2")
  lab.run(5)
  expect(lab.node("red2").status?.state).not.toBe("connected")
  expect(
    lab
      .events("client.status", "red2")
      .map(({ fields }) => fields.detail)
      .join()
  ).toContain("no free session slot or address")
  lab.stop("red1")
  expect(lab.connected(["red2"], 60)).toBeGreaterThan(4)
})

test("connected is never said of a tunnel that does not answer: a cut network shows within four seconds", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  const heal = lab.network.partition(["red1"], ["gw-1"], "both")
  lab.run(4)
  expect(lab.node("red1").status?.state).toBe("degraded")
  lab.run(20)
  expect(["choosing", "contacting-broker"]).toContain(lab.node("red1").status?.state)
  heal()
  expect(lab.connected(["red1"], 20)).toBeLessThan(5)
})

test("the planted fault client.reconnect.never leaves a client for ever without its tunnel", () => {
  const lab = boot({ planted: "client.reconnect.never" })
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  lab.crash("gw-1")
  lab.run(1)
  lab.start("gw-1")
  lab.run(120)
  expect(lab.node("red1").status?.state).toBe("reconnecting")
})

test("the planted fault gateway.lease.double gives two members one address", () => {
  const lab = boot({ planted: "gateway.lease.double" })
  lab.start("broker", "gw-1", "red1")
  lab.connected(["red1"], 10)
  lab.start("red2")
  lab.run(3)
  const granted = lab.events("lease.granted").map(({ fields }) => fields.address)
  expect(granted).toHaveLength(2)
  expect(new Set(granted).size).toBe(1)
})

test("the same seed gives the same digest", () => {
  const digest = (seed: number): string => {
    const lab = boot({ seed })
    lab.start("broker", "gw-1", "gw-2", "red1", "red2")
    lab.run(5)
    lab.crash("gw-1")
    lab.run(15)
    return lab.kernel.digest.hex()
  }
  expect(digest(5)).toBe(digest(5))
  expect(digest(5)).not.toBe(digest(6))
})

test("connections are reported to the broker, opened and closed", () => {
  const lab = boot()
  lab.start("broker", "gw-1", "red1", "red2")
  lab.connected(["red1", "red2"], 10)
  lab.stop("red1")
  lab.run(2)
  const rows = lab.node("broker").disk.database().run("SELECT state FROM connections ORDER BY state", []).rows
  expect(rows.flat()).toEqual(["closed", "open"])
})
