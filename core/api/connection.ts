/**
 * What servers tell the broker about the sessions they hold. Each report is the whole record as of now, so that reports may be
 * lost, repeated and reordered: the broker keeps what was latest.
 */

import { Schema } from "effect"
import { bytesExactly, Count, Cursor, KeyId, label, Name, PAGE_MAX, PeerEndpoint, TimeMs } from "./scalar.ts"
import { ServerKind } from "./server.ts"

/** Most reports in one request. */
export const REPORTS_MAX = 256

export const ConnectionReport = Schema.Struct({
  /** `opened` and `alive` say that it is open; `alive` also that it still was after some time. */
  event: Schema.Literals(["opened", "alive", "closed"]),
  /** The session protocol's connection id; with `openedMs` it names the connection for ever. */
  connectionId: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff })),
  openedMs: TimeMs,
  deviceId: KeyId,
  user: Name,
  tenant: Name,
  peer: PeerEndpoint,
  /** Of this moment, by the server's estimate of the broker's clock. */
  atMs: TimeMs,
  /** Why it was closed; empty while it is open. */
  reason: label(64),
  bytesIn: Count,
  bytesOut: Count
})
export type ConnectionReport = typeof ConnectionReport.Type

export const ReportRequest = Schema.Struct({
  reports: Schema.Array(ConnectionReport).check(Schema.isMaxLength(REPORTS_MAX))
})
export const ReportAnswer = Schema.Struct({ accepted: Count, brokerNowMs: TimeMs })

/** One connection as administrators see it. */
export const ConnectionEntry = Schema.Struct({
  id: bytesExactly(16),
  serverId: KeyId,
  serverName: Schema.String,
  serverKind: ServerKind,
  connectionId: Count,
  deviceId: KeyId,
  user: Schema.String,
  tenant: Schema.String,
  peer: PeerEndpoint,
  state: Schema.Literals(["open", "closed"]),
  openedMs: TimeMs,
  /** When a report last said that it was open. */
  lastSeenMs: TimeMs,
  closedMs: Schema.NullOr(TimeMs),
  /** Why it ended; `stale` if the broker closed it because nobody spoke of it any more. */
  reason: Schema.String,
  bytesIn: Count,
  bytesOut: Count
})
export type ConnectionEntry = typeof ConnectionEntry.Type

export const connectionListQuery = {
  serverId: Schema.optionalKey(KeyId),
  state: Schema.optionalKey(Schema.Literals(["open", "closed"])),
  cursor: Schema.optionalKey(Cursor),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: PAGE_MAX })))
}

export const ConnectionPage = Schema.Struct({
  connections: Schema.Array(ConnectionEntry),
  cursor: Schema.NullOr(Cursor),
  brokerNowMs: TimeMs
})
