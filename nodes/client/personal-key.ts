/** The member's personal key: from the configuration, which the key store then remembers, or from the key store. */

import { Keys, type KeysError } from "@horizon/core/port/keys.ts"
import { Effect, Option, Result } from "effect"
import { Base64Url } from "effect/encoding"

/** Entry of the key store. */
export const PERSONAL_KEY = "personal.key"

/** The personal key; `undefined` if there is none anywhere. */
export const personalKey = (configured: string): Effect.Effect<string | undefined, KeysError, Keys> =>
  Effect.gen(function* () {
    const keys = yield* Keys
    const stored = Option.map(yield* keys.read(PERSONAL_KEY), textOf)
    if (configured === "") return Option.getOrUndefined(stored)
    if (Option.isNone(stored) || stored.value !== configured) yield* keys.write(PERSONAL_KEY, bytesOf(configured))
    return configured
  })

/** UTF-8, by way of base64url: the pure rooms have no text encoder of their own. */
const bytesOf = (text: string): Uint8Array => Result.getOrThrow(Base64Url.decode(Base64Url.encode(text)))
const textOf = (bytes: Uint8Array): string =>
  Result.getOrElse(Base64Url.decodeString(Base64Url.encode(bytes)), () => "")
