/** A node's long-lived Ed25519 identity in its key store: read, or made at the first start. */

import { Effect, Option } from "effect"
import type { Identity } from "../crypto/crypto.ts"
import { identityFromSeed } from "../crypto/identity.ts"
import { Crypto } from "../port/crypto.ts"
import { Entropy, randomBytes } from "../port/entropy.ts"
import { Keys, KeysError } from "../port/keys.ts"

/** Entry that holds the seed of a server's or a device's identity. */
export const IDENTITY_KEY = "identity.seed"

const SEED_BYTES = 32

/** The identity whose 32-byte seed is the entry `name`; a fresh one, written before it is returned, if there is none. */
export const storedIdentity = (
  name: string = IDENTITY_KEY
): Effect.Effect<Identity, KeysError, Keys | Entropy | Crypto> =>
  Effect.gen(function* () {
    const keys = yield* Keys
    const crypto = yield* Crypto
    const found = yield* keys.read(name)
    if (Option.isSome(found)) {
      if (found.value.length === SEED_BYTES) return identityFromSeed(crypto, found.value)
      return yield* new KeysError({
        reason: "corrupt",
        message:
          `The identity "${name}" in ${keys.where} has ${found.value.length} bytes instead of ${SEED_BYTES}. ` +
          "Restore it from a backup, or remove it to start with a new identity, which must be registered anew."
      })
    }
    const seed = randomBytes((yield* Entropy).source("identity"), SEED_BYTES)
    yield* keys.write(name, seed)
    return identityFromSeed(crypto, seed)
  })
