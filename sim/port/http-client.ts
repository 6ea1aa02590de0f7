/**
 * Effect's `HttpClient` on a simulated host: each exchange is a stream of its own through the simulated network. Failures have
 * the reasons that the client on Node gives them. Bodies are bytes; streaming ones are refused.
 */

import { formatV4, parseV4 } from "@horizon/core/wire/address.ts"
import { Effect, Layer, Tracer } from "effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpClient from "effect/http/HttpClient"
import { EncodeError, HttpClientError, TransportError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Process } from "../kernel/process.ts"
import { LOOPBACK_ADDRESS, type SimHost } from "../net/host.ts"
import { encodeMessage, HttpReader, parseStatusLine } from "../net/http.ts"
import { type Stream, type StreamEnd, StreamStack } from "../net/stream.ts"

/** The HTTP client of a process on a host. */
export const layerHttpClient = (host: SimHost, process: Process): Layer.Layer<HttpClient.HttpClient> =>
  Layer.succeed(HttpClient.HttpClient)(
    HttpClient.make((request, url) => {
      const target = targetOf(request, url)
      if (target instanceof HttpClientError) return Effect.fail(target)
      return exchange(host, process, request, target)
    }).pipe(
      // There are no spans in the simulated world, so there is nothing to put into trace headers.
      HttpClient.transformResponse(Effect.provideService(Tracer.DisablePropagation, true))
    )
  )

interface Target {
  readonly address: number
  readonly port: number
  readonly message: Uint8Array
}

/** What `URL` says; the pure rooms do not know its type. */
interface UrlParts {
  readonly protocol: string
  readonly hostname: string
  readonly host: string
  readonly port: string
  readonly pathname: string
  readonly search: string
}

const targetOf = (request: HttpClientRequest, url: UrlParts): Target | HttpClientError => {
  if (url.protocol !== "http:")
    return transportError(request, "EPROTO", `the simulated world speaks http:, not ${url.protocol}`)
  const address = url.hostname === "localhost" ? LOOPBACK_ADDRESS : parseV4(url.hostname)
  if (address === undefined)
    return transportError(
      request,
      "ENOTFOUND",
      `${url.hostname} is no IPv4 address, and the simulated world has no names`
    )
  const { body } = request
  if (body._tag !== "Empty" && body._tag !== "Uint8Array")
    return encodeError(
      request,
      `a ${body._tag} body cannot be sent in the simulated world: give it as bytes, text or JSON`
    )
  const headers = Object.entries(request.headers).filter(([name]) => name !== "content-length")
  const message = encodeMessage(
    `${request.method} ${url.pathname}${url.search} HTTP/1.1`,
    [["host", url.host], ["connection", "close"], ...headers],
    body._tag === "Empty" ? new Uint8Array(0) : body.body
  )
  if (message === undefined) return encodeError(request, "a header has characters that cannot travel in one")
  return { address, port: url.port === "" ? 80 : Number(url.port), message }
}

const exchange = (
  host: SimHost,
  process: Process,
  request: HttpClientRequest,
  target: Target
): Effect.Effect<HttpClientResponse, HttpClientError> =>
  Effect.callback<HttpClientResponse, HttpClientError>((resume) => {
    const reader = new HttpReader(request.method !== "HEAD")
    const place = `${formatV4(target.address)}:${target.port}`
    let stream: Stream | undefined
    const finish = (outcome: HttpClientResponse | HttpClientError): void => {
      const failed = outcome instanceof HttpClientError
      if (failed) stream?.abort()
      else stream?.end()
      stream = undefined
      resume(failed ? Effect.fail(outcome) : Effect.succeed(outcome))
    }
    stream = StreamStack.of(host).connect(process, target.address, target.port, {
      onData: (bytes) => {
        if (stream === undefined) return
        const state = reader.feed(bytes)
        if (state === "complete") finish(responseOf(request, reader))
        else if (state !== "head" && state !== "body")
          finish(transportError(request, "EPROTO", `${place}: ${state} answer`))
      },
      onEnd: () => {
        if (stream !== undefined)
          finish(transportError(request, "ECONNRESET", `${place} closed before its answer was complete`))
      },
      onClose: (end) => {
        if (stream !== undefined) finish(transportError(request, CODES[end], `${place}: connection ${WORDS[end]}`))
      }
    })
    if (stream === undefined)
      return resume(
        Effect.fail(transportError(request, "EADDRNOTAVAIL", `${host.name} has no free port or connection`))
      )
    if (!stream.send(target.message)) finish(encodeError(request, "the request is larger than the send buffer"))
    return Effect.sync(() => stream?.abort())
  })

const CODES: Readonly<Record<StreamEnd, string>> = {
  closed: "ECONNRESET",
  refused: "ECONNREFUSED",
  reset: "ECONNRESET",
  timeout: "ETIMEDOUT"
}

const WORDS: Readonly<Record<StreamEnd, string>> = {
  closed: "closed before the answer",
  refused: "refused",
  reset: "reset by the peer",
  timeout: "timed out"
}

const responseOf = (request: HttpClientRequest, reader: HttpReader): HttpClientResponse | HttpClientError => {
  const status = parseStatusLine(reader.startLine)
  if (status === undefined) return transportError(request, "EPROTO", "the answer does not begin with a status line")
  const options = { status, headers: reader.headers, cookies: Cookies.fromSetCookie(reader.setCookies) }
  const response =
    reader.body.length === 0
      ? HttpServerResponse.empty(options)
      : HttpServerResponse.uint8Array(reader.body, { ...options, contentType: reader.headers["content-type"] })
  return HttpServerResponse.toClientResponse(response, { request })
}

/** As on Node: the cause is an error with a system code. */
const transportError = (request: HttpClientRequest, code: string, description: string): HttpClientError =>
  new HttpClientError({
    reason: new TransportError({
      request,
      description,
      cause: Object.assign(new Error(`${code}: ${description}`), { code })
    })
  })

const encodeError = (request: HttpClientRequest, description: string): HttpClientError =>
  new HttpClientError({ reason: new EncodeError({ request, description }) })
