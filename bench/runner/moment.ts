/**
 * Picks the most interesting moment of a run and tells it as a sequence diagram: around the first failure if there is one, else
 * around the fault that set the most in motion.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { describeFault } from "@horizon/core/lab/fault.ts"
import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type { Moment, SequenceStep } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"

/** Steps and participants of one diagram: what fits a screen or two. */
const STEPS_MAX = 48
const PARTICIPANTS_MAX = 6
/** Clients in one diagram: more of them tell the same story side by side. */
const CLIENTS_MAX = 2
/** The same step between the same two is told so many times, the same loss between whomever so many times. */
const REPEATS_MAX = 2
const LOSSES_MAX = 3
/** Two notes of a node within this time are one. */
const JOIN_NS = 1e6
/** How far around a failure, and past the end of a fault, a diagram looks. */
const BEFORE_FAILURE_NS = 3e9
const AFTER_FAILURE_NS = 1e9
const BEFORE_FAULT_NS = 1e6
const AFTER_FAULT_NS = 8e9

export const pickMoments = (
  events: ReadonlyArray<TraceEvent>,
  run: Run,
  timeline: ReadonlyArray<Fault>,
  scenario: Scenario
): ReadonlyArray<Moment> => {
  const narrator = new Narrator(events, scenario)
  const failure = run.failures.find((candidate) => candidate.events.length > 0)
  const shown = failure === undefined ? undefined : events[failure.events[failure.events.length - 1]]
  if (failure !== undefined && shown !== undefined) {
    const steps = narrator.tell(shown.atNs - BEFORE_FAILURE_NS, shown.atNs + AFTER_FAILURE_NS)
    const [sentence] = failure.sentence.split("\n")
    return [arrange(`first failure: ${sentence}`, shown.atNs, steps, shown.node, narrator.members)]
  }
  let best: { readonly fault: Fault; readonly steps: ReadonlyArray<WeighedStep>; readonly weight: number } | undefined
  for (const fault of timeline) {
    const steps = narrator.tell(fault.atMs * 1e6 - BEFORE_FAULT_NS, endMs(fault) * 1e6 + AFTER_FAULT_NS)
    const weight = steps.reduce((sum, step) => sum + step.weight, 0)
    if (weight > (best?.weight ?? 0)) best = { fault, steps, weight }
  }
  if (best === undefined) return []
  const { fault, steps } = best
  return [arrange(describeFault(fault), fault.atMs * 1e6, steps, "node" in fault ? fault.node : "", narrator.members)]
}

const endMs = (fault: Fault): number => {
  if ("forMs" in fault) return fault.atMs + fault.forMs
  return fault.kind === "crash" ? fault.atMs + (fault.downMs ?? 0) : fault.atMs
}

interface WeighedStep extends SequenceStep {
  /** How much it says that something went on: 0 for what is only context. */
  readonly weight: number
}

/** Keeps the steps between the participants that matter most: the one that it is about, then those with the most to tell. */
const arrange = (
  title: string,
  atNs: number,
  all: ReadonlyArray<WeighedStep>,
  about: string,
  clients: ReadonlySet<string>
): Moment => {
  const importance = new Map<string, number>()
  for (const { from, to, weight } of all) {
    importance.set(from, (importance.get(from) ?? 0) + weight + 0.01)
    importance.set(to, (importance.get(to) ?? 0) + weight + 0.01)
  }
  for (const name of ["world", about]) if (importance.has(name)) importance.set(name, Number.POSITIVE_INFINITY)
  const ranked = [...importance].sort((a, b) => b[1] - a[1]).map(([name]) => name)
  const chosen = new Set<string>()
  let clientsLeft = CLIENTS_MAX
  for (const name of ranked) {
    if (chosen.size === PARTICIPANTS_MAX || (clients.has(name) && clientsLeft-- <= 0)) continue
    chosen.add(name)
  }
  const losses = new Map<string, number>()
  const steps = joined(
    all.filter(({ from, to, label, lost }) => {
      if (!chosen.has(from) || !chosen.has(to)) return false
      const times = (losses.get(`${label} ${lost}`) ?? 0) + 1
      losses.set(`${label} ${lost}`, times)
      return lost === "" || times <= LOSSES_MAX
    })
  ).slice(0, STEPS_MAX)
  const told = new Set(steps.flatMap((step) => [step.from, step.to]))
  return {
    title,
    atNs,
    // Columns in a fixed order of roles, so that arrows run between neighbours: the world, servers, then clients.
    participants: [...told].sort((a, b) => role(a, clients) - role(b, clients)),
    steps: steps.map(({ weight: _, ...step }) => step),
    leftOut: ranked.filter((name) => !told.has(name))
  }
}

/** Notes that a node makes one right after the other become one note. */
const joined = (steps: ReadonlyArray<WeighedStep>): ReadonlyArray<WeighedStep> => {
  const result: Array<WeighedStep> = []
  for (const step of steps) {
    const last = result[result.length - 1]
    const follows =
      last !== undefined &&
      step.from === step.to &&
      last.from === last.to &&
      last.from === step.from &&
      step.atNs - last.atNs <= JOIN_NS
    if (follows) result[result.length - 1] = { ...last, label: `${last.label}, ${step.label}` }
    else result.push(step)
  }
  return result
}

const role = (name: string, clients: ReadonlySet<string>): number => (name === "world" ? 0 : clients.has(name) ? 2 : 1)

/** Turns events into steps. Knows who is behind a server id, a connection id, a device and an actor. */
class Narrator {
  private readonly events: ReadonlyArray<TraceEvent>
  /** Node by server id; the broker writes down which node registered under which. */
  private readonly servers = new Map<string, string>()
  /** Client node by device id: both ends of a session write down its connection id. */
  private readonly devices = new Map<string, string>()
  /** Client node by the host on which an actor uses it. */
  private readonly clients = new Map<string, string>()
  /** All client nodes. */
  readonly members: ReadonlySet<string>
  private readonly broker: string

  constructor(events: ReadonlyArray<TraceEvent>, scenario: Scenario) {
    this.events = events
    this.broker = scenario.nodes.find((node) => node.kind === "broker")?.name ?? "broker"
    const clientOn = new Map(
      scenario.nodes.filter(({ kind }) => kind === "client").map(({ host, name }) => [host, name])
    )
    this.members = new Set(clientOn.values())
    for (const [host, name] of clientOn) this.clients.set(host, name)
    for (const actor of scenario.actors) {
      const client = clientOn.get(actor.host)
      if (client !== undefined) this.clients.set(actor.name, client)
    }
    const latest = new Map<number, string>()
    for (const event of events) {
      if (event.kind === "broker.server-registered") this.servers.set(event.fields.serverId, event.fields.name)
      if (event.kind !== "session.established") continue
      if (event.fields.role === "server") latest.set(event.fields.connectionId, event.fields.subject)
      else {
        const device = latest.get(event.fields.connectionId)
        if (device !== undefined && !this.devices.has(device)) this.devices.set(device, event.node)
      }
    }
  }

  /** The steps of a stretch of time, without tiring repetitions. */
  tell(fromNs: number, toNs: number): ReadonlyArray<WeighedStep> {
    const steps: Array<WeighedStep> = []
    const told = new Map<string, number>()
    for (let index = firstFrom(this.events, fromNs); index < this.events.length; index++) {
      const event = this.events[index]
      if (event.atNs > toNs) break
      const step = this.step(event)
      if (step === undefined) continue
      const key = `${step.from} ${step.to} ${step.label} ${step.lost}`
      const times = (told.get(key) ?? 0) + 1
      told.set(key, times)
      if (times <= REPEATS_MAX) steps.push(times === 1 ? step : { ...step, weight: 0 })
    }
    return steps
  }

  private step(event: TraceEvent): WeighedStep | undefined {
    const { atNs, node } = event
    const local = (label: string, weight: number): WeighedStep => ({
      atNs,
      from: node,
      to: node,
      label,
      lost: "",
      weight
    })
    const arrow = (from: string, to: string, label: string, weight: number, lost = ""): WeighedStep => ({
      atNs,
      from,
      to,
      label,
      lost,
      weight
    })
    switch (event.kind) {
      case "message":
        return arrow(node, event.fields.to, event.fields.label, 1, event.fields.lost)
      case "fault.began":
        return local(event.fields.words, 0)
      case "fault.ended":
        return local(`over: ${event.fields.words}`, 0)
      case "node.stopped":
        return local(`stops (${event.fields.outcome})`, 3)
      case "node.started":
        return local(event.fields.incarnation === 1 ? "starts" : `starts again, life ${event.fields.incarnation}`, 1)
      case "node.ready":
        return local("serves", 1)
      case "broker-link.attempt": {
        const { what, outcome, reason } = event.fields
        return outcome === "ok"
          ? arrow(node, this.broker, what, 0)
          : arrow(node, this.broker, what, 1, reason === "" ? "failed" : reason)
      }
      case "broker-link.down":
        return local(`is without the broker (${event.fields.reason})`, 2)
      case "broker-link.up":
        return local("has the broker", 2)
      case "broker.server-offline":
        return local(`lists ${this.servers.get(event.fields.serverId) ?? "a server"} as offline`, 2)
      case "broker.ticket-issued": {
        const client = this.devices.get(event.fields.deviceId)
        const label = `ticket for ${this.servers.get(event.fields.serverId) ?? "a server"}`
        return client === undefined ? undefined : arrow(node, client, label, 1)
      }
      case "session.established": {
        // Only the client's end is told: when it has the session, the server has it too.
        if (event.fields.role === "server") return undefined
        const server = this.servers.get(event.fields.subject)
        return local(`has a session with ${server ?? event.fields.peer}`, 3)
      }
      case "session.closed":
        return event.fields.role === "server" ? local("gives a session up", 1) : local("gives its session up", 3)
      case "session.refused":
        return local(`refuses: ${event.fields.reason}`, 2)
      case "session.roamed":
        return local(`peer moved to ${event.fields.to}`, 2)
      case "client.server-chosen": {
        const server = this.servers.get(event.fields.serverId)
        return local(`chooses ${server ?? "a server"}, ${(event.fields.rttUs / 1000).toFixed(1)} ms away`, 1)
      }
      case "client.status":
        return local(`says ${event.fields.state}`, 2)
      case "op.done":
        return this.operation(event)
      case "invariant.broken":
        return local(event.fields.sentence, 5)
      default:
        return undefined
    }
  }

  /** An operation through the tunnel that failed, as a message between the two members' clients. */
  private operation({ atNs, fields }: Extract<TraceEvent, { kind: "op.done" }>): WeighedStep | undefined {
    if (fields.outcome === "ok") return undefined
    const from = this.clients.get(fields.actor)
    const to = this.clients.get(fields.to)
    return from === undefined || to === undefined || from === to
      ? undefined
      : { atNs, from, to, label: fields.op, lost: fields.outcome, weight: 0.2 }
  }
}

/** Index of the first event at or after a time; events are in the order of time. */
const firstFrom = (events: ReadonlyArray<TraceEvent>, fromNs: number): number => {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle].atNs < fromNs) low = middle + 1
    else high = middle
  }
  return low
}
