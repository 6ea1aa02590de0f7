/**
 * What a server keeps of its registration, so that it starts and serves while the broker is away: one entry of its key store.
 *
 * The counter of signed requests is reserved in blocks: what is stored is the end of the block in use, so a restart goes on above
 * every counter that may have been sent, at the cost of one write for each thousand requests.
 */

import { bytesToUtf8, utf8ToBytes } from "@noble/ciphers/utils.js"
import { Effect, Option, Schema } from "effect"
import { Keys, type KeysError } from "../port/keys.ts"
import { bytesExactly, Count, KeyId, PublicKey } from "./scalar.ts"
import { Revocation } from "./server.ts"

/** Name of the entry. */
export const REGISTRATION_KEY = "broker.registration"
/** Counters that one write reserves. */
export const COUNTER_BLOCK = 1_000
/** Most revocations that are kept; those that expire last win. */
export const REVOCATIONS_KEPT_MAX = 4_096

const StoredRegistration = Schema.Struct({
  version: Schema.Literal(1),
  /** What was declared, as text: another declaration needs another registration. */
  declaration: Schema.String,
  /** The fingerprint that was told, as text; left out or empty = none. */
  fingerprint: Schema.optionalKey(Schema.String),
  serverId: KeyId,
  session: bytesExactly(16),
  brokerKey: PublicKey,
  /** Above every counter that may have been used. */
  counterEnd: Count,
  /** Highest number of a revocation that was heard. */
  revocationsAfter: Count,
  revocations: Schema.Array(Revocation)
})
export type StoredRegistration = typeof StoredRegistration.Type

const json = Schema.fromJsonString(Schema.toCodecJson(StoredRegistration))
const decode = Schema.decodeUnknownOption(json)
const encode = Schema.encodeSync(json)

/**
 * The stored registration. An entry that cannot be read as one counts as none: it is only a cache, and the server registers anew.
 */
export const readRegistration: Effect.Effect<Option.Option<StoredRegistration>, KeysError, Keys> = Effect.gen(
  function* () {
    const found = yield* (yield* Keys).read(REGISTRATION_KEY)
    return Option.flatMap(found, (bytes) => decode(bytesToUtf8(bytes)))
  }
)

export const writeRegistration = (registration: StoredRegistration): Effect.Effect<void, KeysError, Keys> =>
  Effect.gen(function* () {
    const revocations =
      registration.revocations.length <= REVOCATIONS_KEPT_MAX
        ? registration.revocations
        : [...registration.revocations].sort((a, b) => b.expiresMs - a.expiresMs).slice(0, REVOCATIONS_KEPT_MAX)
    yield* (yield* Keys).write(REGISTRATION_KEY, utf8ToBytes(encode({ ...registration, revocations })))
  })
