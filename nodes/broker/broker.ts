/**
 * The broker: registers servers, lists them for members, issues tickets that servers check without asking it again. An Effect that
 * runs until it is interrupted, over the ports of its world; all its authoritative state is in the store.
 */

import { toBase64Url } from "@horizon/core/api/base64url.ts"
import { storedIdentity } from "@horizon/core/api/stored-identity.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Entropy } from "@horizon/core/port/entropy.ts"
import type { Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace } from "@horizon/core/port/trace.ts"
import { Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { SqlClient, type SqlError } from "effect/sql"
import { bootstrap } from "./bootstrap.ts"
import { BrokerError } from "./broker-error.ts"
import { layerRoutes } from "./http/handlers.ts"
import type { BrokerParts } from "./parts.ts"
import type { BrokerConfig } from "./settings.ts"
import { connectionStore } from "./store/connection-store.ts"
import { keyStore } from "./store/key-store.ts"
import { migrate } from "./store/migrator.ts"
import { serverStore } from "./store/server-store.ts"
import { ticketStore } from "./store/ticket-store.ts"
import { sweepForever } from "./sweeps.ts"

/** Entry of the key store with the seed of the key that signs tickets. */
export const BROKER_SEED = "broker.seed"

export type BrokerPorts = SqlClient.SqlClient | HttpServer.HttpServer | Crypto | Entropy | Clock | Keys

/** Runs a broker until it is interrupted. Ready (port/lifecycle.ts) when requests are answered. */
export const broker = (config: BrokerConfig): Effect.Effect<never, BrokerError, BrokerPorts> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* checkConfig(config)
      const parts = yield* prepare(config).pipe(
        Effect.retry({ ...STORE_RETRY, while: isPassing }),
        Effect.mapError(startError)
      )
      const server = yield* HttpServer.HttpServer
      yield* Layer.build(HttpRouter.serve(layerRoutes(parts), { disableLogger: true, disableListenLog: true }))
      const lifecycle = yield* Lifecycle
      lifecycle.ready({
        address: HttpServer.formatAddress(server.address),
        brokerKey: toBase64Url(parts.identity.publicKey),
        schemaVersion: parts.schemaVersion
      })
      return yield* sweepForever(parts)
    })
  )

/** A store that is busy or slow to come up gets so many tries before the broker gives up. */
const STORE_RETRY = { schedule: Schedule.spaced(200), times: 25 }

const isPassing = (error: BrokerError | KeysError | SqlError.SqlError): boolean => error._tag === "SqlError"

/** Signing key, schema and bootstrap keys: what must be there before the first request. */
const prepare = (
  config: BrokerConfig
): Effect.Effect<
  BrokerParts,
  BrokerError | KeysError | SqlError.SqlError,
  SqlClient.SqlClient | Crypto | Entropy | Clock | Keys
> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const clock = yield* Clock
    const parts: BrokerParts = {
      config,
      identity: yield* storedIdentity(BROKER_SEED),
      crypto: yield* Crypto,
      clock,
      random: (yield* Entropy).source("broker"),
      trace: yield* Trace,
      sql,
      keys: keyStore(sql),
      servers: serverStore(sql),
      tickets: ticketStore(sql),
      connections: connectionStore(sql),
      schemaVersion: yield* migrate(clock.wallMs())
    }
    yield* bootstrap(parts)
    return parts
  })

/** Settings that are right each by itself and wrong together. */
const checkConfig = (config: BrokerConfig): Effect.Effect<void, BrokerError> =>
  config.serverStaleMs > config.heartbeatIntervalMs
    ? Effect.void
    : Effect.fail(
        new BrokerError({
          reason: "bad-config",
          message: `serverStaleMs (${config.serverStaleMs}) must be greater than heartbeatIntervalMs (${config.heartbeatIntervalMs}), else healthy servers are shown as offline.`
        })
      )

const startError = (error: BrokerError | KeysError | SqlError.SqlError): BrokerError => {
  if (error._tag === "BrokerError") return error
  if (error._tag === "KeysError") {
    return new BrokerError({
      reason: error.reason === "corrupt" ? "keys-corrupt" : "keys-unavailable",
      message: error.message
    })
  }
  return new BrokerError({
    reason: "store-unavailable",
    message: `The broker's store cannot be used: ${error.message}. Check its file, its directory's permissions, and that the disk has room.`
  })
}
