/** The whole tunnel in the simulated world: broker, gateways and clients, as they ship, on a simulated network. */

import { DatabaseSync } from "node:sqlite"
import { broker } from "@horizon/broker/broker.ts"
import { bootstrapPersonalKey, brokerSettings } from "@horizon/broker/settings.ts"
import { client } from "@horizon/client/client.ts"
import { clientSettings } from "@horizon/client/settings.ts"
import { type ClientStatus, StatusSink } from "@horizon/client/status.ts"
import { apiKey } from "@horizon/core/api/api-key.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { type TraceEvent, TraceLog } from "@horizon/core/lab/trace.ts"
import { echoDataAt, ipv4Destination, ipv4Source, isEchoReply } from "@horizon/core/machine/tunnel/ipv4.ts"
import { ipv4Packet, pingPacket } from "@horizon/core/machine/tunnel/packet.fixture.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { FaultPoints } from "@horizon/core/port/fault-points.ts"
import type { SqlEngine } from "@horizon/core/port/store.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { gateway } from "@horizon/gateway/gateway.ts"
import { gatewaySettings } from "@horizon/gateway/settings.ts"
import { Disk } from "@horizon/sim/disk/disk.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { Process, WallClock } from "@horizon/sim/kernel/process.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { layerClock } from "@horizon/sim/port/clock.ts"
import { layerEntropy } from "@horizon/sim/port/entropy.ts"
import { layerHttpServer, setOutage } from "@horizon/sim/port/http.ts"
import { layerHttpClient } from "@horizon/sim/port/http-client.ts"
import { layerKeys } from "@horizon/sim/port/keys.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { TunHost } from "@horizon/sim/port/tun.ts"
import { layerUdp } from "@horizon/sim/port/udp.ts"
import { Cause, Effect, Exit, type Fiber, Layer } from "effect"
import { expect, test } from "vitest"

const BROKER_PORT = 7_400
const REGISTRATION = apiKey("registration", new Uint8Array(32).fill(1))
const personal = (n: number): string => apiKey("personal", new Uint8Array(32).fill(n))

const memoryEngine = (): SqlEngine => {
  const database = new DatabaseSync(":memory:")
  return {
    name: "node-sqlite",
    run: (sql, parameters) => {
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      const rows = statement.all(...(parameters as Array<string>)) as unknown as Array<Array<unknown>>
      return { columns: statement.columns().map((column) => column.name), rows }
    },
    inTransaction: () => database.isTransaction,
    close: () => database.close()
  }
}

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
  const kernel = new Kernel({ seed: options.seed ?? 1, order: "random", preemptPpm: 50_000 })
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
      openEngine: memoryEngine
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
          address,
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
const SEEDS = Number(process.env.SEEDS ?? 20),
  FROM = Number(process.env.FROM ?? 1)
for (let seed = FROM; seed < FROM + SEEDS; seed++)
  test(`stress ${seed}`, () => {
    const lab = boot({ seed, broker: { ticketLifetimeMs: 20_000 } })
    const rng = lab.kernel.rng("stress")
    lab.start("broker", "gw-1", "gw-2", ...ALL)
    const names = ["broker", "gw-1", "gw-2", ...ALL]
    const undo: Array<() => void> = []
    for (let step = 0; step < 25; step++) {
      lab.run(rng.below(4000) / 1000)
      const name = names[rng.below(names.length)]
      const other = names[rng.below(names.length)]
      switch (rng.below(7)) {
        case 0: {
          if (lab.node(name).process?.alive) {
            lab.crash(name)
            lab.run(rng.below(3000) / 1000)
            lab.start(name)
          }
          break
        }
        case 1: {
          lab.node(name).process?.pause()
          lab.run(rng.below(12000) / 1000)
          lab.node(name).process?.resume()
          break
        }
        case 2:
          if (name !== other) undo.push(lab.network.partition([name], [other], rng.below(2) ? "both" : "a-to-b"))
          break
        case 3:
          undo.push(
            lab.network.changeLink(name, "both", {
              lossPpm: 200_000,
              duplicatePpm: 50_000,
              corruptPpm: 20_000,
              jitterUs: 5000
            })
          )
          break
        case 4:
          while (undo.length > 0) undo.pop()!()
          break
        case 5:
          lab.node(name).wall.step(rng.below(7_200_000) - 3_600_000)
          break
        case 6:
          lab.outage(lab.network.host("broker"), rng.below(2) ? "half" : "down")
          undo.push(() => lab.outage(lab.network.host("broker"), undefined))
          break
      }
    }
    while (undo.length > 0) undo.pop()!()
    for (const n of names) if (!lab.node(n).process?.alive) lab.start(n)
    const healNs = lab.kernel.nowNs
    const took = lab.connected(ALL, 90)
    if (took > 12)
      console.log(
        seed,
        "took",
        took,
        "\n" +
          lab.trace.events
            .filter(
              (e) =>
                e.atNs > healNs - 40e9 &&
                (e.kind === "client.status" || e.kind.startsWith("broker-link") || e.kind === "session.refused")
            )
            .map((e) => `${((e.atNs - healNs) / 1e9).toFixed(2)} ${e.node} ${e.kind} ${JSON.stringify(e.fields)}`)
            .filter((l, i, all) => !l.startsWith("-") || / refused|"refused/.test(l))
            .slice(0, 60)
            .join("\n")
      )
    lab.run(1)
    const holders = new Map<string, string>()
    for (const e of lab.trace.events) {
      if (e.kind === "lease.granted") {
        const k = e.node + e.fields.address
        const h = holders.get(k)
        if (h !== undefined && h !== e.fields.subject) throw new Error("two holders")
        holders.set(k, e.fields.subject)
      }
      if (e.kind === "lease.released") holders.delete(e.node + e.fields.address)
    }
  })
