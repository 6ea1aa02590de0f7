/**
 * Keys that the configuration names exist from the start: for scenarios, for `horizon up`, for the first administrator. Done at each
 * start and changes nothing the second time; a key that was revoked stays revoked.
 */

import { visiblePart } from "@horizon/core/api/api-key.ts"
import { utf8 } from "@horizon/core/api/base64url.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { BrokerError } from "./broker-error.ts"
import { personalKeyRow, registrationKeyRow } from "./keys.ts"
import type { BrokerParts } from "./parts.ts"
import { toHex } from "./record-id.ts"
import { parseBootstrapPersonalKey } from "./settings.ts"

/** Name under which the configuration's administrator token is kept: another token in the configuration replaces it. */
const CONFIG_TOKEN_ID = "config"

export const bootstrap = (parts: BrokerParts): Effect.Effect<void, BrokerError | SqlError.SqlError> =>
  parts.sql.withTransaction(
    Effect.gen(function* () {
      const { config, crypto } = parts
      const nowMs = parts.clock.wallMs()
      const token = config.bootstrapAdminToken
      if (token === "") yield* parts.keys.removeAdminToken(CONFIG_TOKEN_ID)
      else {
        const sha256 = toHex(crypto.sha256(utf8(token)))
        yield* parts.keys.putAdminToken(
          { id: CONFIG_TOKEN_ID, prefix: visiblePart(token), sha256, revokedMs: null },
          nowMs
        )
      }
      for (const key of config.bootstrapRegistrationKeys) {
        const row = registrationKeyRow(parts, key, { label: "from the configuration" }, nowMs)
        if (yield* parts.keys.addRegistrationKey(row)) continue
        yield* sameSecret(row, yield* parts.keys.registrationKey(row.prefix))
      }
      for (const text of config.bootstrapPersonalKeys) {
        const { user, tenant, key } = parseBootstrapPersonalKey(text)
        const wish = { label: "from the configuration", user, tenant, rights: RIGHT.tunnel | RIGHT.game }
        const row = personalKeyRow(parts, key, wish, nowMs)
        if (yield* parts.keys.addPersonalKey(row)) continue
        const stored = yield* parts.keys.personalKey(row.prefix)
        yield* sameSecret(row, stored)
        if (stored?.user !== user || stored.tenant !== tenant) {
          return yield* Effect.fail(
            new BrokerError({
              reason: "bad-config",
              message: `The personal key ${row.prefix}… of bootstrapPersonalKeys belongs to ${stored?.user}@${stored?.tenant} in the store, not to ${user}@${tenant}. Use another key.`
            })
          )
        }
      }
    })
  )

/** Two keys that begin alike cannot be told apart by those who look at lists. */
const sameSecret = (
  row: { readonly prefix: string; readonly sha256: string },
  stored: { readonly sha256: string } | undefined
): Effect.Effect<void, BrokerError> =>
  stored?.sha256 === row.sha256
    ? Effect.void
    : Effect.fail(
        new BrokerError({
          reason: "bad-config",
          message: `The key ${row.prefix}… of the configuration begins like another one in the store. Use another key.`
        })
      )
