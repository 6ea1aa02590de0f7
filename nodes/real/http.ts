/** Port Http on Node: a server on one address and port, and a client with a pool of connections. */

import { createServer } from "node:http"
import type { Duplex } from "node:stream"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { formatEndpoint } from "@horizon/core/wire/address.ts"
import { Effect, Layer, Schema } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpServer from "effect/http/HttpServer"

/** How long a stopping server lets requests finish before it cuts their connections, if nothing else is said. */
const DRAIN_MS = 3_000
/** How long a client waits for a connection to be made. */
export const CONNECT_MS = 5_000
/** Connections of a client to one server. */
const CONNECTIONS_MAX = 32

/** Why the server does not listen. */
export class HttpListenError extends Schema.TaggedError<HttpListenError>()("HttpListenError", {
  reason: Schema.Literals(["address-in-use", "address-not-available", "permission-denied", "unknown"]),
  message: Schema.String
}) {}

export interface HttpListen {
  /** Numeric address, or a host name; every address of the host: `::` or `0.0.0.0`. */
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** How long a stopping server lets requests finish; 3 s if left out. */
  readonly drainMs?: number
}

/** A listening server and what answering with files and tags needs. Closing the scope lets running requests finish, within limits. */
export const layerHttpServer = (listen: HttpListen) =>
  Layer.mergeAll(Layer.effect(HttpServer.HttpServer, openServer(listen)), NodeHttpServer.layerHttpServices)

const openServer = Effect.fnUntraced(function* (listen: HttpListen) {
  const node = createServer()
  // A stopping server would wait for the keep-alive of a connection whose last request it has just answered.
  node.on("request", (_, response) => {
    response.once("close", () => {
      if (!node.listening) node.closeIdleConnections()
    })
  })
  const server = yield* NodeHttpServer.make(() => node, {
    host: listen.host,
    port: listen.port,
    exclusive: true,
    gracefulShutdownTimeout: listen.drainMs ?? DRAIN_MS
  }).pipe(Effect.mapError((error) => listenError(error.cause, listen)))
  // Runs after the drain and before the close, which waits for every connection.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  return server
})

/** A client that keeps connections open between requests. */
export const layerHttpClient: Layer.Layer<HttpClient> = NodeHttpClient.layerUndiciOptions({
  connect: { timeout: CONNECT_MS },
  connections: CONNECTIONS_MAX
})

/** Opens a connection to a host and port, and calls back with it or with why there is none. */
export type Connect = (host: string, port: number, done: Connected) => void
export type Connected = (error: Error | null, connection: Duplex | null) => void

/** The same client over connections of another kind than the system's own. */
export const layerHttpClientOver = (connect: Connect): Layer.Layer<HttpClient> =>
  NodeHttpClient.layerUndiciOptions({
    connect: ({ hostname, port }, done) => connect(hostname, port === "" ? 80 : Number(port), done as Connected),
    connections: CONNECTIONS_MAX
  })

const listenError = (cause: unknown, listen: HttpListen): HttpListenError => {
  const { code, message } = cause as NodeJS.ErrnoException
  const where = `HTTP on ${formatEndpoint({ address: listen.host, port: listen.port })}`
  switch (code) {
    case "EADDRINUSE":
      return new HttpListenError({
        reason: "address-in-use",
        message: `${where}: the port is already in use; choose another port, or stop the process that holds it (ss -tlpn shows which)`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new HttpListenError({
        reason: "address-not-available",
        message: `${where}: that is not an address of this host; ip addr shows those that are`
      })
    case "EACCES":
    case "EPERM":
      return new HttpListenError({
        reason: "permission-denied",
        message: `${where} may not be opened by this user; choose a port above 1023 or grant CAP_NET_BIND_SERVICE`
      })
    default:
      return new HttpListenError({ reason: "unknown", message: `${where} could not be opened: ${message}` })
  }
}
