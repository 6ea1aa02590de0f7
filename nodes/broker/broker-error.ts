/** Why a broker does not start, or has to stop. */

import { Schema } from "effect"

export class BrokerError extends Schema.TaggedError<BrokerError>()("BrokerError", {
  reason: Schema.Literals([
    /** The store cannot be read or written. */
    "store-unavailable",
    /** The store was made by a newer broker, or its schema is not the one that its migrations say. */
    "schema-mismatch",
    /** The key store has no readable signing key. */
    "keys-unavailable",
    /** The signing key is damaged. */
    "keys-corrupt",
    /** The configuration contradicts itself or the store. */
    "bad-config"
  ]),
  /** What, where, what to do. */
  message: Schema.String
}) {}
