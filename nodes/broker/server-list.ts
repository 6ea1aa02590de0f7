/** The list of servers, as members and administrators see it. */

import type { AdminServerEntry, AdminServerPage } from "@horizon/core/api/admin.ts"
import { PAGE_DEFAULT } from "@horizon/core/api/scalar.ts"
import type { ServerEntry, ServerPage } from "@horizon/core/api/server.ts"
import { Effect } from "effect"
import { standing } from "./fingerprint.ts"
import type { Answer, BrokerParts } from "./parts.ts"
import { fromText } from "./record-id.ts"
import type { ServerFilter, ServerRow } from "./store/server-store.ts"

export interface ServerQuery extends ServerFilter {
  readonly cursor?: string
  readonly limit?: number
}

export const listServers = (parts: BrokerParts, query: ServerQuery): Answer<ServerPage> =>
  listPage(parts, query, serverEntry)

export const listServersForAdmin = (parts: BrokerParts, query: ServerQuery): Answer<AdminServerPage> =>
  listPage(parts, query, adminEntry)

const listPage = <Entry>(
  parts: BrokerParts,
  query: ServerQuery,
  entryOf: (row: ServerRow, onlineSinceMs: number) => Entry
): Answer<Omit<ServerPage, "servers"> & { readonly servers: ReadonlyArray<Entry> }> =>
  Effect.gen(function* () {
    const nowMs = parts.clock.wallMs()
    const limit = query.limit ?? PAGE_DEFAULT
    const sinceMs = nowMs - parts.config.serverStaleMs
    const rows = yield* parts.servers.list(query, query.cursor, limit, sinceMs)
    const page = rows.slice(0, limit)
    return {
      servers: page.map((row) => entryOf(row, sinceMs)),
      cursor: rows.length > limit ? page[page.length - 1].record.id : null,
      brokerKey: parts.identity.publicKey,
      brokerNowMs: nowMs
    }
  })

/** What the row says; the status is worked out now, so it is true also between two sweeps. */
export const serverEntry = (row: ServerRow, onlineSinceMs: number): ServerEntry => ({
  record: row.record,
  signature: fromText(row.signature),
  tags: row.tags,
  status: row.session !== null && row.lastHeardMs >= onlineSinceMs ? "online" : "offline",
  lastHeardMs: row.lastHeardMs,
  metrics: row.metrics
})

const adminEntry = (row: ServerRow, onlineSinceMs: number): AdminServerEntry => ({
  ...serverEntry(row, onlineSinceMs),
  fingerprint: standing(row.fingerprint, row.record.provedMs),
  fingerprintChangedMs: row.fingerprint?.changedMs ?? null
})
