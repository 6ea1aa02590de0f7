/**
 * The loopback world: the nodes and actors of a scenario in this process, on real sockets, real files and real time. Each host
 * of the topology is an address of its own in 127.0.0.0/8. Links are whatever the machine's loopback is, so only scenarios that ask
 * for plain links run here. The tunnel's far side is the same user-land IP stack as in the simulated world.
 */

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { auditedCrypto } from "@horizon/core/crypto/audit.ts"
import type { TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import { TraceLog } from "@horizon/core/lab/trace.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { nodeCrypto } from "@horizon/real/crypto.ts"
import { layerEntropy } from "@horizon/real/entropy.ts"
import { layerHostFacts } from "@horizon/real/host-facts.ts"
import { layerHttpClient, layerHttpServer } from "@horizon/real/http.ts"
import { layerKeys } from "@horizon/real/keys.ts"
import { layerStore } from "@horizon/real/store.ts"
import { layerUdp } from "@horizon/real/udp.ts"
import { Directory } from "@horizon/scenarios/actor/actor.ts"
import { actorProgram } from "@horizon/scenarios/actor/registry.ts"
import { goalsMet, validateScenario } from "@horizon/scenarios/judge.ts"
import type { ActorSpec, NodeSpec } from "@horizon/scenarios/scenario.ts"
import { TunHost } from "@horizon/sim/port/tun.ts"
import { Cause, Context, Effect, Fiber, Layer, References } from "effect"
import { fillIn, nodeProgram } from "./node-program.ts"
import type { World, WorldRunOptions, WorldRunOutcome } from "./world.ts"

const TICK_MS = 250

/** Labs that this process has made: each gets a network of its own, so that several can run side by side. */
let labs = 0

export const makeLoopback = (): World => ({
  name: "loopback",
  summary: "all nodes in one process on real sockets, files and time; plain links",
  fidelity: "measured on loopback",
  offers: new Set(),
  run: runLoopback
})

const runLoopback = async (options: WorldRunOptions): Promise<WorldRunOutcome> => {
  const { scenario } = options
  const problems = validateScenario(scenario)
  if (problems.length > 0) throw new Error(`scenario ${scenario.name} is not sound: ${problems.join("; ")}`)
  const folder = await mkdtemp(join(tmpdir(), "horizon-loopback-"))
  const lab = new LoopbackLab(options, folder)
  let livenessNs: number | undefined
  try {
    await lab.runUntil(scenario.durationMs, () => false)
    livenessNs = lab.nowNs()
    lab.write("world", "phase.liveness", {})
    const met = (): boolean =>
      goalsMet({
        scenario,
        events: lab.trace.events,
        watched: lab.watched(),
        virtualTime: false,
        nowNs: lab.nowNs(),
        livenessNs
      })
    await lab.runUntil(scenario.durationMs + scenario.livenessMs, met)
  } finally {
    await lab.close()
    await rm(folder, { recursive: true, force: true })
  }
  return {
    trace: lab.trace,
    watched: lab.watched(),
    failures: lab.failures,
    digest: "",
    checkpoints: [],
    recorded: [],
    events: lab.trace.events.length,
    packets: lab.packets(),
    seconds: lab.nowNs() / 1e9,
    livenessNs,
    timeline: [],
    drawn: {}
  }
}

class LoopbackLab {
  readonly trace = new TraceLog()
  readonly failures: Array<Failure> = []
  private readonly options: WorldRunOptions
  private readonly folder: string
  private readonly startMs = performance.now()
  private readonly addresses: ReadonlyMap<string, string>
  private readonly tuns = new Map<string, TunHost>()
  private readonly fibers: Array<Fiber.Fiber<void, unknown>> = []
  private readonly starts: Array<NodeJS.Timeout> = []
  private closing = false
  private readonly crypto = auditedCrypto(nodeCrypto, (finding, sentence) =>
    this.write("world", "invariant.broken", { id: finding, sentence })
  )

  constructor(options: WorldRunOptions, folder: string) {
    this.options = options
    this.folder = folder
    const hosts = Object.keys(options.scenario.topology.hosts)
    const net = 64 + ((process.pid * 8 + labs++) & 127)
    this.addresses = new Map(hosts.map((host, index) => [host, `127.${net}.${index >> 8}.${(index & 255) + 1}`]))
    const { nodes, actors } = options.scenario
    for (const spec of nodes) this.later(spec.startMs ?? 0, () => this.start(spec.name, this.nodeEffect(spec), "node"))
    for (const spec of actors) this.later(spec.startMs, () => this.start(spec.name, this.actorEffect(spec), "actor"))
  }

  nowNs(): number {
    return Math.floor((performance.now() - this.startMs) * 1e6)
  }

  write<K extends TraceKind>(node: string, kind: K, fields: TraceFields[K]): void {
    // What the nodes say while the lab takes them down is not part of the run.
    if (!this.closing) this.trace.write(this.nowNs(), node, kind, fields)
  }

  watched() {
    const { audit } = this.crypto
    return [
      {
        id: "nonce-reuse",
        sentence: "no nonce seals twice under one key",
        checked: audit.sealed,
        broken: audit.nonceReuses
      },
      { id: "replay", sentence: "no packet is accepted twice", checked: audit.opened, broken: audit.replays }
    ]
  }

  /** Sealed packets, the nearest to a count of datagrams that all layers share. */
  packets(): number {
    return this.crypto.audit.sealed
  }

  /** Lets time pass until `untilMs` of the run, or until `done` holds. */
  async runUntil(untilMs: number, done: () => boolean): Promise<void> {
    while (this.nowNs() < untilMs * 1e6 && !done() && !this.options.signal?.aborted) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
      this.options.progress?.(this.nowNs() / 1e9)
    }
  }

  /** Stops actors, then nodes, in the order in which they depend on each other. */
  async close(): Promise<void> {
    this.closing = true
    for (const start of this.starts) clearTimeout(start)
    for (const fiber of [...this.fibers].reverse()) await Effect.runPromise(Fiber.interrupt(fiber))
  }

  private later(ms: number, work: () => void): void {
    this.starts.push(setTimeout(work, ms))
  }

  private start(name: string, effect: Effect.Effect<void, unknown>, what: "node" | "actor"): void {
    if (what === "node") this.write(name, "node.started", { incarnation: 1 })
    const quiet = Effect.provideService(effect, References.MinimumLogLevel, "None")
    const fiber = Effect.runFork(quiet)
    this.fibers.push(fiber)
    fiber.addObserver((exit) => {
      if (this.closing) return
      const cause = exit._tag === "Success" ? "it returned" : Cause.pretty(exit.cause)
      if (what === "node") this.write(name, "node.stopped", { incarnation: 1, outcome: "failed", cause })
      else if (exit._tag === "Failure") {
        this.failures.push({ id: "actor", verdict: "harness", sentence: `actor ${name} failed: ${cause}`, events: [] })
      }
    })
  }

  private address(host: string): string {
    return this.addresses.get(host) ?? "127.0.0.1"
  }

  private tunOf(host: string): TunHost {
    const known = this.tuns.get(host)
    if (known !== undefined) return known
    const made = new TunHost({ nowNs: () => this.nowNs(), defer: (work) => void setImmediate(work) })
    this.tuns.set(host, made)
    return made
  }

  private basePorts(name: string) {
    return Layer.mergeAll(
      layerClock,
      layerEntropy,
      layerKeys(join(this.folder, name)),
      layerHttpClient,
      Layer.succeed(Crypto)(this.crypto),
      Layer.succeedContext(
        Context.make(Trace, <K extends TraceKind>(kind: K, fields: TraceFields[K]) => this.write(name, kind, fields))
      )
    )
  }

  private nodeEffect(spec: NodeSpec): Effect.Effect<void, unknown> {
    const addressOf = (host: string): string => this.address(host)
    const ready = (): void => this.write(spec.name, "node.ready", { incarnation: 1 })
    const base = this.basePorts(spec.name)
    const ports = Layer.mergeAll(
      base,
      Layer.provide(layerUdp, base),
      this.tunOf(spec.host).layerTun(),
      layerHostFacts,
      Layer.succeedContext(Context.make(Lifecycle, { ready }))
    )
    const program = nodeProgram(spec, addressOf)
    if (program.kind === "plain") return Effect.provide(program.run, ports)
    const server = layerHttpServer({ host: this.address(spec.host), port: program.port })
    const store = layerStore(`file:${join(this.folder, `${spec.name}.db`)}`)
    return Effect.provide(program.run, Layer.mergeAll(ports, server, store))
  }

  private actorEffect(spec: ActorSpec): Effect.Effect<void, unknown> {
    const addressOf = (host: string): string => this.address(host)
    const program = actorProgram(spec.kind, fillIn(spec.params, addressOf))
    if (program === undefined) return Effect.die(new Error(`actor ${spec.name}: there is no kind "${spec.kind}"`))
    const base = this.basePorts(spec.name)
    const directory = Directory.of({
      self: spec.name,
      host: spec.host,
      address: addressOf,
      tunnelAddress: (host) => {
        const own = this.tuns.get(host)?.stack.interface
        return own === undefined ? undefined : formatV4(own.address)
      },
      worldNs: () => this.nowNs()
    })
    const ports = Layer.mergeAll(
      base,
      spec.over === "network" ? Layer.provide(layerUdp, base) : this.tunOf(spec.host).layerUdp(),
      Layer.succeed(Directory)(directory)
    )
    return Effect.provide(program, ports)
  }
}
