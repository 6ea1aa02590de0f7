/** What every service of a running broker works with. None of it is authoritative state: that is in the store. */

import type { Problem } from "@horizon/core/api/problem.ts"
import type { Identity } from "@horizon/core/crypto/crypto.ts"
import type { Clock } from "@horizon/core/port/clock.ts"
import type { Crypto } from "@horizon/core/port/crypto.ts"
import type { RandomSource } from "@horizon/core/port/entropy.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { BrokerConfig } from "./settings.ts"
import type { ConnectionStore } from "./store/connection-store.ts"
import type { KeyStore } from "./store/key-store.ts"
import type { ServerStore } from "./store/server-store.ts"
import type { TicketStore } from "./store/ticket-store.ts"

/** Version that the broker tells of itself. */
export const BROKER_VERSION = "0.1.0"

export interface BrokerParts {
  readonly config: BrokerConfig
  /** Signs tickets and server records. */
  readonly identity: Identity
  readonly crypto: Crypto["Service"]
  readonly clock: Clock["Service"]
  readonly random: RandomSource
  readonly trace: TraceWriter
  readonly sql: SqlClient.SqlClient
  readonly keys: KeyStore
  readonly servers: ServerStore
  readonly tickets: TicketStore
  readonly connections: ConnectionStore
  /** Highest migration in the store. */
  readonly schemaVersion: number
}

/** What a service answers: a value, a refusal, or the store's failure, which becomes a 503 at the handler. */
export type Answer<A> = Effect.Effect<A, Problem | SqlError.SqlError>
