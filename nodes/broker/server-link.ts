/** What registered servers say: heartbeats, connection reports, goodbye. The signature has been checked before (http/). */

import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { type HeartbeatAnswer, REVOCATIONS_MAX, type ServerMetrics } from "@horizon/core/api/server.ts"
import { Effect } from "effect"
import type { Answer, BrokerParts } from "./parts.ts"
import { fromHex, recordId } from "./record-id.ts"

/** Keeps the figures; answers with the time, the next date, and what was revoked since. */
export const heartbeat = (
  parts: BrokerParts,
  serverId: string,
  metrics: ServerMetrics,
  revocationsAfter: number
): Answer<HeartbeatAnswer> =>
  Effect.gen(function* () {
    const { servers, tickets, config, trace } = parts
    const nowMs = parts.clock.wallMs()
    yield* servers.putMetrics(serverId, metrics)
    const revoked = yield* tickets.revokedFor(serverId, revocationsAfter, nowMs, REVOCATIONS_MAX)
    trace("broker.heartbeat", { serverId })
    return {
      brokerNowMs: nowMs,
      nextMs: config.heartbeatIntervalMs,
      revoked: revoked.slice(0, REVOCATIONS_MAX).map((each) => ({
        number: each.number,
        ticketId: fromHex(each.id),
        deviceId: each.deviceId,
        expiresMs: each.expiresMs
      })),
      more: revoked.length > REVOCATIONS_MAX
    }
  })

/** Takes in a batch of reports, all or none, so that the server can send the same batch again. */
export const reportConnections = (
  parts: BrokerParts,
  serverId: string,
  reports: ReadonlyArray<ConnectionReport>
): Answer<{ readonly accepted: number; readonly brokerNowMs: number }> =>
  Effect.gen(function* () {
    const nowMs = parts.clock.wallMs()
    yield* parts.sql.withTransaction(
      Effect.forEach(
        reports,
        (report) => parts.connections.put(recordId(nowMs, parts.random), serverId, report, nowMs),
        { discard: true }
      )
    )
    return { accepted: reports.length, brokerNowMs: nowMs }
  })

/** The server leaves on purpose: it is listed no more, until it registers again. */
export const deregister = (parts: BrokerParts, serverId: string): Answer<{ readonly brokerNowMs: number }> =>
  Effect.gen(function* () {
    const nowMs = parts.clock.wallMs()
    yield* parts.servers.deregister(serverId, nowMs)
    return { brokerNowMs: nowMs }
  })
