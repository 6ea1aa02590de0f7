/**
 * A scenario on a network of real interfaces: its nodes as the processes that ship, its actors as processes beside them, one trace of them
 * all, and the handles by which faults act. Any network behind `LabNetwork` will do.
 *
 * The world's time starts when all that stands from the beginning runs: servers when they serve, clients when they have said their first
 * word. In virtual time a node starts in no time; here a process takes half a second of one core, and a scenario does not ask how fast the
 * machine starts a dozen of them.
 */

import { join } from "node:path"
import type { InvariantCount, TraceFields, TraceKind } from "@horizon/core/lab/trace.ts"
import type { Failure } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { monotonicNs, type TraceEventLine } from "@horizon/real/trace.ts"
import type { ActorSpec, NodeSpec, Scenario } from "@horizon/scenarios/scenario.ts"
import type { FaultHandles } from "../../world/fault-driver.ts"
import { fillIn } from "../../world/node-program.ts"
import type { LabNetwork } from "../lab-network.ts"
import { ActorProcess } from "./actor-process.ts"
import { ChangeQueue } from "./change-queue.ts"
import { MergedTrace } from "./merged-trace.ts"
import { type NodeEnd, NodeProcess, STOP_GRACE_MS } from "./node-process.ts"
import { Outage } from "./outage.ts"
import { Wire } from "./wire.ts"
import type { WireFinding } from "./wire-watch.ts"

/** Longest wait for the processes of actors, and for each rank of nodes, ms. What is late then is waited for no more. */
const ACTORS_MS = 20_000
const RANK_MS = 20_000
/** Nodes of one rank need those of the ranks before. */
const RANKS: ReadonlyArray<ReadonlyArray<NodeSpec["kind"]>> = [["broker"], ["gateway", "game"], ["client"]]
/** How often states are looked at while something is waited for, ms. */
const LOOK_MS = 10

export interface ProcessLabOptions {
  readonly scenario: Scenario
  readonly network: LabNetwork
  /** For what nodes and actors keep; empty. */
  readonly folder: string
}

interface LabNode {
  readonly spec: NodeSpec
  readonly process: NodeProcess
  /** Whether it has said anything yet. */
  spoke: boolean
  /** Set while a fault kills it. */
  crashing: boolean
  /** Resolves when the end that was asked for last has come. */
  down: Promise<void>
}

export class ProcessLab {
  readonly trace = new MergedTrace()
  readonly failures: Array<Failure> = []
  /** What a node needs and this machine does not have: then the run says nothing about the scenario. */
  unavailable: string | undefined
  private readonly options: ProcessLabOptions
  private readonly nodes: ReadonlyMap<string, LabNode>
  private readonly actors: ReadonlyMap<string, ActorProcess>
  private readonly wire: Wire
  private readonly changes: ChangeQueue
  /** Tunnel address of each host that has or had one. */
  private readonly tunnels = new Map<string, string | null>()
  private readonly outages = new Map<string, Outage>()
  private readonly timers: Array<NodeJS.Timeout> = []
  private readonly early: Array<() => void> = []
  private originNs: number | undefined
  private closing = false

  constructor(options: ProcessLabOptions) {
    const { network, scenario } = options
    this.options = options
    this.changes = new ChangeQueue((sentence) => this.fail("lab", sentence))
    this.wire = new Wire(network, watchedHosts(scenario), (finding) => this.found(finding))
    this.actors = new Map(
      [...new Set(scenario.actors.map(({ host }) => host))].map((host) => [host, this.actorsOn(host)])
    )
    this.nodes = new Map(scenario.nodes.map((spec) => [spec.name, this.makeNode(spec)]))
  }

  /** Starts what stands from the beginning; the world's time counts from when it resolves. */
  async boot(signal?: AbortSignal): Promise<void> {
    const { nodes } = this.options.scenario
    const first = nodes.filter((spec) => (spec.startMs ?? 0) === 0)
    await Promise.all([this.wire.listening(), this.bootActors()])
    for (const kinds of RANKS) {
      if (signal?.aborted) return
      const rank = first.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => this.node(name))
      for (const node of rank) this.launch(node)
      await this.until(RANK_MS, () => rank.every(runs), signal)
    }
    this.begin()
  }

  /** World time; 0 while the lab boots. */
  nowNs(): number {
    return this.originNs === undefined ? 0 : monotonicNs() - this.originNs
  }

  write<K extends TraceKind>(node: string, kind: K, fields: TraceFields[K], atMonotonicNs = monotonicNs()): void {
    // What processes say while the lab takes them down is not part of the run.
    if (this.closing) return
    const { originNs } = this
    if (originNs === undefined) this.early.push(() => this.write(node, kind, fields, atMonotonicNs))
    else this.trace.write(Math.max(0, atMonotonicNs - originNs), node, kind, fields)
  }

  /** What was watched while the run went on. */
  watched(): ReadonlyArray<InvariantCount> {
    return this.wire.watched()
  }

  /** Frames that passed a watched interface. */
  packets(): number {
    return this.wire.frames()
  }

  /** Resolves when every fault that was struck or taken back has been so on the host. */
  settled(): Promise<void> {
    return this.changes.settled()
  }

  /** The handles of the fault driver. */
  readonly handles: FaultHandles = {
    changeLink: (name, direction, change) =>
      this.changes.pushLasting(`a change of the link of ${name}`, () =>
        this.options.network.changeLink(name, direction, change)
      ),
    partition: (a, b, direction) =>
      this.changes.pushLasting(`a partition between ${a.join(", ")} and ${b.join(", ")}`, () =>
        this.options.network.partition(a, b, direction)
      ),
    natWipe: (router) => this.changes.push(`a wipe of NAT ${router}`, () => this.options.network.natWipe(router)),
    natRebind: (router) =>
      this.changes.push(`a rebinding of NAT ${router}`, () => this.options.network.natRebind(router)),
    crash: (name) => {
      const node = this.node(name)
      if (node.process.state === "down") return
      node.crashing = true
      node.down = node.process.kill()
    },
    stop: (name, stopped) => {
      const node = this.node(name)
      node.down = node.process.stop()
      void node.down.then(stopped)
    },
    start: (name) => {
      const node = this.node(name)
      void node.down.then(() => this.launch(node))
    },
    pause: (name) => this.pause(this.node(name)),
    outage: (name, mode) => {
      const outage = this.outageOf(this.node(name).spec)
      return this.changes.pushLasting(`an outage of ${name}`, async () => {
        await outage.begin(mode)
        return () => outage.end()
      })
    },
    stepClock: (name) => this.cannot(`step the clock of ${name}`),
    driftClock: (name) => this.cannot(`change the pace of the clock of ${name}`),
    storeFault: (name) => this.cannot(`disturb the store of ${name}`),
    slowConsumer: (name) => this.cannot(`slow ${name} down`)
  }

  /** Ends every process at once and waits until they are gone. The trace holds what was said before, and all that was seen on the wire. */
  async close(hurry = false): Promise<void> {
    this.closing = true
    for (const timer of this.timers) clearTimeout(timer)
    for (const actors of this.actors.values()) actors.kill()
    await Promise.all([...this.nodes.values()].map(({ process }) => process.kill()))
    if (hurry) this.wire.kill()
    else await this.wire.stop()
    await this.changes.settled()
    this.trace.settle()
  }

  fail(id: string, sentence: string): void {
    if (!this.closing) this.failures.push({ id, verdict: "harness", sentence, events: [] })
  }

  /** Captures come late, the last of them when the lab closes, but with the time at which it happened. */
  private found({ id, sentence, wallNs }: WireFinding): void {
    const agoNs = Math.max(0, Date.now() * 1e6 - wallNs)
    this.trace.write(Math.max(0, this.nowNs() - agoNs), "world", "invariant.broken", { id, sentence })
  }

  /** Lets the world's time begin: what is not there yet starts when it is due. */
  private begin(): void {
    const { actors, nodes } = this.options.scenario
    this.originNs = monotonicNs()
    for (const host of this.actors.values()) this.introduce(host)
    for (const tell of this.early.splice(0)) tell()
    for (const spec of nodes) {
      const node = this.node(spec.name)
      if (node.process.incarnation === 0) this.later(spec.startMs ?? 0, () => this.launch(node))
    }
    for (const spec of actors) this.later(spec.startMs, () => this.startActor(spec))
  }

  private later(ms: number, work: () => void): void {
    this.timers.push(setTimeout(work, ms))
  }

  private async until(ms: number, holds: () => boolean, signal?: AbortSignal): Promise<void> {
    const endMs = performance.now() + ms
    while (!holds() && performance.now() < endMs && signal?.aborted !== true)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }

  // --- nodes

  private makeNode(spec: NodeSpec): LabNode {
    const { folder, network } = this.options
    const { name } = spec
    const process = new NodeProcess({
      spec,
      enter: network.enter(spec.host),
      addressOf: network.addressOf,
      directory: join(folder, "nodes", name),
      onEvent: (line) => this.hear(spec, line),
      onReady: (atNs) => this.write(name, "node.ready", { incarnation: process.incarnation }, atNs),
      onEnd: (end) => this.ended(spec, end),
      onBroken: (sentence) => this.fail("trace", `${name}: ${sentence}`)
    })
    return { spec, process, spoke: false, crashing: false, down: Promise.resolve() }
  }

  private launch({ process, spec }: LabNode): void {
    if (this.closing || process.state !== "down") return
    this.write(spec.name, "node.started", { incarnation: process.incarnation + 1 })
    process.start()
  }

  private hear(spec: NodeSpec, { fields, kind, monotonicNs: atNs }: TraceEventLine): void {
    this.node(spec.name).spoke = true
    this.write(spec.name, kind, fields, atNs)
    if (kind !== "client.interface") return
    const { address } = fields as TraceFields["client.interface"]
    this.tellTunnel(spec.host, address === "" ? null : address.split("/")[0])
  }

  private ended(spec: NodeSpec, end: NodeEnd): void {
    const node = this.node(spec.name)
    const outcome = node.crashing ? "crashed" : outcomeOf(end)
    const cause = outcome === "clean" ? "" : node.crashing ? "a fault" : causeOf(end)
    node.crashing = false
    this.write(spec.name, "node.stopped", { incarnation: end.incarnation, outcome, cause })
    if (spec.kind === "client") this.tellTunnel(spec.host, null)
    // A node that has never served says by its exit code that something is missing here.
    if (end.code === EXIT.unavailable && end.incarnation === 1 && !end.served)
      this.unavailable ??= `${spec.name}: ${end.lastWords}`
  }

  private pause({ process, spec }: LabNode): () => void {
    const { incarnation } = process
    if (!process.pause()) return () => {}
    this.write(spec.name, "node.paused", { incarnation })
    return () => {
      if (process.incarnation === incarnation && process.resume())
        this.write(spec.name, "node.resumed", { incarnation })
    }
  }

  private outageOf(spec: NodeSpec): Outage {
    const known = this.outages.get(spec.name)
    if (known !== undefined) return known
    const made = new Outage(this.options.network.enter(spec.host), Number(spec.config["port"]))
    this.outages.set(spec.name, made)
    return made
  }

  /** Scenarios that need it are not run here; a timeline that somebody else made may hold it all the same. */
  private cannot(what: string): () => void {
    this.fail("lab", `this world cannot ${what}`)
    return () => {}
  }

  private node(name: string): LabNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`the scenario has no node ${name}`)
    return node
  }

  // --- actors

  private actorsOn(host: string): ActorProcess {
    return new ActorProcess({
      host,
      enter: this.options.network.enter(host),
      onEvent: ({ fields, kind, monotonicNs: atNs, node }) => this.write(node, kind, fields, atNs),
      onFailure: (sentence) => this.fail("actor", sentence)
    })
  }

  private async bootActors(): Promise<void> {
    const late = new Promise<void>((resolve) => this.timers.push(setTimeout(resolve, ACTORS_MS)))
    await Promise.race([Promise.allSettled([...this.actors.values()].map(({ ready }) => ready)), late])
  }

  private introduce(actors: ActorProcess): void {
    const { folder, network, scenario } = this.options
    const directory = join(folder, "actors")
    actors.say({ word: "host", host: actors.host, directory, originNs: this.originNs ?? 0 })
    for (const host of Object.keys(scenario.topology.hosts))
      actors.say({ word: "address", host, address: network.addressOf(host) })
    for (const [host, address] of this.tunnels) actors.say({ word: "tunnel", host, address })
  }

  private startActor(spec: ActorSpec): void {
    const params = fillIn(spec.params, this.options.network.addressOf)
    this.actors.get(spec.host)?.say({ word: "start", actor: { ...spec, params } })
  }

  private tellTunnel(host: string, address: string | null): void {
    this.tunnels.set(host, address)
    // Who has not been introduced yet is told then.
    if (this.originNs === undefined) return
    for (const actors of this.actors.values()) actors.say({ word: "tunnel", host, address })
  }
}

/** Whether a node is as far as it comes by itself: a client also without its gateway. A node that has ended will not come further. */
const runs = ({ process, spec, spoke }: LabNode): boolean =>
  process.state !== "started" || (spec.kind === "client" && spoke)

/** Hosts whose nodes or actors send datagrams. Without nodes there is nothing to judge on the wire, and a watch would only slow it down. */
const watchedHosts = ({ actors, nodes }: Scenario): ReadonlyArray<string> =>
  nodes.length === 0
    ? []
    : [...new Set([...nodes.filter(({ kind }) => kind !== "broker"), ...actors].map(({ host }) => host))]

const outcomeOf = ({ asked, code, forced, signal, served, stoodStill }: NodeEnd): "clean" | "crashed" | "failed" => {
  if (!asked) return "failed"
  // Who stands still cannot stop: the supervisor's kill is then no fault of the node.
  if (forced) return stoodStill ? "crashed" : "failed"
  // A process that was asked before it could listen for that simply ends.
  return code === 0 || (signal === "SIGTERM" && !served) ? "clean" : "failed"
}

const causeOf = ({ code, forced, lastWords, signal }: NodeEnd): string => {
  if (forced) return `asked to stop, it had not after ${STOP_GRACE_MS / 1000} s, and was killed`
  return `${signal === null ? `exit code ${code}` : signal}: ${lastWords}`
}
