/** What the broker puts in order from time to time: servers that fell silent, stale connections, expired challenges and tickets. */

import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { BrokerParts } from "./parts.ts"

/** Rows changed by one statement: a long one would keep requests waiting. */
const ROWS_MAX = 1_000

/** One round of everything. */
export const sweep = (parts: BrokerParts): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function* () {
    const { config, servers, connections, tickets, trace } = parts
    const nowMs = parts.clock.wallMs()
    for (const serverId of yield* servers.markOffline(nowMs - config.serverStaleMs, ROWS_MAX)) {
      trace("broker.server-offline", { serverId })
    }
    const count = yield* connections.closeStale(nowMs - config.connectionStaleMs, nowMs, ROWS_MAX)
    if (count > 0) trace("broker.stale-connections-closed", { count })
    yield* connections.removeClosed(nowMs - config.connectionHistoryMs, ROWS_MAX)
    yield* servers.removeExpiredChallenges(nowMs)
    yield* tickets.removeExpired(nowMs)
  })

/** Rounds for ever; one that fails is logged, and the next one does its work. */
export const sweepForever = (parts: BrokerParts): Effect.Effect<never> =>
  sweep(parts).pipe(
    Effect.catchTag("SqlError", (error) =>
      Effect.logWarning("A clean-up of the store failed; the next may work.", error.reason)
    ),
    Effect.andThen(Effect.sleep(parts.config.sweepIntervalMs)),
    Effect.forever
  )
