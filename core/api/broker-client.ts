/** Calls of the broker's API with a time limit and one typed error, for everything that talks to the broker. */

import { Effect, Schema } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { BrokerApi } from "./broker-api.ts"
import { isProblem } from "./problem.ts"

/** Why a call of the broker gave no answer that can be used. */
export class BrokerCallError extends Schema.TaggedError<BrokerCallError>()("BrokerCallError", {
  reason: Schema.Literals([
    /** No connection, or it broke. */
    "unreachable",
    /** Connected, and nothing came in time. */
    "timeout",
    /** The broker said no: `problem` says why. */
    "refused",
    /** What came is not what a broker of this version says. */
    "protocol",
    /** The broker's key or signature is not the one to trust. */
    "untrusted"
  ]),
  /** The broker's reason (problem.ts) when it refused. */
  problem: Schema.optionalKey(Schema.String),
  /** HTTP status, if there was one. */
  status: Schema.optionalKey(Schema.Int),
  /** The broker's clock, if the refusal told it. */
  brokerNowMs: Schema.optionalKey(Schema.Int),
  /** The highest counter accepted, if the refusal told it. */
  counter: Schema.optionalKey(Schema.Int),
  /** Whether the same call may succeed later without anybody doing anything. */
  passing: Schema.Boolean,
  /** What, where, what to do. */
  message: Schema.String
}) {}

export type BrokerClient = HttpApiClient.ForApi<typeof BrokerApi>

/** How long a call may take, ms, unless told otherwise. */
export const CALL_TIMEOUT_MS = 2_000

export interface BrokerClientOptions {
  /** `http://address:port`, perhaps with a path before `/api`. */
  readonly brokerUrl: string
  /** Puts the credential on each request; the request's URL is still without the broker's address. */
  readonly authorize?: (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest
}

/** The typed client of the API. */
export const brokerClient = (
  options: BrokerClientOptions
): Effect.Effect<BrokerClient, never, HttpClient.HttpClient> => {
  const { authorize } = options
  return HttpApiClient.make(BrokerApi, {
    baseUrl: options.brokerUrl,
    ...(authorize === undefined ? {} : { transformClient: HttpClient.mapRequest(authorize) })
  })
}

/** Runs one call: `what` completes the sentence "cannot …"; every failure becomes a BrokerCallError. */
export const callBroker = <A, E>(
  call: Effect.Effect<A, E>,
  what: string,
  brokerUrl: string,
  timeoutMs: number = CALL_TIMEOUT_MS
): Effect.Effect<A, BrokerCallError> =>
  call.pipe(
    Effect.mapError((error) => callError(error, what, brokerUrl)),
    Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () =>
        Effect.fail(
          new BrokerCallError({
            reason: "timeout",
            passing: true,
            message: `Cannot ${what}: the broker at ${brokerUrl} did not answer within ${timeoutMs / 1000} s. It will be tried again.`
          })
        )
    })
  )

const callError = (error: unknown, what: string, brokerUrl: string): BrokerCallError => {
  if (isProblem(error)) {
    return new BrokerCallError({
      reason: "refused",
      problem: error.reason,
      status: error.status,
      passing: error.status >= 500 || error.status === 429,
      message: `Cannot ${what}: ${error.detail ?? error.title}`,
      ...("brokerNowMs" in error && error.brokerNowMs !== undefined ? { brokerNowMs: error.brokerNowMs } : {}),
      ...("counter" in error && error.counter !== undefined ? { counter: error.counter } : {})
    })
  }
  if (HttpClientError.isHttpClientError(error)) return transportError(error, what, brokerUrl)
  return new BrokerCallError({
    reason: "protocol",
    passing: false,
    message: `Cannot ${what}: the answer of ${brokerUrl} is not that of a Horizon broker of this version. Check the broker's address and that both sides have the same version.`
  })
}

const transportError = (error: HttpClientError.HttpClientError, what: string, brokerUrl: string): BrokerCallError => {
  const { reason } = error
  if (reason._tag === "TransportError") {
    return new BrokerCallError({
      reason: "unreachable",
      passing: true,
      message: `Cannot ${what}: the broker at ${brokerUrl} cannot be reached. Check the address and that the broker runs; it will be tried again.`
    })
  }
  if (reason._tag === "InvalidUrlError") {
    return new BrokerCallError({
      reason: "protocol",
      passing: false,
      message: `Cannot ${what}: "${brokerUrl}" is not a URL. Give the broker as http://address:port.`
    })
  }
  const status = "response" in reason ? reason.response.status : 0
  return new BrokerCallError({
    reason: status >= 500 ? "unreachable" : "protocol",
    passing: status >= 500,
    ...(status === 0 ? {} : { status }),
    message: `Cannot ${what}: ${brokerUrl} answered ${status === 0 ? "something unreadable" : `with HTTP status ${status}`}, which is not a Horizon broker's. Check the broker's address and what stands before it.`
  })
}
