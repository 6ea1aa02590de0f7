/** What the broker's tests stand on: a broker and some hosts in the simulated world, in virtual time, without a promise. */

import { openMemoryEngine } from "@horizon/bench/world/memory-engine.ts"
import { apiKey } from "@horizon/core/api/api-key.ts"
import { type BrokerClient, brokerClient } from "@horizon/core/api/broker-client.ts"
import { assert } from "@horizon/core/assert.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import type { TraceEvent, TraceKind } from "@horizon/core/lab/trace.ts"
import { TraceLog } from "@horizon/core/lab/trace.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { Disk } from "@horizon/sim/disk/disk.ts"
import { drive } from "@horizon/sim/kernel/drive.ts"
import { Kernel, type KernelOptions } from "@horizon/sim/kernel/kernel.ts"
import { Process, WallClock } from "@horizon/sim/kernel/process.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { layerClock } from "@horizon/sim/port/clock.ts"
import { layerEntropy } from "@horizon/sim/port/entropy.ts"
import { layerHttpServer, setOutage } from "@horizon/sim/port/http.ts"
import { layerHttpClient } from "@horizon/sim/port/http-client.ts"
import { layerKeys } from "@horizon/sim/port/keys.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Effect, Exit, type Fiber, Layer } from "effect"
import { type HttpClient, HttpClientRequest } from "effect/http"
import { broker } from "./broker.ts"
import type { BrokerError } from "./broker-error.ts"
import { type BrokerConfig, bootstrapPersonalKey, brokerSettings } from "./settings.ts"

/** A key of a kind that tests can write down; `n` makes it one of many. */
const keyOf = (kind: "admin" | "registration" | "personal", n: number): string =>
  apiKey(
    kind,
    Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? n : i))
  )

export const ADMIN = keyOf("admin", 1)
export const REGISTRATION = keyOf("registration", 1)
export const ANNA = keyOf("personal", 1)
export const BERT = keyOf("personal", 2)

export const EPOCH_MS = 1_800_000_000_000
const PORT = 8420

/** A host with a disk, and the process on it. */
export interface Station {
  readonly host: string
  readonly disk: Disk
  readonly wall: WallClock
  process: Process
  life: number
}

export interface BrokerWorldOptions {
  readonly kernel?: Partial<KernelOptions>
  readonly config?: Partial<BrokerConfig>
  /** Hosts beside the broker's. */
  readonly hosts?: ReadonlyArray<string>
}

export class BrokerWorld {
  readonly kernel: Kernel
  readonly network: Network
  readonly trace = new TraceLog()
  readonly logged: Array<string> = []
  readonly url: string
  config: BrokerConfig
  /** What the broker told when it was ready, once for each start. */
  readonly ready: Array<Readonly<Record<string, string | number>>> = []
  private readonly stations = new Map<string, Station>()
  private brokerFiber: Fiber.Fiber<never, BrokerError> | undefined

  constructor(options: BrokerWorldOptions = {}) {
    this.kernel = new Kernel({ seed: 1, ...options.kernel })
    const names = ["broker", ...(options.hosts ?? ["one", "two"])]
    this.network = new Network(this.kernel, {
      subnets: { lan: { cidr: "10.0.0.0/16" } },
      hosts: Object.fromEntries(names.map((name) => [name, { subnet: "lan", up: { delayUs: 1_000 } }])),
      routers: {}
    })
    for (const name of names) this.addStation(name)
    this.url = `http://${formatV4(this.network.host("broker").address)}:${PORT}`
    this.config = configWith(brokerSettings, {
      port: PORT,
      bootstrapAdminToken: ADMIN,
      bootstrapRegistrationKeys: [REGISTRATION],
      bootstrapPersonalKeys: [bootstrapPersonalKey("anna", "home", ANNA), bootstrapPersonalKey("bert", "home", BERT)],
      ...options.config
    })
  }

  station(name: string): Station {
    const station = this.stations.get(name)
    assert(station !== undefined, "the test names a host that it declared")
    return station
  }

  /** Starts the broker and waits until it is ready, or has failed with the returned error. */
  startBroker(): BrokerError | undefined {
    const station = this.station("broker")
    const before = this.ready.length
    const host = this.network.host("broker")
    const ports = Layer.mergeAll(
      layerStore(station.disk),
      layerHttpServer(host, station.process, PORT),
      this.ports(station)
    )
    const ready = { ready: (info: Readonly<Record<string, string | number>>) => void this.ready.push(info) }
    const node = broker(this.config).pipe(
      Effect.provide(ports as Layer.Layer<Layer.Success<typeof ports>>),
      Effect.provideService(Lifecycle, ready),
      Effect.provideService(Trace, this.traceOf("broker"))
    )
    const fiber = station.process.fork(node)
    this.brokerFiber = fiber
    this.kernel.runUntil(() => this.ready.length > before || fiber.pollUnsafe() !== undefined, this.kernel.nowNs + 60e9)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return undefined
    assert(Exit.isFailure(exit), "a broker ends only with an error")
    const reason = exit.cause.reasons[0]
    if (reason._tag === "Fail") return reason.error
    throw reason._tag === "Die" ? reason.defect : new Error("the broker was interrupted")
  }

  /** The broker dies without a word; what it committed is kept. */
  killBroker(): void {
    this.kill("broker")
  }

  /** Clean shutdown, to its end. */
  stopBroker(): void {
    const fiber = this.brokerFiber
    if (fiber === undefined) return
    fiber.interruptUnsafe()
    this.kernel.runUntil(() => fiber.pollUnsafe() !== undefined, this.kernel.nowNs + 60e9)
    this.kill("broker")
  }

  /** The process on a host dies, and another begins in which nothing runs yet. */
  kill(name: string): void {
    const station = this.station(name)
    station.process.kill()
    station.disk.crash()
    this.network.host(name).reset()
    station.life++
    station.process = this.newProcess(name, station)
  }

  outage(mode: "down" | "half" | undefined): void {
    setOutage(this.network.host("broker"), mode)
  }

  /** What a node on a host has: everything but store, UDP and Tun. */
  ports(station: Station) {
    return Layer.mergeAll(
      layerHttpClient(this.network.host(station.host), station.process),
      layerKeys(station.disk),
      layerClock(station.process),
      layerEntropy(station.process),
      Layer.succeed(Crypto)(nobleCrypto)
    )
  }

  /** Runs an effect on a host to its end, in virtual time. */
  on<A, E>(name: string, effect: Effect.Effect<A, E, Layer.Success<ReturnType<BrokerWorld["ports"]>>>): A {
    const station = this.station(name)
    const provided = effect.pipe(Effect.provide(this.ports(station)), Effect.provideService(Trace, this.traceOf(name)))
    return drive(station.process, provided)
  }

  /** Starts an effect that goes on. */
  begin<A, E>(
    name: string,
    effect: Effect.Effect<A, E, Layer.Success<ReturnType<BrokerWorld["ports"]>>>
  ): Fiber.Fiber<A, E> {
    const station = this.station(name)
    return station.process.fork(
      effect.pipe(Effect.provide(this.ports(station)), Effect.provideService(Trace, this.traceOf(name)))
    )
  }

  advance(ms: number): void {
    this.kernel.run(this.kernel.nowNs + ms * 1_000_000)
  }

  nowMs(): number {
    return this.station("broker").wall.nowMs()
  }

  /** Calls the API from a host with a bearer token, or without. */
  call<A, E>(
    token: string | undefined,
    body: (client: BrokerClient) => Effect.Effect<A, E, HttpClient.HttpClient>,
    host = "one"
  ): A {
    const options = token === undefined ? {} : { authorize: HttpClientRequest.bearerToken(token) }
    return this.on(host, Effect.flatMap(brokerClient({ brokerUrl: this.url, ...options }), body))
  }

  events<K extends TraceKind>(kind: K): ReadonlyArray<Extract<TraceEvent, { readonly kind: K }>> {
    return this.trace.events.filter((event): event is Extract<TraceEvent, { readonly kind: K }> => event.kind === kind)
  }

  private addStation(name: string): void {
    const disk = new Disk({ kernel: this.kernel, host: name, openEngine: openMemoryEngine })
    const wall = new WallClock(this.kernel, EPOCH_MS)
    const station = { host: name, disk, wall, life: 1 } as Station
    station.process = this.newProcess(name, station)
    this.stations.set(name, station)
  }

  private newProcess(name: string, station: Station): Process {
    return new Process({
      kernel: this.kernel,
      name: `${name}#${station.life}`,
      wall: station.wall,
      log: (message) => void this.logged.push(`${name}: ${message}`)
    })
  }

  private traceOf(node: string): typeof Trace.Service {
    return (kind, fields) => this.trace.write(this.kernel.nowNs, node, kind, fields)
  }
}
