/** Checks of what clients say about themselves: their status in the trace. */

import type { TraceEvent } from "@horizon/core/lab/trace.ts"
import type { Check, CheckInput } from "./check.ts"
import { eventsOf } from "./check.ts"

/** Goal: the last status of each client is `state`. Params: `clients` (all if left out), `state`. */
export const clientsAre: Check = {
  verdict: "liveness",
  run: (input, params) => {
    const last = new Map<string, TraceEvent & { kind: "client.status" }>()
    for (const event of eventsOf(input, "client.status")) last.set(event.node, event)
    const clients: ReadonlyArray<string> =
      params.clients ?? input.scenario.nodes.filter((node) => node.kind === "client").map((node) => node.name)
    return {
      sentence: `every client is ${params.state}`,
      checked: clients.length,
      violations: clients
        .filter((client) => last.get(client)?.fields.state !== params.state)
        .map((client) => ({
          sentence: `${client} is ${last.get(client)?.fields.state ?? "silent"}: ${last.get(client)?.fields.detail ?? ""}`,
          events: last.has(client) ? [last.get(client)!.id] : []
        }))
    }
  }
}

/** A client that starts while the broker is away says so plainly. Params: `client`, `pattern` (a regular expression). */
export const clientSays: Check = {
  verdict: "safety",
  run: (input, params) => {
    const said = statusOf(input, params.client)
    const pattern = new RegExp(params.pattern, "i")
    return {
      sentence: `${params.client} says "${params.pattern}" in its status`,
      checked: said.length,
      violations: said.some((event) => pattern.test(`${event.fields.state} ${event.fields.detail}`))
        ? []
        : [
            {
              sentence: `it said: ${said.map((event) => `${event.fields.state} (${event.fields.detail})`).join("; ")}`,
              events: said.map((event) => event.id)
            }
          ]
    }
  }
}

/** Once `fromMs` has come, the client's status leaves `state` within `withinMs`. */
export const statusLeaves: Check = {
  verdict: "safety",
  run: (input, params) => {
    const said = statusOf(input, params.client)
    const leaves = said.find((event) => event.atNs >= params.fromMs * 1e6 && event.fields.state !== params.state)
    const tookMs = leaves === undefined ? Number.POSITIVE_INFINITY : leaves.atNs / 1e6 - params.fromMs
    return {
      sentence: `${params.client} stops saying ${params.state} within ${params.withinMs / 1000} s`,
      checked: said.length,
      violations:
        tookMs <= params.withinMs
          ? []
          : [
              {
                sentence: `it said ${params.state} for ${tookMs} ms more`,
                events: leaves === undefined ? [] : [leaves.id]
              }
            ]
    }
  }
}

/** From `fromMs` on, the client's status comes to be `state` within `withinMs`; to be it already does not count. */
export const statusReaches: Check = {
  verdict: "safety",
  run: (input, params) => {
    const said = statusOf(input, params.client)
    const reaches = said.find((event) => event.atNs >= params.fromMs * 1e6 && event.fields.state === params.state)
    const tookMs = reaches === undefined ? Number.POSITIVE_INFINITY : reaches.atNs / 1e6 - params.fromMs
    return {
      sentence: `${params.client} says ${params.state} within ${params.withinMs / 1000} s of ${params.fromMs / 1000} s`,
      checked: said.length,
      violations:
        tookMs <= params.withinMs
          ? []
          : [
              {
                sentence: reaches === undefined ? "it never said so" : `it said so after ${Math.round(tookMs)} ms`,
                events: reaches === undefined ? [] : [reaches.id]
              }
            ]
    }
  }
}

/** Some time in the run the client's status is `state` for `forMs` on end: what a scenario is about has really come to pass. */
export const statusLasts: Check = {
  verdict: "safety",
  run: (input, params) => {
    const said = statusOf(input, params.client)
    let longestMs = 0
    let sinceNs: number | undefined
    for (const { atNs, fields } of said) {
      if (fields.state === params.state) sinceNs ??= atNs
      else if (sinceNs !== undefined) {
        longestMs = Math.max(longestMs, (atNs - sinceNs) / 1e6)
        sinceNs = undefined
      }
    }
    if (sinceNs !== undefined) longestMs = Math.max(longestMs, (input.nowNs - sinceNs) / 1e6)
    return {
      sentence: `${params.client} says ${params.state} for ${params.forMs / 1000} s on end`,
      checked: said.length,
      violations:
        longestMs >= params.forMs
          ? []
          : [{ sentence: `it said so for ${Math.round(longestMs)} ms at most`, events: said.map((event) => event.id) }]
    }
  }
}

const statusOf = (input: CheckInput, client: string) =>
  eventsOf(input, "client.status").filter((event) => event.node === client)
