/** What administrators manage: registration keys for servers, personal keys for members, and the broker's own figures. */

import { Schema } from "effect"
import { FingerprintChange } from "./fingerprint.ts"
import { bytesExactly, Count, Cursor, label, Name, PAGE_MAX, Rights, Tags, TimeMs } from "./scalar.ts"
import { ServerEntry, ServerPage } from "./server.ts"

/** Longest life of a key, in days, when one is given. */
const LIFE_DAYS_MAX = 3650

const keyLife = {
  /** Milliseconds until it expires; left out = never. */
  lifeMs: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: LIFE_DAYS_MAX * 86_400_000 }))
  ),
  label: Schema.optionalKey(label(128))
}

export const RegistrationKeyRequest = Schema.Struct({
  ...keyLife,
  /** How many different servers may register with it; left out = any number. */
  usesMax: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
  /** Put on every server that registers with it. */
  tags: Schema.optionalKey(Tags)
})

/** A key without its secret. */
const keyEntry = {
  id: bytesExactly(16),
  /** The first characters of the key, enough to recognise it. */
  prefix: Schema.String,
  label: Schema.String,
  createdMs: TimeMs,
  expiresMs: Schema.NullOr(TimeMs),
  revokedMs: Schema.NullOr(TimeMs)
}

const registrationKeyEntry = {
  ...keyEntry,
  usesMax: Schema.NullOr(Count),
  /** Servers that have registered with it. */
  uses: Count,
  tags: Tags
}
export const RegistrationKeyEntry = Schema.Struct(registrationKeyEntry)
export type RegistrationKeyEntry = typeof RegistrationKeyEntry.Type

/** The only time that the whole key is shown: the broker keeps a hash. */
export const RegistrationKeyCreated = Schema.Struct({ ...registrationKeyEntry, key: Schema.String })

export const PersonalKeyRequest = Schema.Struct({
  ...keyLife,
  user: Name,
  tenant: Name,
  /** Bits of RIGHT in core/wire/ticket.ts. */
  rights: Rights,
  /** How many different devices may use it; left out = the broker's setting. */
  devicesMax: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })))
})

const personalKeyEntry = {
  ...keyEntry,
  user: Schema.String,
  tenant: Schema.String,
  rights: Rights,
  devicesMax: Count,
  /** Devices that have used it. */
  devices: Count,
  lastUsedMs: Schema.NullOr(TimeMs)
}
export const PersonalKeyEntry = Schema.Struct(personalKeyEntry)
export type PersonalKeyEntry = typeof PersonalKeyEntry.Type
export const PersonalKeyCreated = Schema.Struct({ ...personalKeyEntry, key: Schema.String })

export const pageQuery = {
  cursor: Schema.optionalKey(Cursor),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: PAGE_MAX })))
}

const page = <S extends Schema.Constraint>(entry: S) =>
  Schema.Struct({ keys: Schema.Array(entry), cursor: Schema.NullOr(Cursor) })
export const RegistrationKeyPage = page(RegistrationKeyEntry)
export const PersonalKeyPage = page(PersonalKeyEntry)

/** One server as administrators see it: what members see, and what the broker has noticed about its hardware. */
export const AdminServerEntry = Schema.Struct({
  ...ServerEntry.fields,
  /**
   * `none`: the server told none when it last registered. `same`: as when the broker first saw one. Else how it changed when it
   * last did; what to make of that is for people to decide.
   */
  fingerprint: Schema.Union([Schema.Literals(["none", "same"]), FingerprintChange]),
  /** When it last changed; null = never. */
  fingerprintChangedMs: Schema.NullOr(TimeMs)
})
export type AdminServerEntry = typeof AdminServerEntry.Type

export const AdminServerPage = Schema.Struct({ ...ServerPage.fields, servers: Schema.Array(AdminServerEntry) })
export type AdminServerPage = typeof AdminServerPage.Type

/** What a revocation took with it. */
export const Revoked = Schema.Struct({
  revokedMs: TimeMs,
  /** Tickets that were still valid and are now on the servers' revocation lists. */
  tickets: Count
})

export const BrokerStatus = Schema.Struct({
  version: Schema.String,
  brokerKey: bytesExactly(32),
  brokerNowMs: TimeMs,
  uptimeMs: Count,
  servers: Schema.Struct({ online: Count, offline: Count }),
  connectionsOpen: Count,
  ticketsValid: Count,
  registrationKeys: Count,
  personalKeys: Count,
  /** Highest migration of the store. */
  schemaVersion: Count
})
export type BrokerStatus = typeof BrokerStatus.Type
