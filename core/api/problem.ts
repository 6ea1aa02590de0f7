/**
 * How the broker says no: RFC 9457 problem documents, one class for each HTTP status, with a machine-readable `reason`.
 *
 * The status hangs on the reason (`problem` picks the class), so a service decides on a reason and never on a number. `detail` is
 * a sentence for people: what, where, what to do.
 */

import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

const BLANK = "about:blank"

/** What is wrong with one field of a request: where, as a path that starts with `params`, `query`, `headers` or `payload`, and what. */
const Issue = Schema.Struct({
  path: Schema.Array(Schema.Union([Schema.String, Schema.Number])),
  message: Schema.String
})

/** 400: the request does not fit the documented schema. */
export class BadRequest extends HttpApiError.Problem<BadRequest>()(
  "BadRequest",
  { type: BLANK, status: 400, title: "Bad Request" },
  {
    reason: Schema.Literals(["malformed"]),
    errors: Schema.optionalKey(Schema.Array(Issue))
  }
) {}

/** 401: the broker does not know who asks. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()(
  "Unauthorized",
  { type: BLANK, status: 401, title: "Unauthorized" },
  {
    reason: Schema.Literals([
      "credential-missing",
      "credential-unknown",
      "credential-expired",
      "credential-revoked",
      "signature-invalid",
      "clock-skew"
    ]),
    /** For `clock-skew`: the broker's wall clock, so that the caller can sign again with the right time. */
    brokerNowMs: Schema.optionalKey(Schema.Int)
  }
) {}

/** 403: the broker knows who asks, and the answer is no. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()(
  "Forbidden",
  { type: BLANK, status: 403, title: "Forbidden" },
  {
    reason: Schema.Literals([
      "registration-key-unknown",
      "registration-key-expired",
      "registration-key-revoked",
      "registration-key-used-up",
      "server-revoked",
      "proof-invalid",
      "right-missing",
      "device-limit"
    ])
  }
) {}

/** 404: no such thing. */
export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: BLANK, status: 404, title: "Not Found" },
  {
    reason: Schema.Literals(["route-unknown", "server-unknown", "challenge-unknown", "key-unknown"])
  }
) {}

/** 409: somebody else was first, or this was already done. */
export class Conflict extends HttpApiError.Problem<Conflict>()(
  "Conflict",
  { type: BLANK, status: 409, title: "Conflict" },
  {
    reason: Schema.Literals(["counter-replayed", "already-revoked", "kind-changed"]),
    /** For `counter-replayed`: the highest counter that the broker has accepted from this server. */
    counter: Schema.optionalKey(Schema.Int)
  }
) {}

/** 410: it was there and its time is over. */
export class Gone extends HttpApiError.Problem<Gone>()(
  "Gone",
  { type: BLANK, status: 410, title: "Gone" },
  {
    reason: Schema.Literals(["challenge-expired"])
  }
) {}

/** 413: the body is longer than the broker reads. */
export class ContentTooLarge extends HttpApiError.Problem<ContentTooLarge>()(
  "ContentTooLarge",
  { type: BLANK, status: 413, title: "Content Too Large" },
  { reason: Schema.Literals(["body-too-large"]) }
) {}

/** 429: a limit on things in flight is reached. */
export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()(
  "TooManyRequests",
  { type: BLANK, status: 429, title: "Too Many Requests" },
  { reason: Schema.Literals(["too-many-challenges", "too-many-keys"]) }
) {}

/** 503: the broker cannot reach its store now; the same request may succeed later. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: BLANK, status: 503, title: "Service Unavailable" },
  { reason: Schema.Literals(["store-unavailable"]) }
) {}

/** 500: a bug in the broker. The cause is in its log, never in the answer. */
export class InternalError extends HttpApiError.Problem<InternalError>()(
  "InternalError",
  { type: BLANK, status: 500, title: "Internal Server Error" },
  { reason: Schema.Literals(["internal"]) }
) {}

/** Every way in which the broker answers "no". */
export const PROBLEMS = [
  BadRequest,
  Unauthorized,
  Forbidden,
  NotFound,
  Conflict,
  Gone,
  ContentTooLarge,
  TooManyRequests,
  Unavailable,
  InternalError
] as const

export type Problem = (typeof PROBLEMS)[number]["Type"]
export type ProblemReason = Problem["reason"]

/** Members that only some reasons have. */
export interface ProblemExtras {
  readonly brokerNowMs?: number
  readonly counter?: number
  readonly errors?: ReadonlyArray<{ readonly path: ReadonlyArray<string | number>; readonly message: string }>
}

/** The problem of a reason, with its status. */
export const problem = (reason: ProblemReason, detail: string, extras: ProblemExtras = {}): Problem => {
  switch (reason) {
    case "malformed":
      return new BadRequest({ reason, detail, ...pick(extras, "errors") })
    case "credential-missing":
    case "credential-unknown":
    case "credential-expired":
    case "credential-revoked":
    case "signature-invalid":
    case "clock-skew":
      return new Unauthorized({ reason, detail, ...pick(extras, "brokerNowMs") })
    case "registration-key-unknown":
    case "registration-key-expired":
    case "registration-key-revoked":
    case "registration-key-used-up":
    case "server-revoked":
    case "proof-invalid":
    case "right-missing":
    case "device-limit":
      return new Forbidden({ reason, detail })
    case "route-unknown":
    case "server-unknown":
    case "challenge-unknown":
    case "key-unknown":
      return new NotFound({ reason, detail })
    case "counter-replayed":
    case "already-revoked":
    case "kind-changed":
      return new Conflict({ reason, detail, ...pick(extras, "counter") })
    case "challenge-expired":
      return new Gone({ reason, detail })
    case "body-too-large":
      return new ContentTooLarge({ reason, detail })
    case "too-many-challenges":
    case "too-many-keys":
      return new TooManyRequests({ reason, detail })
    case "store-unavailable":
      return new Unavailable({ reason, detail })
    case "internal":
      return new InternalError({ reason, detail })
  }
}

/** Whether something that went wrong is the broker's own word. */
export const isProblem = (error: unknown): error is Problem => PROBLEMS.some((each) => error instanceof each)

const pick = <K extends keyof ProblemExtras>(extras: ProblemExtras, key: K): Pick<ProblemExtras, K> =>
  extras[key] === undefined ? ({} as Pick<ProblemExtras, K>) : ({ [key]: extras[key] } as Pick<ProblemExtras, K>)
