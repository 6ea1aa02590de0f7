/**
 * A lab in the simulated world: the network, the hosts with their disks and clocks, the nodes and actors as processes on them, and
 * the handles by which faults act on all that.
 */

import type { Crypto as CryptoFunctions } from "@horizon/core/crypto/crypto.ts"
import type { InvariantCount, TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import { TraceLog } from "@horizon/core/lab/trace.ts"
import type { SqlEngine } from "@horizon/core/port/store.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import type { ActorSpec, NodeSpec, Scenario } from "@horizon/scenarios/scenario.ts"
import { Disk } from "@horizon/sim/disk/disk.ts"
import { hashText } from "@horizon/sim/kernel/digest.ts"
import type { Kernel } from "@horizon/sim/kernel/kernel.ts"
import { Process, WallClock } from "@horizon/sim/kernel/process.ts"
import type { SimHost } from "@horizon/sim/net/host.ts"
import { Network } from "@horizon/sim/net/network.ts"
import { setOutage } from "@horizon/sim/port/http.ts"
import { TunHost } from "@horizon/sim/port/tun.ts"
import { UdpHost } from "@horizon/sim/port/udp.ts"
import type { Exit, Fiber } from "effect"
import { Cause } from "effect"
import type { FaultHandles } from "./fault-driver.ts"
import { groundHandles, LabWatch } from "./lab-watch.ts"
import { actorEffect, nodeEffect } from "./sim-ports.ts"

/** What wall clocks show at the start of every run: 2026-01-01T00:00:00Z. */
export const EPOCH_MS = 1_767_225_600_000
/** Digest indices of trace events start here, so that they never meet those of interfaces. */
const TRACE_INDEX = 1_000_000
/** A node that was asked to stop and has not after this is killed, as a supervisor would. */
const STOP_GRACE_NS = 5e9

/** Where a node or an actor lives: its host, and what of the host outlives it. */
export interface Place {
  readonly host: SimHost
  readonly wall: WallClock
  readonly udp: UdpHost
  readonly tun: TunHost
  readonly disk: Disk
}

interface RunningNode {
  readonly spec: NodeSpec
  readonly place: Place
  incarnation: number
  process: Process | undefined
  fiber: Fiber.Fiber<void, unknown> | undefined
  /** Set while the node has been asked to stop: what to do once it has. */
  stopped: (() => void) | undefined
}

export interface SimLabOptions {
  readonly kernel: Kernel
  readonly scenario: Scenario
  readonly crypto: CryptoFunctions
  readonly openEngine: () => SqlEngine
}

export class SimLab {
  readonly kernel: Kernel
  readonly scenario: Scenario
  readonly network: Network
  readonly trace = new TraceLog()
  readonly watch: LabWatch
  /** The handles of the fault driver. */
  readonly handles: FaultHandles
  /** Failures of actors: the harness's own, not the nodes'. */
  readonly actorFailures: Array<string> = []
  private readonly openEngine: () => SqlEngine
  private readonly walls = new Map<string, WallClock>()
  private readonly udps = new Map<string, UdpHost>()
  private readonly tuns = new Map<string, TunHost>()
  private readonly disks: Array<Disk> = []
  private readonly nodes = new Map<string, RunningNode>()
  private readonly planted: ReadonlySet<string>
  private readonly kindHashes = new Map<string, number>()
  private readonly nodeIndices = new Map<string, number>()

  constructor(options: SimLabOptions) {
    this.kernel = options.kernel
    this.scenario = options.scenario
    this.openEngine = options.openEngine
    this.network = new Network(options.kernel, options.scenario.topology)
    this.planted = new Set(options.scenario.plant ?? [])
    this.watch = new LabWatch({
      network: this.network,
      scenario: options.scenario,
      crypto: options.crypto,
      onBroken: (fields) => this.write("world", "invariant.broken", fields),
      onMessage: (from, fields) => this.trace.write(this.kernel.nowNs, from, "message", fields)
    })
    this.handles = { ...groundHandles(this.network, (name) => this.node(name).place), ...this.nodeHandles() }
    for (const spec of options.scenario.nodes) {
      const node: RunningNode = {
        spec,
        place: this.place(spec.host, spec.name),
        incarnation: 0,
        process: undefined,
        fiber: undefined,
        stopped: undefined
      }
      this.nodes.set(spec.name, node)
      this.kernel.callAt((spec.startMs ?? 0) * 1e6, () => this.start(spec.name))
    }
    for (const spec of options.scenario.actors) this.kernel.callAt(spec.startMs * 1e6, () => this.startActor(spec))
  }

  /** World time. */
  nowNs(): number {
    return this.kernel.nowNs
  }

  /** Writes to the trace and to the digest. */
  write<K extends TraceKind>(node: string, kind: K, fields: TraceFields[K]): void {
    const { nowNs } = this.kernel
    this.trace.write(nowNs, node, kind, fields)
    this.kernel.digest.mix(nowNs, this.indexOf(node), this.hashOf(kind), 0, hashText(JSON.stringify(fields)))
  }

  writerOf(node: string): TraceWriter {
    return (kind, fields) => this.write(node, kind, fields)
  }

  isPlanted(point: string): boolean {
    return this.planted.has(point)
  }

  address(host: string): string {
    return formatV4(this.network.host(host).address)
  }

  tunnelAddress(host: string): string | undefined {
    const own = this.tuns.get(host)?.stack.interface
    return own === undefined ? undefined : formatV4(own.address)
  }

  watched(): ReadonlyArray<InvariantCount> {
    return this.watch.watched()
  }

  /** Faults of nodes, besides those of the ground that they stand on. */
  private nodeHandles(): Omit<FaultHandles, keyof ReturnType<typeof groundHandles>> {
    return {
      crash: (name) => this.crash(this.node(name)),
      stop: (name, stopped) => this.stop(this.node(name), stopped),
      start: (name) => this.start(name),
      pause: (name) => {
        const { process, incarnation } = this.node(name)
        if (!process?.alive) return () => {}
        process.pause()
        this.write(name, "node.paused", { incarnation })
        return () => {
          process.resume()
          if (process.alive) this.write(name, "node.resumed", { incarnation })
        }
      },
      storeFault: (name, mode, ppm, delayMs) => {
        const { disk } = this.node(name).place
        const fault = { mode, ppm, delayMs }
        disk.storeFault = fault
        return () => {
          if (disk.storeFault === fault) disk.storeFault = undefined
        }
      },
      outage: (name, mode) => {
        const { host } = this.node(name).place
        setOutage(host, mode)
        return () => setOutage(host, undefined)
      }
    }
  }

  /** Ends the lab: frees what lies outside the simulated world. */
  close(): void {
    for (const disk of this.disks) disk.close()
  }

  private start(name: string): void {
    const node = this.node(name)
    if (node.process?.alive) return
    node.incarnation++
    const incarnation = node.incarnation
    const process = new Process({ kernel: this.kernel, name: `${name}#${incarnation}`, wall: node.place.wall })
    node.process = process
    this.write(name, "node.started", { incarnation })
    const fiber = process.fork(
      nodeEffect(this, node.spec, node.place, process, () => this.write(name, "node.ready", { incarnation }))
    )
    node.fiber = fiber
    fiber.addObserver((exit) => {
      if (process.alive) this.ended(node, process, node.stopped === undefined ? "failed" : "clean", exit)
    })
  }

  private crash(node: RunningNode): void {
    const { process } = node
    if (!process?.alive) return
    this.release(node, process)
    this.write(node.spec.name, "node.stopped", { incarnation: node.incarnation, outcome: "crashed", cause: "a fault" })
  }

  private stop(node: RunningNode, stopped: () => void): void {
    const { process, fiber } = node
    if (!process?.alive || fiber === undefined) return stopped()
    node.stopped = stopped
    const askedNs = this.kernel.nowNs
    const wasPaused = process.paused
    fiber.interruptUnsafe()
    this.kernel.callAt(askedNs + STOP_GRACE_NS, () => {
      if (!process.alive) return
      // Who stands still cannot stop: the supervisor's kill is then no fault of the node.
      this.ended(node, process, wasPaused || process.pausedNs >= askedNs ? "crashed" : "failed")
    })
  }

  private ended(
    node: RunningNode,
    process: Process,
    outcome: "clean" | "crashed" | "failed",
    exit?: Exit.Exit<void, unknown>
  ): void {
    this.release(node, process)
    const cause =
      outcome === "clean"
        ? ""
        : exit === undefined
          ? `asked to stop, it had not after ${STOP_GRACE_NS / 1e9} s, and was killed`
          : exit._tag === "Success"
            ? "it returned"
            : Cause.pretty(exit.cause)
    this.write(node.spec.name, "node.stopped", { incarnation: node.incarnation, outcome, cause })
    const { stopped } = node
    node.stopped = undefined
    stopped?.()
  }

  private release(node: RunningNode, process: Process): void {
    process.kill()
    node.place.disk.crash()
  }

  private startActor(spec: ActorSpec): void {
    const process = new Process({
      kernel: this.kernel,
      name: spec.name,
      wall: this.wallOf(spec.host)
    })
    const fiber = process.fork(actorEffect(this, spec, this.place(spec.host, spec.name), process))
    fiber.addObserver((exit) => {
      if (exit._tag === "Failure" && process.alive)
        this.actorFailures.push(`actor ${spec.name} failed: ${Cause.pretty(exit.cause)}`)
    })
  }

  private node(name: string): RunningNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`the scenario has no node ${name}`)
    return node
  }

  private place(host: string, owner: string): Place {
    const simHost = this.network.host(host)
    const disk = new Disk({ kernel: this.kernel, host: owner, openEngine: this.openEngine })
    this.disks.push(disk)
    return {
      host: simHost,
      wall: this.wallOf(host),
      udp: known(this.udps, host, () => new UdpHost(simHost)),
      tun: known(
        this.tuns,
        host,
        () => new TunHost({ nowNs: () => this.kernel.nowNs, defer: (work) => this.kernel.enqueue(work) })
      ),
      disk
    }
  }

  private wallOf(host: string): WallClock {
    return known(this.walls, host, () => new WallClock(this.kernel, EPOCH_MS))
  }

  private indexOf(node: string): number {
    return known(this.nodeIndices, node, () => TRACE_INDEX + this.nodeIndices.size)
  }

  private hashOf(kind: string): number {
    return known(this.kindHashes, kind, () => hashText(kind))
  }

  /** What a recorded digest event was, in words. */
  describe(node: number, kind: number, size: number, hash: number): string {
    const data = `${size} bytes, hash ${(hash >>> 0).toString(16)}`
    if (node < TRACE_INDEX) return `packet at ${this.network.interfaces[node]?.name ?? node}, kind ${kind}, ${data}`
    const name = [...this.nodeIndices].find(([, index]) => index === node)?.[0] ?? String(node)
    const what = [...this.kindHashes].find(([, value]) => value === kind)?.[0] ?? String(kind)
    return `${name}: ${what}, ${data}`
  }
}

const known = <A>(map: Map<string, A>, key: string, make: () => A): A => {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}
