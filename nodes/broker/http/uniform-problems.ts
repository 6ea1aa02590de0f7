/**
 * The outermost layer of every endpoint: limits the body, turns whatever goes wrong into a problem document, and tells the trace.
 *
 * A bug in one handler is answered with 500 and logged with its cause, and does not stop the broker: otherwise one request that
 * meets the bug could keep everybody from it.
 */

import { UniformProblems } from "@horizon/core/api/auth.ts"
import { isProblem, type Problem, problem } from "@horizon/core/api/problem.ts"
import { ByteSize, Effect, Exit, Layer, SchemaIssue } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import type { BrokerParts } from "../parts.ts"

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()
/** Issues told in one answer. */
const ISSUES_MAX = 16

export const layerUniformProblems = (parts: BrokerParts): Layer.Layer<UniformProblems> =>
  Layer.succeed(UniformProblems)((httpEffect, { endpoint }) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const startNs = parts.clock.nowNs()
      const { requestBytesMax } = parts.config
      const handled: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> = httpEffect
      const guarded: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> =
        Number(request.headers["content-length"] ?? 0) > requestBytesMax
          ? Effect.fail(tooLarge(requestBytesMax))
          : Effect.provideService(handled, HttpIncomingMessage.MaxBodySize, ByteSize.bytes(requestBytesMax))
      return yield* guarded.pipe(
        Effect.catch((error) => Effect.flatMap(asProblem(error), Effect.fail)),
        Effect.catchDefect((defect) => Effect.flatMap(defectProblem(defect, requestBytesMax), Effect.fail)),
        Effect.onExit((exit) =>
          Effect.sync(() =>
            parts.trace("broker.request", {
              route: `${endpoint.method} ${endpoint.path}`,
              status: statusOf(exit),
              durationNs: parts.clock.nowNs() - startNs
            })
          )
        )
      )
    })
  )

/** A problem as it is; a request that does not fit the schema as 400; anything else is a bug. */
const asProblem = (error: unknown): Effect.Effect<Problem> => {
  if (isProblem(error)) return Effect.succeed(error)
  if (HttpApiError.HttpApiSchemaError.is(error) && error.kind !== "Body" && error.kind !== "ResponseHeaders") {
    const slot = error.kind.toLowerCase()
    const errors = formatIssues(error.cause.issue)
      .issues.slice(0, ISSUES_MAX)
      .map((issue) => ({ path: [slot, ...(issue.path ?? []).map(segmentOf)], message: issue.message }))
    const first = errors[0]
    const where = first === undefined ? slot : first.path.join(".")
    return Effect.succeed(
      problem("malformed", `The request does not fit the API: ${where}: ${first?.message ?? "malformed"}.`, { errors })
    )
  }
  return bug(error)
}

const defectProblem = (defect: unknown, requestBytesMax: number): Effect.Effect<Problem> => {
  if (defect instanceof HttpServerError.HttpServerError && defect.reason._tag === "RequestParseError") {
    return Effect.succeed(bodyProblem(defect.reason, requestBytesMax))
  }
  return bug(defect)
}

/** A body that could not be read. */
export const bodyProblem = (reason: HttpServerError.RequestParseError, requestBytesMax: number): Problem =>
  reason.reason === "BodyTooLarge"
    ? tooLarge(requestBytesMax)
    : problem("malformed", "The body of the request could not be read to its end.")

export const tooLarge = (requestBytesMax: number): Problem =>
  problem("body-too-large", `The body of a request has at most ${requestBytesMax} bytes. Send less at a time.`)

const bug = (cause: unknown): Effect.Effect<Problem> =>
  Effect.as(
    Effect.logError("A request met a bug in the broker.", cause),
    problem("internal", "The broker met an error of its own. Its log says more.")
  )

const segmentOf = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
}

/** HTTP status of how a request ended; 499 if the caller went away. */
const statusOf = (exit: Exit.Exit<{ readonly status: number }, unknown>): number => {
  if (Exit.isSuccess(exit)) return exit.value.status
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure === undefined) return 499
  return isProblem(failure.error) ? failure.error.status : 500
}
