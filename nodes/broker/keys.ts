/** Registration keys and personal keys: made, listed, revoked. The secret is shown once and kept as a hash. */

import type { PersonalKeyEntry, RegistrationKeyEntry } from "@horizon/core/api/admin.ts"
import { API_KEY_BYTES, apiKey, visiblePart } from "@horizon/core/api/api-key.ts"
import { utf8 } from "@horizon/core/api/base64url.ts"
import { type Problem, problem } from "@horizon/core/api/problem.ts"
import { PAGE_DEFAULT } from "@horizon/core/api/scalar.ts"
import { randomBytes } from "@horizon/core/port/entropy.ts"
import { Effect } from "effect"
import type { Answer, BrokerParts } from "./parts.ts"
import { fromHex, recordId, toHex } from "./record-id.ts"
import type { PersonalKeyRow, RegistrationKeyRow } from "./store/key-store.ts"

interface Page {
  readonly cursor?: string
  readonly limit?: number
}
export interface RegistrationKeyWish {
  readonly lifeMs?: number
  readonly label?: string
  readonly usesMax?: number
  readonly tags?: ReadonlyArray<string>
}
export interface PersonalKeyWish {
  readonly lifeMs?: number
  readonly label?: string
  readonly user: string
  readonly tenant: string
  readonly rights: number
  readonly devicesMax?: number
}

/** Draws of a key whose first characters are taken already: once in 2^48 keys, so a second try is one too many. */
const DRAWS_MAX = 8

export const createRegistrationKey = (
  parts: BrokerParts,
  wish: RegistrationKeyWish
): Answer<RegistrationKeyEntry & { readonly key: string }> =>
  drawn(() => {
    const key = apiKey("registration", randomBytes(parts.random, API_KEY_BYTES))
    const row = registrationKeyRow(parts, key, wish, parts.clock.wallMs())
    return Effect.map(parts.keys.addRegistrationKey(row), (added) =>
      added ? { ...registrationKeyEntry(row), key } : undefined
    )
  })

export const createPersonalKey = (
  parts: BrokerParts,
  wish: PersonalKeyWish
): Answer<PersonalKeyEntry & { readonly key: string }> =>
  drawn(() => {
    const key = apiKey("personal", randomBytes(parts.random, API_KEY_BYTES))
    const row = personalKeyRow(parts, key, wish, parts.clock.wallMs())
    return Effect.map(parts.keys.addPersonalKey(row), (added) =>
      added ? { ...personalKeyEntry({ ...row, devices: 0 }), key } : undefined
    )
  })

/** The row of a new key. */
export const registrationKeyRow = (
  parts: BrokerParts,
  key: string,
  wish: RegistrationKeyWish,
  nowMs: number
): RegistrationKeyRow => ({
  id: recordId(nowMs, parts.random),
  prefix: visiblePart(key),
  sha256: toHex(parts.crypto.sha256(utf8(key))),
  label: wish.label ?? "",
  tags: wish.tags ?? [],
  createdMs: nowMs,
  expiresMs: wish.lifeMs === undefined ? null : nowMs + wish.lifeMs,
  revokedMs: null,
  usesMax: wish.usesMax ?? null,
  uses: 0
})

export const personalKeyRow = (
  parts: BrokerParts,
  key: string,
  wish: PersonalKeyWish,
  nowMs: number
): PersonalKeyRow => ({
  id: recordId(nowMs, parts.random),
  prefix: visiblePart(key),
  sha256: toHex(parts.crypto.sha256(utf8(key))),
  label: wish.label ?? "",
  user: wish.user,
  tenant: wish.tenant,
  rights: wish.rights,
  devicesMax: wish.devicesMax ?? parts.config.devicesPerKeyMax,
  createdMs: nowMs,
  expiresMs: wish.lifeMs === undefined ? null : nowMs + wish.lifeMs,
  revokedMs: null,
  lastUsedMs: null
})

export const listRegistrationKeys = (
  parts: BrokerParts,
  page: Page
): Answer<{ readonly keys: ReadonlyArray<RegistrationKeyEntry>; readonly cursor: string | null }> => {
  const limit = page.limit ?? PAGE_DEFAULT
  return Effect.map(parts.keys.registrationKeys(page.cursor, limit), (rows) => ({
    keys: rows.slice(0, limit).map(registrationKeyEntry),
    cursor: rows.length > limit ? rows[limit - 1].id : null
  }))
}

export const listPersonalKeys = (
  parts: BrokerParts,
  page: Page
): Answer<{ readonly keys: ReadonlyArray<PersonalKeyEntry>; readonly cursor: string | null }> => {
  const limit = page.limit ?? PAGE_DEFAULT
  return Effect.map(parts.keys.personalKeys(page.cursor, limit), (rows) => ({
    keys: rows.slice(0, limit).map(personalKeyEntry),
    cursor: rows.length > limit ? rows[limit - 1].id : null
  }))
}

interface Revocation {
  readonly revokedMs: number
  readonly tickets: number
}

/** No new server can register with it; those that have stay registered. */
export const revokeRegistrationKey = (parts: BrokerParts, id: string): Answer<Revocation> =>
  Effect.gen(function* () {
    const revokedMs = parts.clock.wallMs()
    if (yield* parts.keys.revokeRegistrationKey(id, revokedMs)) return { revokedMs, tickets: 0 }
    return yield* Effect.fail(notRevoked("registration key", yield* parts.keys.registrationKeyById(id)))
  })

/** The key is refused from now on, and its tickets go onto the servers' revocation lists: both or neither. */
export const revokePersonalKey = (parts: BrokerParts, id: string): Answer<Revocation> =>
  parts.sql.withTransaction(
    Effect.gen(function* () {
      const revokedMs = parts.clock.wallMs()
      if (yield* parts.keys.revokePersonalKey(id, revokedMs)) {
        return { revokedMs, tickets: yield* parts.tickets.revokeOfKey(id, revokedMs) }
      }
      return yield* Effect.fail(notRevoked("personal key", yield* parts.keys.personalKeyById(id)))
    })
  )

/** The server can say nothing any more, and is listed no more. Members with a ticket for it are told by nobody. */
export const revokeServer = (parts: BrokerParts, id: string): Answer<Revocation> =>
  Effect.gen(function* () {
    const revokedMs = parts.clock.wallMs()
    if (yield* parts.servers.revoke(id, revokedMs)) return { revokedMs, tickets: 0 }
    const server = yield* parts.servers.byId(id)
    return yield* Effect.fail(
      server === undefined
        ? problem("server-unknown", "There is no such server. List the servers to find its id.")
        : problem("already-revoked", "The server was revoked before.")
    )
  })

const notRevoked = (what: string, row: { readonly prefix: string } | undefined): Problem =>
  row === undefined
    ? problem("key-unknown", `There is no such ${what}. List the keys to find its id.`)
    : problem("already-revoked", `The ${what} ${row.prefix}… was revoked before.`)

const drawn = <A>(draw: () => Answer<A | undefined>): Answer<A> =>
  Effect.gen(function* () {
    for (let i = 0; i < DRAWS_MAX; i++) {
      const made = yield* draw()
      if (made !== undefined) return made
    }
    return yield* Effect.fail(problem("too-many-keys", "No free key was found. Try again."))
  })

const registrationKeyEntry = (row: RegistrationKeyRow): RegistrationKeyEntry => ({
  id: fromHex(row.id),
  prefix: row.prefix,
  label: row.label,
  createdMs: row.createdMs,
  expiresMs: row.expiresMs,
  revokedMs: row.revokedMs,
  usesMax: row.usesMax,
  uses: row.uses,
  tags: row.tags
})

const personalKeyEntry = (row: PersonalKeyRow & { readonly devices: number }): PersonalKeyEntry => ({
  id: fromHex(row.id),
  prefix: row.prefix,
  label: row.label,
  createdMs: row.createdMs,
  expiresMs: row.expiresMs,
  revokedMs: row.revokedMs,
  user: row.user,
  tenant: row.tenant,
  rights: row.rights,
  devicesMax: row.devicesMax,
  devices: row.devices,
  lastUsedMs: row.lastUsedMs
})
