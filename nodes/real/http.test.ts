import { createServer } from "node:http"
import { connect } from "node:net"
import { httpContract } from "@horizon/core/port/http.contract.ts"
import { Effect, type Scope } from "effect"
import { HttpClient } from "effect/http/HttpClient"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { expect, test } from "vitest"
import { layerHttpClient, layerHttpServer } from "./http.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))
const local = { host: "127.0.0.1", port: 0 }

const portOf = (address: unknown): number => (address as { port: number }).port

httpContract({
  name: "node",
  open: () => ({
    run,
    server: layerHttpServer(local),
    client: layerHttpClient,
    urlOf: (port) => `http://127.0.0.1:${port}`,
    clientAddress: "127.0.0.1",
    closedUrl: "http://127.0.0.1:9"
  })
})

test("the client gets what the server answers, on a port that the system chose", async () => {
  const body = await run(
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      yield* server.serve(Effect.succeed(HttpServerResponse.text("hello")))
      const client = yield* HttpClient
      const response = yield* client.get(`http://127.0.0.1:${portOf(server.address)}/`)
      return yield* response.text
    }).pipe(Effect.provide([layerHttpServer(local), layerHttpClient]))
  )
  expect(body).toBe("hello")
})

test("a port that is taken is one clear line", async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  const port = portOf(other.address())
  try {
    const error = await run(
      Effect.flip(Effect.provide(HttpServer.HttpServer, layerHttpServer({ host: "127.0.0.1", port })))
    )
    expect(error.reason).toBe("address-in-use")
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(error.message).not.toContain("\n")
  } finally {
    other.close()
  }
})

test("an address of another host is told from a port in use", async () => {
  const error = await run(
    Effect.flip(Effect.provide(HttpServer.HttpServer, layerHttpServer({ host: "198.51.100.1", port: 0 })))
  )
  expect(error.reason).toBe("address-not-available")
})

test("a stopping server cuts connections that never finish their request", async () => {
  const began = Date.now()
  await run(
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      yield* server.serve(Effect.succeed(HttpServerResponse.text("hello")))
      const socket = connect(portOf(server.address), "127.0.0.1")
      socket.on("error", () => {})
      yield* Effect.callback<void>((resume) => {
        socket.write("GET / HTTP/1.1\r\nHost: x\r\n", () => resume(Effect.void))
      })
    }).pipe(Effect.scoped, Effect.provide(layerHttpServer({ ...local, drainMs: 100 })))
  )
  expect(Date.now() - began).toBeLessThan(2_000)
})
