/**
 * Picks the most interesting moments of a run and tells each as a sequence diagram: around the first failure if there is one, else
 * around the fault that cost the most operations.
 */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { describeFault } from "@horizon/core/lab/fault.ts"
import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type { Moment, SequenceStep } from "@horizon/core/measure/document.ts"
import type { Run } from "@horizon/core/measure/run.ts"

/** Steps of one diagram. */
const STEPS_MAX = 40
/** How far around the moment a diagram looks. */
const BEFORE_NS = 1e9
const AFTER_NS = 6e9

export const pickMoments = (
  events: ReadonlyArray<TraceEvent>,
  run: Run,
  timeline: ReadonlyArray<Fault>
): ReadonlyArray<Moment> => {
  const failure = run.failures.find((candidate) => candidate.events.length > 0)
  if (failure !== undefined) {
    const event = events[failure.events[failure.events.length - 1]]
    if (event !== undefined) return [draw(`first failure: ${failure.sentence}`, event.atNs, events)]
  }
  const costly = costliestFault(events, timeline)
  return costly === undefined ? [] : [draw(describeFault(costly), costly.atMs * 1e6, events)]
}

/** The fault in whose wake most operations failed or sessions closed. */
const costliestFault = (events: ReadonlyArray<TraceEvent>, timeline: ReadonlyArray<Fault>): Fault | undefined => {
  let best: Fault | undefined
  let bestCost = 0
  for (const fault of timeline) {
    const fromNs = fault.atMs * 1e6
    const toNs = fromNs + 10e9
    let cost = 0
    for (const event of events) {
      if (event.atNs < fromNs) continue
      if (event.atNs > toNs) break
      if (event.kind === "session.closed" || event.kind === "client.status" || event.kind === "broker-link.down")
        cost += 5
      else if (event.kind === "op.done" && event.fields.outcome !== "ok") cost += 1
    }
    if (cost > bestCost) {
      bestCost = cost
      best = fault
    }
  }
  return best
}

const draw = (title: string, atNs: number, events: ReadonlyArray<TraceEvent>): Moment => {
  const steps: Array<SequenceStep> = []
  const told = new Map<string, number>()
  for (const event of events) {
    if (event.atNs < atNs - BEFORE_NS) continue
    if (event.atNs > atNs + AFTER_NS || steps.length >= STEPS_MAX) break
    const step = stepOf(event)
    if (step === undefined) continue
    // A label that keeps coming between the same two is shown a few times, not forty.
    const key = `${step.from} ${step.to} ${step.label}`
    const times = (told.get(key) ?? 0) + 1
    told.set(key, times)
    if (times <= 2) steps.push(step)
  }
  const participants = [...new Set(steps.flatMap((step) => [step.from, step.to]))]
  return { title, atNs, participants, steps }
}

const stepOf = (event: TraceEvent): SequenceStep | undefined => {
  const { atNs, node } = event
  const local = (label: string): SequenceStep => ({ atNs, from: node, to: node, label, lost: "" })
  switch (event.kind) {
    case "message":
      return { atNs, from: node, to: event.fields.to, label: event.fields.label, lost: event.fields.lost }
    case "fault.began":
      return local(`fault: ${event.fields.words}`)
    case "fault.ended":
      return local("fault over")
    case "node.stopped":
      return local(`stopped (${event.fields.outcome})`)
    case "node.started":
      return local(`starts, life ${event.fields.incarnation}`)
    case "node.ready":
      return local("serves")
    case "session.established":
      return local(`${event.fields.role === "server" ? "admits" : "connected to"} ${event.fields.peer}`)
    case "session.closed":
      return local(`session closed: ${event.fields.reason}`)
    case "session.refused":
      return local(`refused: ${event.fields.reason}`)
    case "session.roamed":
      return local(`peer moved to ${event.fields.to}`)
    case "client.status":
      return local(`status ${event.fields.state}`)
    case "broker-link.down":
      return local(`broker lost: ${event.fields.reason}`)
    case "broker-link.up":
      return local("broker reached again")
    case "lease.granted":
      return local(`leases ${event.fields.address}`)
    case "invariant.broken":
      return local(event.fields.sentence)
    default:
      return undefined
  }
}
