/** Checks of what users get: operations that succeed, recovery in bounded time, load that stays bounded. */

import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Check, CheckInput } from "./check.ts"
import { eventsOf } from "./check.ts"

/** Outcome of an operation that made no sense at its time, so that it counts neither way. */
const NOT_TRIED = "elsewhere"

type OpDone = Extract<TraceEvent, { readonly kind: "op.done" }>

/** Operations `op` that were due in a window, from given actors. */
const ops = (input: CheckInput, params: Readonly<Record<string, any>>): ReadonlyArray<OpDone> => {
  const fromNs = (params.fromMs ?? 0) * 1e6
  const toNs = (params.toMs ?? Number.POSITIVE_INFINITY) * 1e6
  return eventsOf(input, "op.done").filter(
    ({ fields }) =>
      fields.op === params.op &&
      fields.intendedNs >= fromNs &&
      fields.intendedNs < toNs &&
      fields.outcome !== NOT_TRIED &&
      (params.to === undefined || params.to.includes(fields.to)) &&
      (params.actors === undefined || params.actors.includes(fields.actor))
  )
}

/** At most `lostPpmMax` of the operations `op` due between `fromMs` and `toMs` fail. */
export const opsSucceed: Check = {
  verdict: "safety",
  run: (input, params) => {
    const done = ops(input, params)
    const failed = done.filter((event) => event.fields.outcome !== "ok")
    const allowedPpm = params.lostPpmMax ?? 0
    const tooMany = failed.length * 1e6 > allowedPpm * done.length
    return {
      sentence: `of ${params.op} ${params.because ?? ""} at most ${allowedPpm / 10_000} % fail`.replace("  ", " "),
      checked: done.length,
      violations: tooMany
        ? [
            {
              sentence: `${failed.length} of ${done.length} ${params.op} failed (${summary(failed)})`,
              events: failed.slice(0, 20).map((event) => event.id)
            }
          ]
        : []
    }
  }
}

/** Every ordered pair of `actors` exchanged at least one successful `op` (field `to` names the peer's host). */
export const allPairs: Check = {
  verdict: "liveness",
  run: (input, params) => {
    const hosts = new Map(input.scenario.actors.map((actor) => [actor.name, actor.host]))
    const seen = new Set(
      ops(input, { ...params, actors: undefined })
        .filter((event) => event.fields.outcome === "ok")
        .map((event) => `${hosts.get(event.fields.actor)}>${event.fields.to}`)
    )
    const names: ReadonlyArray<string> = params.hosts
    const missing = names.flatMap((a) => names.filter((b) => a !== b && !seen.has(`${a}>${b}`)).map((b) => `${a}>${b}`))
    return {
      sentence: `all ${names.length * (names.length - 1)} pairs of members talk to each other`,
      checked: seen.size,
      violations:
        missing.length === 0 ? [] : [{ sentence: `no answer on ${missing.slice(0, 8).join(", ")}`, events: [] }]
    }
  }
}

/** Goal: after the faults have stopped, the last `lastN` operations of each actor succeed. */
export const opsRecovered: Check = {
  verdict: "liveness",
  run: (input, params) => {
    const fromNs = input.livenessNs ?? input.nowNs
    const lastN: number = params.lastN ?? 5
    const byActor = new Map<string, Array<OpDone>>()
    for (const actor of input.scenario.actors) {
      if (actor.kind === params.actorKind && (params.actors === undefined || params.actors.includes(actor.name))) {
        byActor.set(actor.name, [])
      }
    }
    for (const event of eventsOf(input, "op.done")) {
      if (event.fields.op === params.op && event.fields.intendedNs >= fromNs)
        byActor.get(event.fields.actor)?.push(event)
    }
    // An actor whose peers are all elsewhere has nothing to try; the other goals say whether it is connected.
    const isGood = (event: OpDone): boolean => event.fields.outcome === "ok" || event.fields.outcome === NOT_TRIED
    const behind = [...byActor].filter(([, done]) => done.length < lastN || !done.slice(-lastN).every(isGood))
    return {
      sentence: `after the faults the last ${lastN} ${params.op} of every ${params.actorKind} succeed`,
      checked: byActor.size,
      violations: behind.map(([actor, done]) => {
        const last = done.slice(-lastN)
        const outcomes = last.map((event) => event.fields.outcome).join(", ")
        return {
          sentence: `${actor}: ${last.length === 0 ? "no operation since" : `last outcomes ${outcomes}`}`,
          events: last.map((event) => event.id)
        }
      })
    }
  }
}

/** After an outage that ends at `endMs`, each node in `nodes` reaches the broker again within `withinMs`. */
export const brokerLinkRecovers: Check = {
  verdict: "liveness",
  run: (input, params) => {
    const endNs = params.endMs * 1e6
    const nodes: ReadonlyArray<string> = params.nodes
    const violations = nodes.flatMap((node) => {
      const lastDown = eventsOf(input, "broker-link.down").findLast(
        (event) => event.node === node && event.atNs <= endNs
      )
      if (lastDown === undefined) return []
      const up = eventsOf(input, "broker-link.up").find((event) => event.node === node && event.atNs >= lastDown.atNs)
      const tookMs = up === undefined ? Number.POSITIVE_INFINITY : (up.atNs - endNs) / 1e6
      return tookMs <= params.withinMs
        ? []
        : [{ sentence: `${node} was back after ${Math.round(tookMs)} ms`, events: up === undefined ? [] : [up.id] }]
    })
    return {
      sentence: `every node reaches the broker within ${params.withinMs / 1000} s of its return`,
      checked: nodes.length,
      violations
    }
  }
}

/** No thundering herd: in no window of `windowMs` after `endMs` do more than `attemptsMax` attempts reach the broker. */
export const noThunderingHerd: Check = {
  verdict: "performance",
  run: (input, params) => {
    const attempts = eventsOf(input, "broker-link.attempt").filter(
      (event) => event.atNs >= params.endMs * 1e6 && event.atNs < (params.endMs + params.forMs) * 1e6
    )
    const worst = mostWithin(attempts, params.windowMs * 1e6)
    return {
      sentence: `at most ${params.attemptsMax} attempts at the broker within any ${params.windowMs} ms after its return (worst: ${worst})`,
      checked: attempts.length,
      violations:
        worst <= params.attemptsMax ? [] : [{ sentence: `${worst} attempts within ${params.windowMs} ms`, events: [] }]
    }
  }
}

/** In no window of `windowMs` between `fromMs` and `toMs` does the broker answer more than `requestsMax` requests. */
export const brokerRequestsBounded: Check = {
  verdict: "performance",
  run: (input, params) => {
    const requests = eventsOf(input, "broker.request").filter(
      (event) => event.atNs >= params.fromMs * 1e6 && event.atNs < params.toMs * 1e6
    )
    const worst = mostWithin(requests, params.windowMs * 1e6)
    return {
      sentence: `at most ${params.requestsMax} requests reach the broker within any ${params.windowMs} ms after its return (worst: ${worst})`,
      checked: requests.length,
      violations:
        worst <= params.requestsMax ? [] : [{ sentence: `${worst} requests within ${params.windowMs} ms`, events: [] }]
    }
  }
}

/** Most events within any window of `windowNs`. */
const mostWithin = (events: ReadonlyArray<TraceEvent>, windowNs: number): number => {
  let worst = 0
  let start = 0
  for (let end = 0; end < events.length; end++) {
    while (events[end].atNs - events[start].atNs >= windowNs) start++
    worst = Math.max(worst, end - start + 1)
  }
  return worst
}

/** Events of `kind` occur at least `atLeast` times (and at most `atMost`): the fault really struck, the path was really taken. */
export const occurs: Check = {
  verdict: "safety",
  run: (input, params) => {
    const fromNs = (params.fromMs ?? 0) * 1e6
    const count = input.events.filter(
      (event) =>
        event.kind === params.kind &&
        (params.node === undefined || event.node === params.node) &&
        event.atNs >= fromNs &&
        Object.entries(params.fields ?? {}).every(
          ([key, value]) => (event.fields as Record<string, unknown>)[key] === value
        )
    ).length
    const atMost = params.atMost ?? Number.POSITIVE_INFINITY
    return {
      sentence: `${params.because ?? params.kind}: ${count} times`,
      checked: 1,
      violations:
        count >= (params.atLeast ?? 1) && count <= atMost
          ? []
          : [
              {
                sentence: `${params.kind} occurred ${count} times, not ${params.atLeast ?? 1} to ${atMost}`,
                events: []
              }
            ]
    }
  }
}

/** The `percentile` of `op`'s latency, from histograms and single operations, is at most `maxUs`. */
export const latencyAtMost: Check = {
  verdict: "performance",
  run: (input, params) => {
    const latencies = ops(input, params)
      .filter((event) => event.fields.outcome === "ok")
      .map((event) => event.fields.endedNs - event.fields.intendedNs)
      .sort((a, b) => a - b)
    const at = Math.min(latencies.length - 1, Math.ceil((latencies.length * params.percentile) / 100) - 1)
    const seenUs = latencies.length === 0 ? 0 : Math.round(latencies[Math.max(0, at)] / 1000)
    return {
      sentence: `p${params.percentile} of ${params.op} is at most ${params.maxUs / 1000} ms (seen ${seenUs / 1000} ms)`,
      checked: latencies.length,
      violations:
        seenUs <= params.maxUs ? [] : [{ sentence: `p${params.percentile} was ${seenUs / 1000} ms`, events: [] }]
    }
  }
}

/** Each subject is leased one and the same address all through the run. */
export const sameAddresses: Check = {
  verdict: "safety",
  run: (input) => {
    const first = new Map<string, { address: string; event: number }>()
    const violations: Array<{ sentence: string; events: ReadonlyArray<number> }> = []
    const granted = eventsOf(input, "lease.granted")
    for (const event of granted) {
      const key = `${event.node} ${event.fields.subject}`
      const known = first.get(key)
      if (known === undefined) first.set(key, { address: event.fields.address, event: event.id })
      else if (known.address !== event.fields.address) {
        violations.push({
          sentence: `${event.fields.subject} had ${known.address} and then got ${event.fields.address}`,
          events: [known.event, event.id]
        })
      }
    }
    return { sentence: "a device keeps its tunnel address", checked: granted.length, violations }
  }
}

/** The `percentile` of the time from a player's input to its effect is at most `maxUs`, over all players. */
export const inputEffect: Check = {
  verdict: "performance",
  run: (input, params) => {
    const histogram = new Histogram()
    for (const event of eventsOf(input, "op.histogram")) {
      if (event.fields.op === "game.input-effect" && event.fields.fromNs >= (params.fromMs ?? 0) * 1e6) {
        histogram.mergeSparse(event.fields)
      }
    }
    const seenUs = histogram.count === 0 ? 0 : Math.round(histogram.percentile(params.percentile) / 1000)
    return {
      sentence: `p${params.percentile} from input to effect is at most ${params.maxUs / 1000} ms (seen ${seenUs / 1000} ms)`,
      checked: histogram.count,
      violations:
        seenUs <= params.maxUs ? [] : [{ sentence: `p${params.percentile} was ${seenUs / 1000} ms`, events: [] }]
    }
  }
}

/** Goal: after the faults have stopped, every player's inputs take effect again. */
export const playersPlay: Check = {
  verdict: "liveness",
  run: (input) => {
    const fromNs = input.livenessNs ?? input.nowNs
    const players = input.scenario.actors.filter((actor) => actor.kind === "player").map((actor) => actor.name)
    const playing = new Set(
      eventsOf(input, "op.histogram")
        .filter(
          ({ fields }) => fields.op === "game.input-effect" && fields.fromNs >= fromNs && fields.counts.length > 0
        )
        .map(({ fields }) => fields.actor)
    )
    const idle = players.filter((player) => !playing.has(player))
    return {
      sentence: "after the faults every player's inputs take effect",
      checked: players.length,
      violations: idle.map((player) => ({ sentence: `${player} has played nothing since`, events: [] }))
    }
  }
}

const summary = (failed: ReadonlyArray<OpDone>): string => {
  const counts = new Map<string, number>()
  for (const event of failed) counts.set(event.fields.outcome, (counts.get(event.fields.outcome) ?? 0) + 1)
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(", ")
}
