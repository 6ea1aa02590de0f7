/**
 * Effect's `HttpServer` on a simulated host, so that a node serves its routes unchanged: `HttpRouter.serve(routes)`. Each exchange is a
 * stream through the simulated network; handlers run as fibers of the server's process, and a client that goes away
 * interrupts its handler. Bodies are bytes; a streaming one is answered by a clear 500.
 */

import { formatV4 } from "@horizon/core/wire/address.ts"
import { Context, Deferred, Effect, type Fiber, Layer, Option, Result, type Scope } from "effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import type { HttpMethod } from "effect/http/HttpMethod"
import type { HttpMiddleware } from "effect/http/HttpMiddleware"
import * as HttpServer from "effect/http/HttpServer"
import { ClientAbort, ServeError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as NetAddress from "effect/net/NetAddress"
import type { Process } from "../kernel/process.ts"
import type { SimHost } from "../net/host.ts"
import { encodeMessage, HttpReader, parseRequestLine } from "../net/http.ts"
import { PROTOCOL } from "../net/packet.ts"
import { type Stream, type StreamHandler, StreamStack } from "../net/stream.ts"

/** An outage of a host's HTTP services: connections are refused, or accepted and never answered. */
export type HttpOutage = "down" | "half"

/** How long a stopping server lets the requests finish that it has begun: as long as the real layer does. */
const GRACE = "3 seconds"

/** Starts the handler of a request as a fiber of the server's process. */
type App = (request: HttpServerRequest.HttpServerRequest) => Fiber.Fiber<void>

/** What lies in front of a host's HTTP servers: it outlives the processes, so an outage lasts over a restart. */
class Front {
  outage: HttpOutage | undefined
  readonly servers = new Set<Server>()
}

const fronts = new WeakMap<SimHost, Front>()

const frontOf = (host: SimHost): Front => {
  const front = fronts.get(host) ?? new Front()
  fronts.set(host, front)
  return front
}

/** Begins or ends (`undefined`) an outage of all HTTP services on a host, those of later processes included. */
export const setOutage = (host: SimHost, outage: HttpOutage | undefined): void => {
  const front = frontOf(host)
  front.outage = outage
  for (const server of front.servers) server.handleOutage()
}

/** An HTTP server of a process on a port of its host (0 = any), and the services that routers and APIs need beside it. */
export const layerHttpServer = (host: SimHost, process: Process, port: number) =>
  Layer.effect(HttpServer.HttpServer)(makeHttpServer(host, process, port)).pipe(Layer.merge(HttpServer.layerServices))

const makeHttpServer = (
  host: SimHost,
  process: Process,
  wantedPort: number
): Effect.Effect<HttpServer.HttpServer["Service"], ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = new Server(host, process, wantedPort === 0 ? host.ephemeralPort(PROTOCOL.stream) : wantedPort)
    if (!server.start())
      return yield* Effect.fail(
        new ServeError({
          cause: new Error(`EADDRINUSE: port ${server.port} of ${host.name} is in use; choose another one`)
        })
      )
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    return HttpServer.make({
      address: addressOf(host, server.port),
      serve: (httpEffect, middleware) => serve(server, process, httpEffect, middleware)
    })
  })

const serve = (
  server: Server,
  process: Process,
  httpEffect: Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    unknown,
    HttpServerRequest.HttpServerRequest | Scope.Scope
  >,
  middleware: HttpMiddleware | undefined
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<never>()
    const handled = HttpEffect.toHandled(httpEffect, respond, middleware)
    const app: App = (request) =>
      process.fork(
        Effect.provideContext(
          handled,
          Context.add(services, HttpServerRequest.HttpServerRequest, request)
        ) as Effect.Effect<void>
      )
    server.app = app
    yield* Effect.addFinalizer(() => server.drain)
  })

const respond = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const exchange = exchanges.get(request.source)
    const { body } = response
    if (body._tag === "Empty" || body._tag === "Uint8Array") {
      exchange?.answer(response, body._tag === "Empty" ? EMPTY : body.body)
      return Effect.void
    }
    const sentence = `the simulated HTTP server sends whole bodies only: answer with bytes, text or JSON instead of ${body._tag}`
    const refusal = HttpServerResponse.text(sentence, { status: 500 })
    exchange?.answer(refusal, (refusal.body as HttpBody.Uint8Array).body)
    return Effect.logError(`${request.method} ${request.url}: ${sentence}`)
  })

const EMPTY = new Uint8Array(0)

/** The exchange of a request that a handler has: found again by the request's source, which survives `modify`. */
const exchanges = new WeakMap<object, Exchange>()

/** One listening port and the exchanges on it. */
class Server {
  readonly host: SimHost
  readonly port: number
  readonly front: Front
  /** Set when routes are served; before, requests are answered by 503. */
  app: App | undefined
  readonly running = new Set<Exchange>()
  private readonly process: Process
  private release: (() => void) | undefined
  private idle: Deferred.Deferred<void> | undefined

  constructor(host: SimHost, process: Process, port: number) {
    this.host = host
    this.process = process
    this.port = port
    this.front = frontOf(host)
  }

  /** False if the port is taken. */
  start(): boolean {
    if (!this.listen()) return false
    this.front.servers.add(this)
    this.handleOutage()
    return true
  }

  handleOutage(): void {
    if (this.front.outage === "down") {
      this.stopListening()
      for (const exchange of [...this.running]) exchange.cut()
    } else if (this.release === undefined) this.listen()
  }

  /** Stops accepting, lets what runs finish for a while, then cuts it off. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.front.servers.delete(this)
    this.stopListening()
    if (this.running.size === 0) return Effect.void
    this.idle = Deferred.makeUnsafe<void>()
    return Effect.timeoutOption(Deferred.await(this.idle), GRACE).pipe(Effect.andThen(Effect.sync(() => this.close())))
  })

  close(): void {
    this.front.servers.delete(this)
    this.stopListening()
    for (const exchange of [...this.running]) exchange.cut()
  }

  handleDone(exchange: Exchange): void {
    this.running.delete(exchange)
    if (this.running.size === 0 && this.idle !== undefined) Deferred.doneUnsafe(this.idle, Effect.void)
  }

  private listen(): boolean {
    this.release = StreamStack.of(this.host).listen(this.process, this.port, (stream) => {
      const exchange = new Exchange(this, stream)
      this.running.add(exchange)
      return exchange
    })
    return this.release !== undefined
  }

  private stopListening(): void {
    this.release?.()
    this.release = undefined
  }
}

/** One connection: a request that comes in, its handler, the answer. */
class Exchange implements StreamHandler {
  private readonly server: Server
  private readonly stream: Stream
  private readonly reader = new HttpReader()
  private fiber: Fiber.Fiber<void> | undefined
  /** `ignored`: came in during a half outage, and stays without an answer after it too. */
  private state: "reading" | "ignored" | "handling" | "answered" | "done" = "reading"

  constructor(server: Server, stream: Stream) {
    this.server = server
    this.stream = stream
  }

  readonly onData = (bytes: Uint8Array): void => {
    if (this.state === "reading" && this.server.front.outage === "half") this.state = "ignored"
    if (this.state !== "reading") return
    const state = this.reader.feed(bytes)
    if (state === "complete") this.handle()
    else if (state === "malformed") this.refuse(400, "the request is malformed")
    else if (state === "head-too-large") this.refuse(431, "the request's head is too large")
    else if (state === "body-too-large") this.refuse(413, "the request's body is too large")
  }

  /** A client that says no more before its request is complete has given up; after that it only waits. */
  readonly onEnd = (): void => {
    if (this.state === "reading") this.cut()
  }

  readonly onClose = (): void => this.finish()

  /** Sends the answer; the bytes of `body` are not changed afterwards. */
  answer(response: HttpServerResponse.HttpServerResponse, body: Uint8Array): void {
    if (this.state !== "handling" || this.server.front.outage === "half") return
    const headers = Object.entries(response.headers).filter(([name]) => name !== "content-length")
    const cookies = Cookies.toSetCookieHeaders(response.cookies).map((value) => ["set-cookie", value] as const)
    const isHead = this.reader.startLine.startsWith("HEAD ")
    const all = [["connection", "close"] as const, ...headers, ...cookies]
    const message =
      encodeMessage(
        `HTTP/1.1 ${response.status} ${response.statusText ?? ""}`,
        all,
        isHead ? EMPTY : body,
        body.length
      ) ?? encodeMessage("HTTP/1.1 500 ", [], EMPTY)!
    this.send(message)
  }

  /** Ends at once; a running handler is interrupted. */
  cut(): void {
    this.stream.abort()
    this.finish()
  }

  private handle(): void {
    const line = parseRequestLine(this.reader.startLine)
    if (line === undefined) return this.refuse(400, "the request line is malformed")
    if (this.server.app === undefined) return this.refuse(503, "nothing is served here yet")
    this.state = "handling"
    const request = requestOf(line.method as HttpMethod, line.target, this.reader, this.stream)
    exchanges.set(request.source, this)
    this.fiber = this.server.app(request)
  }

  private refuse(status: number, sentence: string): void {
    const body = Uint8Array.from(sentence, (character) => character.charCodeAt(0))
    this.send(encodeMessage(`HTTP/1.1 ${status} `, [["content-type", "text/plain"]], body)!)
  }

  private send(message: Uint8Array): void {
    this.state = "answered"
    // Larger than the send buffer: the client sees the connection break, as it would of a server that ran out of memory.
    if (this.stream.send(message)) this.stream.end()
    else this.cut()
  }

  private finish(): void {
    if (this.state === "done") return
    const interrupt = this.state === "handling"
    this.state = "done"
    if (interrupt) this.fiber?.interruptUnsafe(undefined, ClientAbort.annotation)
    this.server.handleDone(this)
  }
}

const requestOf = (
  method: HttpMethod,
  target: string,
  reader: HttpReader,
  stream: Stream
): HttpServerRequest.HttpServerRequest => {
  const headers = Headers.fromInput(reader.headers)
  const body = reader.body.length === 0 ? HttpBody.empty : HttpBody.uint8Array(reader.body, headers["content-type"])
  const url = `http://${headers["host"] ?? "localhost"}${target}`
  const source = HttpClientRequest.makeWith(method, url, UrlParams.empty, Option.none(), headers, body)
  return HttpServerRequest.fromClientRequest(source).modify({
    url: target,
    remoteAddress: Option.some(formatV4(stream.remoteAddress))
  })
}

const addressOf = (host: SimHost, port: number): NetAddress.SocketAddress =>
  Result.getOrThrow(NetAddress.inetAddressFromIpString(formatV4(host.address), port))
