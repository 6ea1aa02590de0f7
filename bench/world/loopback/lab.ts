/**
 * A lab in the loopback world: the virtual network in real time, the hosts with their sockets, files and clocks, the nodes and actors
 * as lives on them, and the handles by which faults act on all that.
 */

import type { InvariantCount, TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import { TraceLog } from "@horizon/core/lab/trace.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { nodeCrypto } from "@horizon/real/crypto.ts"
import type { ActorSpec, NodeSpec, Scenario } from "@horizon/scenarios/scenario.ts"
import type { Disk, StoreFaultMode } from "@horizon/sim/disk/disk.ts"
import { WallClock } from "@horizon/sim/kernel/process.ts"
import type { Network } from "@horizon/sim/net/network.ts"
import { TunHost } from "@horizon/sim/port/tun.ts"
import type { Exit } from "effect"
import { Cause } from "effect"
import type { FaultHandles } from "../fault-driver.ts"
import { groundHandles, LabWatch } from "../lab-watch.ts"
import { type Ground, openGround } from "./ground.ts"
import { HttpHost } from "./http.ts"
import { Life } from "./life.ts"
import type { LiveKernel } from "./live-kernel.ts"
import { startActor, startNode } from "./ports.ts"
import { UdpHost } from "./udp.ts"

/** A node that was asked to stop and has not after this is killed, as a supervisor would. */
const STOP_GRACE_NS = 5e9

/** Where a node or an actor lives: its host, and what of the host outlives it. */
export interface Place {
  readonly wall: WallClock
  readonly udp: UdpHost
  readonly tun: TunHost
  readonly http: HttpHost
  /** How the store misbehaves now. */
  storeFault: StoreFaultMode | undefined
  /** The store's faults of the present life. */
  disk: Disk | undefined
}

interface RunningNode {
  readonly spec: NodeSpec
  readonly place: Place
  incarnation: number
  life: Life | undefined
  /** Resolves when the ports of all former lives are closed. */
  closed: Promise<void>
  /** Set while the node has been asked to stop: what to do once it has. */
  stopped: (() => void) | undefined
}

export interface LoopbackLabOptions {
  readonly scenario: Scenario
  readonly seed: number
  /** For keys and stores; not removed by the lab. */
  readonly folder: string
}

/** Opens a lab; its nodes start at their times. */
export const openLoopbackLab = async (options: LoopbackLabOptions): Promise<LoopbackLab> => {
  const failures: Array<Failure> = []
  const { topology } = options.scenario
  const onFailure = (error: unknown): void => void failures.push(harnessFailure("kernel", error))
  const ground = await openGround({ topology, seed: options.seed, onFailure })
  try {
    return new LoopbackLab(options, ground, failures)
  } catch (error) {
    await ground.close()
    throw error
  }
}

export class LoopbackLab {
  readonly kernel: LiveKernel
  readonly network: Network
  readonly trace = new TraceLog()
  readonly folder: string
  readonly watch: LabWatch
  /** The handles of the fault driver. */
  readonly handles: FaultHandles
  /** Failures of actors and of the lab itself: the harness's own, not the nodes'. */
  readonly failures: Array<Failure>
  private readonly ground: Ground
  private readonly startMs = Date.now()
  private readonly walls = new Map<string, WallClock>()
  private readonly udps = new Map<string, UdpHost>()
  private readonly tuns = new Map<string, TunHost>()
  private readonly https = new Map<string, HttpHost>()
  private readonly nodes = new Map<string, RunningNode>()
  private readonly actors: Array<Life> = []
  private readonly planted: ReadonlySet<string>
  private closing = false

  constructor({ scenario, folder }: LoopbackLabOptions, ground: Ground, failures: Array<Failure>) {
    this.ground = ground
    this.kernel = ground.kernel
    this.network = ground.network
    this.folder = folder
    this.failures = failures
    this.planted = new Set(scenario.plant ?? [])
    this.watch = new LabWatch({
      network: this.network,
      scenario,
      crypto: nodeCrypto,
      onBroken: (fields) => this.write("world", "invariant.broken", fields),
      onMessage: (from, fields) => this.write(from, "message", fields)
    })
    this.handles = { ...groundHandles(this.network, (name) => this.node(name).place), ...this.nodeHandles() }
    for (const spec of scenario.nodes) {
      const place = this.place(spec.host)
      const closed = Promise.resolve()
      this.nodes.set(spec.name, { spec, place, incarnation: 0, life: undefined, closed, stopped: undefined })
      this.kernel.callAt((spec.startMs ?? 0) * 1e6, () => this.start(spec.name))
    }
    for (const spec of scenario.actors) this.kernel.callAt(spec.startMs * 1e6, () => this.startActor(spec))
  }

  /** World time. */
  nowNs(): number {
    return this.ground.clock.nowNs()
  }

  write<K extends TraceKind>(node: string, kind: K, fields: TraceFields[K]): void {
    // What happens while the lab is taken down is not part of the run.
    if (!this.closing) this.trace.write(this.nowNs(), node, kind, fields)
  }

  writerOf(node: string): TraceWriter {
    return (kind, fields) => this.write(node, kind, fields)
  }

  isPlanted(point: string): boolean {
    return this.planted.has(point)
  }

  address(host: string): string {
    return formatV4(this.ground.addresses.real(this.network.host(host).address))
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
        const { life, incarnation } = this.node(name)
        if (!life?.alive) return () => {}
        life.process.pause()
        this.write(name, "node.paused", { incarnation })
        return () => {
          life.process.resume()
          if (life.alive) this.write(name, "node.resumed", { incarnation })
        }
      },
      storeFault: (name, mode, ppm, delayMs) => {
        const { place } = this.node(name)
        const fault = { mode, ppm, delayMs }
        setStoreFault(place, fault)
        return () => {
          if (place.storeFault === fault) setStoreFault(place, undefined)
        }
      },
      outage: (name, mode) => {
        const { http } = this.node(name).place
        http.outage = mode
        return () => {
          http.outage = undefined
        }
      }
    }
  }

  /** Ends every life at once and gives back what the lab has taken from the machine. */
  async close(): Promise<void> {
    this.closing = true
    const nodes = [...this.nodes.values()]
    const lives = [...this.actors, ...nodes.flatMap((node) => node.life ?? [])]
    await Promise.all([...lives.map((life) => life.kill()), ...nodes.map((node) => node.closed)])
    await this.ground.close()
  }

  private start(name: string): void {
    const node = this.node(name)
    if (node.life?.alive) return
    const life = this.live(`${name}#${++node.incarnation}`, node.place)
    const { incarnation } = node
    node.life = life
    this.write(name, "node.started", { incarnation })
    // The former life's locks and ports are free when it is closed, which takes a moment here.
    const begin = (): void => {
      if (!life.alive || this.closing) return
      startNode(
        this,
        node.spec,
        node.place,
        life,
        () => this.write(name, "node.ready", { incarnation }),
        (exit) => this.ended(node, life, node.stopped === undefined ? "failed" : "clean", exit)
      )
    }
    node.closed.then(begin).catch((error: unknown) => this.fail("node", error))
  }

  private crash(node: RunningNode): void {
    const { life } = node
    if (!life?.alive) return
    this.release(node, life)
    this.write(node.spec.name, "node.stopped", { incarnation: node.incarnation, outcome: "crashed", cause: "a fault" })
  }

  private stop(node: RunningNode, stopped: () => void): void {
    const { life } = node
    if (!life?.alive) return stopped()
    node.stopped = stopped
    const { process } = life
    const askedNs = this.kernel.nowNs
    const wasPaused = process.paused
    life.stop()
    this.kernel.callAt(askedNs + STOP_GRACE_NS, () => {
      if (!life.alive) return
      // Who stands still cannot stop: the supervisor's kill is then no fault of the node.
      this.ended(node, life, wasPaused || process.pausedNs >= askedNs ? "crashed" : "failed")
    })
  }

  private ended(
    node: RunningNode,
    life: Life,
    outcome: "clean" | "crashed" | "failed",
    exit?: Exit.Exit<void, unknown>
  ): void {
    this.release(node, life)
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

  private release(node: RunningNode, life: Life): void {
    const killed = life.kill()
    node.closed = node.closed.then(() => killed).catch((error: unknown) => this.fail("close", error))
  }

  private startActor(spec: ActorSpec): void {
    const place = this.place(spec.host)
    const life = this.live(spec.name, place)
    this.actors.push(life)
    startActor(this, spec, place, life, (exit) => {
      if (exit._tag === "Failure") this.fail("actor", `actor ${spec.name} failed: ${Cause.pretty(exit.cause)}`)
    })
  }

  private live(name: string, { wall }: Place): Life {
    return new Life({ ground: this.ground, name, wall })
  }

  private fail(id: string, cause: unknown): void {
    if (!this.closing) this.failures.push(harnessFailure(id, cause))
  }

  private node(name: string): RunningNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`the scenario has no node ${name}`)
    return node
  }

  private place(hostName: string): Place {
    const { ground } = this
    const host = this.network.host(hostName)
    const clock = { nowNs: () => this.nowNs(), defer: (work: () => void) => void setImmediate(work) }
    return {
      wall: known(this.walls, hostName, () => new WallClock(this.kernel, this.startMs)),
      udp: known(this.udps, hostName, () => new UdpHost(host, ground)),
      tun: known(this.tuns, hostName, () => new TunHost(clock)),
      http: known(this.https, hostName, () => new HttpHost(host, ground)),
      storeFault: undefined,
      disk: undefined
    }
  }
}

const harnessFailure = (id: string, cause: unknown): Failure => ({
  id,
  verdict: "harness",
  sentence: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
  events: []
})

const setStoreFault = (place: Place, fault: StoreFaultMode | undefined): void => {
  place.storeFault = fault
  if (place.disk !== undefined) place.disk.storeFault = fault
}

const known = <A>(map: Map<string, A>, key: string, make: () => A): A => {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}
