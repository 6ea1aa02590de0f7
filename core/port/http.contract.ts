/**
 * What every pair of HTTP server and client layers must do. The suite serves a small `HttpApi` by `HttpRouter.serve` and calls it by
 * `HttpApiClient`, as the nodes do.
 */

import type { FileSystem, Path, Scope } from "effect"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import type { Etag, HttpPlatform } from "effect/http"
import {
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { describe, expect, test } from "vitest"
import { type ContractInstance, type ContractWorld, eventually, inWorld } from "./world.contract.ts"

/** What a world provides for serving: the server and the services that routers and APIs need beside it. */
export type ServerServices =
  | HttpServer.HttpServer
  | HttpPlatform.HttpPlatform
  | Etag.Generator
  | FileSystem.FileSystem
  | Path.Path

export interface HttpInstance extends ContractInstance {
  /** Listens on a free port while it is built. */
  readonly server: Layer.Layer<ServerServices, unknown>
  readonly client: Layer.Layer<HttpClient.HttpClient>
  /** `http://address:port` of the server, as the client reaches it; `port` is that of the server's own address. */
  readonly urlOf: (port: number) => string
  /** Address that the server sees as the client's. */
  readonly clientAddress: string
  /** A URL of a host that is there and on which nobody listens. */
  readonly closedUrl: string
}

class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String }, { httpApiStatus: 403 }) {}

const Note = Schema.Struct({ id: Schema.Int, text: Schema.String, tags: Schema.Array(Schema.String) })

const Api = HttpApi.make("contract").add(
  HttpApiGroup.make("notes").add(
    HttpApiEndpoint.get("read", "/notes/:id", {
      params: { id: Schema.FiniteFromString },
      query: { upper: Schema.optional(Schema.String) },
      success: Note,
      error: Refused
    }),
    HttpApiEndpoint.post("write", "/notes", { payload: Note, success: Note, error: Refused })
  )
)

const ApiRoutes = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(
    HttpApiBuilder.group(Api, "notes", (handlers) =>
      handlers
        .handle("read", ({ params, query }) =>
          params.id === 13
            ? Effect.fail(new Refused({ reason: "thirteen is not read" }))
            : Effect.succeed({
                id: params.id,
                text: query.upper === undefined ? "grüße" : query.upper,
                tags: ["a", "b"]
              })
        )
        .handle("write", ({ payload }) =>
          payload.text === "" ? Effect.fail(new Refused({ reason: "empty" })) : Effect.succeed(payload)
        )
    )
  )
)

/** Plain routes besides the API; each handler reports what became of it. */
const plainRoutes = (seen: Array<string>) =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      yield* router.add(
        "GET",
        "/never",
        Effect.onInterrupt(
          Effect.andThen(
            Effect.sync(() => seen.push("started")),
            Effect.never
          ),
          () => Effect.sync(() => seen.push("interrupted"))
        )
      )
      yield* router.add(
        "GET",
        "/slow",
        Effect.andThen(Effect.sleep(50), Effect.succeed(HttpServerResponse.text("done")))
      )
      yield* router.add(
        "POST",
        "/echo",
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const body = new Uint8Array(yield* request.arrayBuffer)
          return HttpServerResponse.uint8Array(body, {
            headers: {
              "x-address": Option.getOrElse(request.remoteAddress, () => "none"),
              "x-seen": request.headers["x-mine"] ?? "none",
              "x-url": request.url
            },
            contentType: request.headers["content-type"] ?? "none"
          })
        })
      )
      yield* router.add(
        "GET",
        "/cookie",
        Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
          HttpServerResponse.setCookieUnsafe(HttpServerResponse.text(request.cookies["mine"] ?? "none"), "yours", "2")
        )
      )
      yield* router.add("GET", "/empty", Effect.succeed(HttpServerResponse.empty({ status: 204 })))
      yield* router.add("GET", "/broken", Effect.die(new Error("a bug in a handler")))
      yield* router.add("*", "/head", Effect.succeed(HttpServerResponse.text("twelve bytes")))
    })
  )

export const httpContract = (world: ContractWorld<HttpInstance>): void => {
  interface Served {
    readonly url: string
    readonly http: HttpClient.HttpClient
    readonly seen: Array<string>
    readonly instance: HttpInstance
  }
  const served = <E>(body: (served: Served) => Effect.Effect<void, E, Scope.Scope>) =>
    inWorld(world)((instance) => {
      const seen: Array<string> = []
      const server = HttpRouter.serve(Layer.merge(ApiRoutes, plainRoutes(seen)), {
        disableLogger: true,
        disableListenLog: true
      }).pipe(Layer.provideMerge(instance.server))
      return Effect.gen(function* () {
        const { address } = yield* HttpServer.HttpServer
        const url = instance.urlOf("port" in address ? address.port : 0)
        yield* body({ url, http: yield* HttpClient.HttpClient, seen, instance })
      }).pipe(Effect.provide(Layer.merge(server, instance.client)))
    })
  const typed = (served: Served) =>
    HttpApiClient.makeWith(Api, { httpClient: served.http, baseUrl: served.url }).pipe(
      Effect.map((client) => client.notes)
    )

  describe(`Http, ${world.name}`, () => {
    test(
      "typed requests and answers go round as JSON, with parameters, query and non-ASCII text",
      served((at) =>
        Effect.gen(function* () {
          const notes = yield* typed(at)
          expect(yield* notes.read({ params: { id: 7 }, query: {} })).toEqual({
            id: 7,
            text: "grüße",
            tags: ["a", "b"]
          })
          expect(yield* notes.read({ params: { id: 7 }, query: { upper: "Ä & Ö=1" } })).toMatchObject({
            text: "Ä & Ö=1"
          })
          const note = { id: 1, text: "line\nline ☃", tags: [] }
          expect(yield* notes.write({ payload: note })).toEqual(note)
        })
      )
    )

    test(
      "a typed error of a handler is the client's typed error",
      served((at) =>
        Effect.gen(function* () {
          const notes = yield* typed(at)
          const error = yield* Effect.flip(notes.read({ params: { id: 13 }, query: {} }))
          expect(error).toBeInstanceOf(Refused)
          expect((error as Refused).reason).toBe("thirteen is not read")
        })
      )
    )

    test(
      "an unknown path is a 404, and a bug in a handler a 500",
      served(({ http, url }) =>
        Effect.gen(function* () {
          expect((yield* http.get(`${url}/nowhere`)).status).toBe(404)
          expect((yield* http.get(`${url}/broken`)).status).toBe(500)
        })
      )
    )

    test(
      "the handler sees the client's address, headers, URL and content type, and the client the handler's headers",
      served(({ http, url, instance }) =>
        Effect.gen(function* () {
          const request = HttpClientRequest.post(`${url}/echo?a=1&b=%20x`).pipe(
            HttpClientRequest.setHeader("x-mine", "mine"),
            HttpClientRequest.bodyText("hello", "text/x-test")
          )
          const response = yield* http.execute(request)
          expect(response.status).toBe(200)
          expect(yield* response.text).toBe("hello")
          expect(response.headers).toMatchObject({
            "x-address": instance.clientAddress,
            "x-seen": "mine",
            "x-url": "/echo?a=1&b=%20x",
            "content-type": "text/x-test"
          })
        })
      )
    )

    test(
      "cookies go both ways",
      served(({ http, url }) =>
        Effect.gen(function* () {
          const response = yield* http.get(`${url}/cookie`, { headers: { cookie: "mine=1" } })
          expect(yield* response.text).toBe("1")
          expect(response.cookies.cookies["yours"]?.value).toBe("2")
        })
      )
    )

    test(
      "an answer without a body and an answer to HEAD have none",
      served(({ http, url }) =>
        Effect.gen(function* () {
          const empty = yield* http.get(`${url}/empty`)
          expect([empty.status, yield* empty.text]).toEqual([204, ""])
          const head = yield* http.head(`${url}/head`)
          expect([head.status, head.headers["content-length"], yield* head.text]).toEqual([200, "12", ""])
        })
      )
    )

    test(
      "a body of one megabyte comes back byte for byte",
      served(({ http, url }) =>
        Effect.gen(function* () {
          const body = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7 + (i >> 9)) & 255)
          const request = HttpClientRequest.bodyUint8Array(HttpClientRequest.post(`${url}/echo`), body)
          const answer = new Uint8Array(yield* (yield* http.execute(request)).arrayBuffer)
          expect(answer.length).toBe(body.length)
          expect(answer.every((byte, i) => byte === body[i])).toBe(true)
        })
      )
    )

    test(
      "concurrent requests do not wait for each other, and each gets its own answer",
      served(({ http, url }) =>
        Effect.gen(function* () {
          const slow = yield* Effect.forkChild(http.get(`${url}/slow`))
          const numbers = Array.from({ length: 30 }, (_, i) => i)
          const texts = yield* Effect.forEach(
            numbers,
            (n) =>
              http
                .execute(HttpClientRequest.bodyText(HttpClientRequest.post(`${url}/echo`), `n${n}`))
                .pipe(Effect.flatMap((response) => response.text)),
            { concurrency: 10 }
          )
          expect(texts).toEqual(numbers.map((n) => `n${n}`))
          expect(yield* (yield* Fiber.join(slow)).text).toBe("done")
        })
      )
    )

    test(
      "a port where nobody listens is a transport error, at once",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const http = yield* HttpClient.HttpClient
          const error = yield* Effect.flip(http.get(instance.closedUrl)).pipe(Effect.timeout("5 seconds"))
          expect(error._tag === "HttpClientError" && error.reason._tag).toBe("TransportError")
          expect(String((error.cause as { code?: string }).code)).toBe("ECONNREFUSED")
        }).pipe(Effect.provide(instance.client))
      )
    )

    test(
      "a client that gives up interrupts the handler",
      served(({ http, url, seen }) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Effect.timeout(http.get(`${url}/never`), "200 millis"))
          expect(Exit.isFailure(exit)).toBe(true)
          expect(yield* eventually(() => seen.length === 2)).toBe(true)
          expect(seen).toEqual(["started", "interrupted"])
          expect((yield* http.get(`${url}/slow`)).status).toBe(200)
        })
      )
    )

    test(
      "a server that stops refuses new requests and lets those finish that it has begun",
      inWorld(world)((instance) =>
        Effect.gen(function* () {
          const http = yield* HttpClient.HttpClient
          const listening = yield* Deferred.make<string>()
          const begun = yield* Deferred.make<void>()
          const stop = yield* Deferred.make<void>()
          const slow = HttpRouter.use((router) =>
            router.add(
              "GET",
              "/",
              Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep(100)).pipe(
                Effect.as(HttpServerResponse.text("finished"))
              )
            )
          )
          const node = yield* Effect.gen(function* () {
            const { address } = yield* HttpServer.HttpServer
            yield* Deferred.succeed(listening, instance.urlOf("port" in address ? address.port : 0))
            yield* Deferred.await(stop)
          }).pipe(
            Effect.provide(
              HttpRouter.serve(slow, { disableLogger: true, disableListenLog: true }).pipe(
                Layer.provideMerge(instance.server)
              )
            ),
            Effect.forkChild
          )
          const url = yield* Deferred.await(listening)
          const running = yield* Effect.forkChild(Effect.flatMap(http.get(url), (response) => response.text))
          yield* Deferred.await(begun)
          yield* Deferred.succeed(stop, undefined)
          expect(yield* Fiber.join(running)).toBe("finished")
          yield* Fiber.join(node)
          const error = yield* Effect.flip(http.get(url))
          expect(error.reason._tag).toBe("TransportError")
        }).pipe(Effect.provide(instance.client))
      )
    )
  })
}
