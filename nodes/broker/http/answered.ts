/** The seam between services and HTTP: what the store could not do becomes a 503 that says that it may be tried again. */

import { type Problem, problem } from "@horizon/core/api/problem.ts"
import { Effect } from "effect"
import type { Answer } from "../parts.ts"

export const answered = <A>(answer: Answer<A>): Effect.Effect<A, Problem> =>
  Effect.catchTag(answer, "SqlError", (error) =>
    Effect.andThen(
      Effect.logWarning("The store failed a request.", error.reason),
      Effect.fail(problem("store-unavailable", "The broker cannot use its store at the moment. Try again in a moment."))
    )
  )
