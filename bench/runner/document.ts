/** Makes the run document from what a run left behind: latencies, time series, the fault timeline, the moment worth drawing. */

import type { Fault } from "@horizon/core/lab/fault.ts"
import { describeFault } from "@horizon/core/lab/fault.ts"
import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type {
  CheckOutcome,
  FaultEntry,
  LatencySeries,
  LogLine,
  RunDocument,
  TimeSeries
} from "@horizon/core/measure/document.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import type { Scenario } from "@horizon/scenarios/scenario.ts"
import type { WorldRunOutcome } from "../world/world.ts"
import { pickMoments } from "./moment.ts"
import { environment } from "./provenance.ts"

/** Lines of the log that are kept. */
const LOG_LINES_MAX = 2_000

export interface DocumentParts {
  readonly run: Run
  readonly scenario: Scenario
  readonly outcome: WorldRunOutcome
  readonly checks: ReadonlyArray<CheckOutcome>
  readonly fidelity: string
}

export const makeDocument = ({ run, scenario, outcome, checks, fidelity }: DocumentParts): RunDocument => {
  const { events } = outcome.trace
  const place = ({ name, kind, host }: { name: string; kind: string; host: string }) => ({ name, kind, host })
  return {
    format: "horizon-run/1",
    run,
    summary: scenario.summary,
    fidelity,
    madeAt: new Date().toISOString(),
    environment: environment(),
    nodes: scenario.nodes.map(place),
    actors: scenario.actors.map(place),
    durationMs: Math.round(outcome.seconds * 1000),
    livenessFromMs: outcome.livenessNs === undefined ? null : outcome.livenessNs / 1e6,
    faults: faultEntries(outcome.timeline),
    timeline: outcome.timeline,
    checks,
    watched: outcome.watched,
    latencies: latencies(events),
    series: timeSeries(events),
    moments: pickMoments(events, run, outcome.timeline, scenario),
    log: log(events, run)
  }
}

/** Each fault in words. Links that a storm changes alike, at once, are told in one entry. */
const faultEntries = (timeline: ReadonlyArray<Fault>): ReadonlyArray<FaultEntry> => {
  const alike = new Map<string, Fault>()
  timeline.forEach((fault, index) => {
    const { interface: link, ...rest } = { interface: "", ...fault }
    const key = fault.kind === "link" ? JSON.stringify(rest) : `${index}`
    const known = alike.get(key)
    const joined = known?.kind === "link" ? `${known.interface}, ${link}` : link
    alike.set(key, fault.kind === "link" ? { ...fault, interface: joined } : fault)
  })
  return [...alike.values()].map(faultEntry)
}

const faultEntry = (fault: Fault): FaultEntry => ({
  atMs: fault.atMs,
  untilMs:
    "forMs" in fault
      ? fault.atMs + fault.forMs
      : fault.kind === "crash" && fault.downMs !== null
        ? fault.atMs + fault.downMs
        : null,
  kind: fault.kind,
  words: describeFault(fault)
})

const latencies = (events: ReadonlyArray<TraceEvent>): ReadonlyArray<LatencySeries> => {
  const byOp = new Map<string, { histogram: Histogram; actors: Set<string>; outcomes: Record<string, number> }>()
  const entry = (op: string) => {
    const known = byOp.get(op)
    if (known !== undefined) return known
    const made = { histogram: new Histogram(), actors: new Set<string>(), outcomes: {} }
    byOp.set(op, made)
    return made
  }
  const count = (outcomes: Record<string, number>, outcome: string, times: number): void => {
    if (times > 0) outcomes[outcome] = (outcomes[outcome] ?? 0) + times
  }
  for (const event of events) {
    if (event.kind === "op.done") {
      const { histogram, actors, outcomes } = entry(event.fields.op)
      actors.add(event.fields.actor)
      count(outcomes, event.fields.outcome, 1)
      if (event.fields.outcome === "ok") histogram.record(event.fields.endedNs - event.fields.intendedNs)
    } else if (event.kind === "op.histogram") {
      const { histogram, actors, outcomes } = entry(event.fields.op)
      actors.add(event.fields.actor)
      histogram.mergeSparse(event.fields)
      count(outcomes, "ok", event.fields.sent - event.fields.lost)
      count(outcomes, "lost", event.fields.lost)
    }
  }
  return [...byOp].map(([op, { histogram, actors, outcomes }]) => ({
    op,
    actors: actors.size,
    outcomes,
    ...histogram.sparse()
  }))
}

const GROUPS: ReadonlyArray<readonly [RegExp, TimeSeries["group"]]> = [
  [/^throughput/, "throughput"],
  [/^queue/, "queue"],
  [/(^|[. ])tick-(late|cost)/, "tick"]
]

/** Series from `sample` events, and the latency of each operation per second (median and p99). */
const timeSeries = (events: ReadonlyArray<TraceEvent>): ReadonlyArray<TimeSeries> => {
  const sampled = new Map<string, { unit: string; seconds: Array<number>; values: Array<number | null> }>()
  const perSecond = new Map<string, Map<number, Histogram>>()
  const histogram = (op: string, second: number): Histogram => {
    const seconds = perSecond.get(op) ?? new Map<number, Histogram>()
    perSecond.set(op, seconds)
    const known = seconds.get(second) ?? new Histogram()
    seconds.set(second, known)
    return known
  }
  for (const event of events) {
    if (event.kind === "sample") {
      const { unit, value } = event.fields
      // Several nodes report figures of one name; the world's own say in their name what they are of.
      const name = event.node === "world" ? event.fields.name : `${event.node} ${event.fields.name}`
      const series = sampled.get(name) ?? { unit, seconds: [], values: [] }
      sampled.set(name, series)
      series.seconds.push(event.atNs / 1e9)
      series.values.push(Number.isFinite(value) ? value : null)
    } else if (event.kind === "op.done" && event.fields.outcome === "ok") {
      const { op, intendedNs, endedNs } = event.fields
      histogram(op, Math.floor(intendedNs / 1e9)).record(endedNs - intendedNs)
    } else if (event.kind === "op.histogram") {
      histogram(event.fields.op, Math.floor(event.fields.fromNs / 1e9)).mergeSparse(event.fields)
    }
  }
  const series: Array<TimeSeries> = []
  for (const [name, { unit, seconds, values }] of sampled) {
    series.push({
      name,
      unit,
      group: GROUPS.find(([pattern]) => pattern.test(name))?.[1] ?? "control",
      seconds,
      values
    })
  }
  for (const [op, seconds] of perSecond) {
    const at = [...seconds.keys()].sort((a, b) => a - b)
    for (const p of [50, 99]) {
      series.push({
        name: `${op} p${p}`,
        unit: "ms",
        group: "latency",
        seconds: at,
        values: at.map((second) => seconds.get(second)!.percentile(p) / 1e6)
      })
    }
  }
  return series
}

/** Kinds that come too often, or say too little, for a log that people read. */
const NOT_LOGGED = new Set<TraceEvent["kind"]>([
  "op.done",
  "op.histogram",
  "sample",
  "message",
  "broker.heartbeat",
  "broker.request"
])

/**
 * The log of a run. If there are too many lines, kinds that come often give way to those that come rarely, and lines that a
 * failure points at stay in any case.
 */
const log = (events: ReadonlyArray<TraceEvent>, run: Run): ReadonlyArray<LogLine> => {
  const wanted = events.filter((event) => !NOT_LOGGED.has(event.kind))
  const cited = new Set(run.failures.flatMap((failure) => failure.events))
  const times = new Map<string, number>()
  for (const { kind } of wanted) times.set(kind, (times.get(kind) ?? 0) + 1)
  let room = LOG_LINES_MAX
  const share = new Map<string, number>()
  const rarest = [...times].sort((a, b) => a[1] - b[1])
  rarest.forEach(([kind, count], index) => {
    const granted = Math.min(count, Math.floor(room / (rarest.length - index)))
    share.set(kind, granted)
    room -= granted
  })
  const kept = wanted.filter(({ id, kind }) => {
    const left = share.get(kind)!
    share.set(kind, left - 1)
    return left > 0 || cited.has(id)
  })
  return kept.map((event) => ({
    id: event.id,
    atNs: event.atNs,
    node: event.node,
    kind: event.kind,
    words: wordsOf(event)
  }))
}

/** An event on one line: a sentence for the kinds that people read most, else its fields by name. */
const wordsOf = (event: TraceEvent): string => {
  switch (event.kind) {
    case "fault.began":
      return event.fields.words
    case "fault.ended":
      return `over: ${event.fields.words}`
    case "phase.liveness":
      return "faults have stopped; from here the goals must be met"
    case "node.started":
    case "node.ready":
      return event.fields.incarnation === 1 ? "for the first time" : `again, life ${event.fields.incarnation}`
    case "node.stopped":
      return `${event.fields.outcome}${event.fields.cause === "" ? "" : `: ${event.fields.cause}`}`
    case "client.status":
      return `${event.fields.state}: ${event.fields.detail}`
    case "broker-link.attempt": {
      const { what, outcome, reason } = event.fields
      return outcome === "ok" ? `${what} worked` : `${what} failed: ${reason}`
    }
    case "broker-link.down":
      return event.fields.reason
    case "fact":
      return `${event.fields.name} is ${event.fields.value}`
    case "invariant.broken":
      return `${event.fields.id}: ${event.fields.sentence}`
    default:
      return Object.entries(event.fields)
        .map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", ")
  }
}
