/** What servers (gateways and game servers) tell the broker about themselves, and what the broker tells others about them. */

import { utf8ToBytes } from "@noble/hashes/utils.js"
import { Schema } from "effect"
import { toBase64Url } from "./base64url.ts"
import { Fingerprint } from "./fingerprint.ts"
import {
  bytesExactly,
  Count,
  Cursor,
  KeyId,
  Name,
  PAGE_MAX,
  PublicKey,
  Region,
  ServerEndpoint,
  Signature,
  Tags,
  TimeMs
} from "./scalar.ts"

export const ServerKind = Schema.Literals(["gateway", "game"])
export type ServerKind = typeof ServerKind.Type

/** What a server says about itself when it registers. */
const declared = {
  name: Name,
  kind: ServerKind,
  /** Ed25519: the server's identity; its possession is proved. */
  publicKey: PublicKey,
  /** Where members reach it (UDP). */
  endpoint: ServerEndpoint,
  region: Region,
  /** Sessions that it can hold. */
  capacity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
  capabilities: Tags
}
export const ServerDeclaration = Schema.Struct(declared)
export type ServerDeclaration = typeof ServerDeclaration.Type

/** First step of registration: the declaration with a registration key. */
export const RegisterRequest = Schema.Struct({
  registrationKey: Schema.String.check(Schema.isMaxLength(128)),
  ...declared
})

/** What the server must sign (`registrationProof` in proof.ts), by when. */
export const RegisterAnswer = Schema.Struct({
  challengeId: bytesExactly(16),
  challenge: bytesExactly(32),
  expiresMs: TimeMs,
  /** Ed25519 key with which this broker signs tickets and server records. */
  brokerKey: PublicKey,
  brokerNowMs: TimeMs
})
export type RegisterAnswer = typeof RegisterAnswer.Type

/**
 * Second step: the proof. The fingerprint comes with it and not with the declaration, because this is what the signature covers, and
 * because the declaration is shown to members.
 */
export const ProveRequest = Schema.Struct({
  challengeId: bytesExactly(16),
  signature: Signature,
  fingerprint: Schema.optionalKey(Fingerprint)
})

/** A registered server's standing: with `session` it signs its requests (auth.ts). */
export const ProveAnswer = Schema.Struct({
  serverId: KeyId,
  /** New with each registration; signatures made for an earlier one are worthless. */
  session: bytesExactly(16),
  brokerKey: PublicKey,
  heartbeatIntervalMs: Count,
  brokerNowMs: TimeMs
})
export type ProveAnswer = typeof ProveAnswer.Type

/** Figures that a server reports with each heartbeat. */
export const ServerMetrics = Schema.Struct({
  /** Established sessions. */
  sessions: Count,
  /** How busy it is, parts per million of what it can do. */
  loadPpm: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
  /** Median round-trip time of its sessions, microseconds; null if there is none. */
  rttUs: Schema.NullOr(Count),
  bytesIn: Count,
  bytesOut: Count,
  uptimeMs: Count
})
export type ServerMetrics = typeof ServerMetrics.Type

/** A signed sign of life. Its counter and time are in the signature's header (auth.ts). */
export const HeartbeatRequest = Schema.Struct({
  metrics: ServerMetrics,
  /** Highest revocation that the server has; 0 at first. */
  revocationsAfter: Count
})

/** Most revocations in one answer. */
export const REVOCATIONS_MAX = 256

/** A ticket that must no longer be accepted, though it has not expired. */
export const Revocation = Schema.Struct({
  /** Revocations are numbered upwards. */
  number: Count,
  ticketId: bytesExactly(16),
  deviceId: KeyId,
  expiresMs: TimeMs
})
export type Revocation = typeof Revocation.Type

export const HeartbeatAnswer = Schema.Struct({
  brokerNowMs: TimeMs,
  /** When the next heartbeat is due, milliseconds from now. */
  nextMs: Count,
  /** Those of tickets for this server, upwards by number. */
  revoked: Schema.Array(Revocation),
  /** Whether there are more: the server then asks again at once. */
  more: Schema.Boolean
})
export type HeartbeatAnswer = typeof HeartbeatAnswer.Type

/** What the broker vouches for: signed once, when the server proved its key. */
export const ServerRecord = Schema.Struct({
  id: KeyId,
  ...declared,
  /** When the broker last saw this declaration proved. */
  provedMs: TimeMs
})
export type ServerRecord = typeof ServerRecord.Type

export const ServerStatus = Schema.Literals(["online", "offline"])
export type ServerStatus = typeof ServerStatus.Type

/** One server as members see it: the signed record and the broker's present knowledge of it. */
export const ServerEntry = Schema.Struct({
  record: ServerRecord,
  /** The broker's over `serverRecordBytes(record)`. */
  signature: Signature,
  /** Put on it by the registration key that it used. */
  tags: Tags,
  /** `online` only if a signed heartbeat was heard within the broker's window. */
  status: ServerStatus,
  /** When the last signed request was heard. */
  lastHeardMs: TimeMs,
  /** Figures of the last heartbeat; null before the first. */
  metrics: Schema.NullOr(ServerMetrics)
})
export type ServerEntry = typeof ServerEntry.Type

/** Filters and the place to go on from. Sorted by id, so that pages neither repeat nor miss a server that stays. */
export const serverListQuery = {
  kind: Schema.optionalKey(ServerKind),
  region: Schema.optionalKey(Region),
  status: Schema.optionalKey(ServerStatus),
  cursor: Schema.optionalKey(Cursor),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: PAGE_MAX })))
}

export const ServerPage = Schema.Struct({
  servers: Schema.Array(ServerEntry),
  /** Where the next page begins; null on the last. */
  cursor: Schema.NullOr(Cursor),
  brokerKey: PublicKey,
  brokerNowMs: TimeMs
})
export type ServerPage = typeof ServerPage.Type

/** The bytes of a record that the broker signs: JSON of a list, so that no two records have the same. */
export const serverRecordBytes = (record: ServerRecord): Uint8Array =>
  utf8ToBytes(
    JSON.stringify([
      "horizon/1 server-record",
      record.id,
      record.name,
      record.kind,
      toBase64Url(record.publicKey),
      record.endpoint.address,
      record.endpoint.port,
      record.region,
      record.capacity,
      record.capabilities,
      record.provedMs
    ])
  )
