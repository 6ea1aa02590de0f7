/**
 * A user of the broker's API: asks for the server list in an open loop, whatever becomes of earlier questions. Each is one
 * `op.done` event `broker-list` whose outcome is `ok` or the reason why there was no answer.
 */

import { brokerClient, callBroker } from "@horizon/core/api/broker-client.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Effect, Queue, Result } from "effect"
import { HttpClientRequest } from "effect/http"
import { Directory } from "./actor.ts"
import { openLoop } from "./open-loop.ts"

export interface BrokerProbeParams {
  readonly brokerUrl: string
  readonly personalKey: string
  readonly ratePerSecond: number
}

/** Questions that may be due and not yet asked; more than that are counted as `overrun`. */
const WAITING_MAX = 1_000

export const brokerProbe = (params: BrokerProbeParams) =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const trace = yield* Trace
    const directory = yield* Directory
    const client = yield* brokerClient({
      brokerUrl: params.brokerUrl,
      authorize: HttpClientRequest.bearerToken(params.personalKey)
    })
    const due = yield* Queue.dropping<number>(WAITING_MAX)
    const offsetNs = directory.worldNs() - clock.nowNs()
    const done = (intendedNs: number, startedNs: number, outcome: string): void =>
      trace("op.done", {
        actor: directory.self,
        op: "broker-list",
        to: "broker",
        intendedNs: intendedNs + offsetNs,
        startedNs: startedNs + offsetNs,
        endedNs: clock.nowNs() + offsetNs,
        outcome
      })
    const ask = (intendedNs: number) =>
      Effect.gen(function* () {
        const startedNs = clock.nowNs()
        const call = callBroker(client.members.listServers({ query: {} }), "list the servers", params.brokerUrl)
        const answer = yield* Effect.result(call)
        done(intendedNs, startedNs, Result.isSuccess(answer) ? "ok" : (answer.failure.problem ?? answer.failure.reason))
      })
    const periodNs = Math.floor(1e9 / params.ratePerSecond)
    yield* openLoop({
      firstNs: clock.nowNs() + periodNs,
      periodNs,
      count: Number.POSITIVE_INFINITY,
      operate: (_, intendedNs, nowNs) => {
        if (!Queue.offerUnsafe(due, intendedNs)) done(intendedNs, nowNs, "overrun")
      }
    })
    yield* Effect.forever(Effect.flatMap(Queue.take(due), (intendedNs) => Effect.forkScoped(ask(intendedNs))))
  }).pipe(Effect.scoped)
