/** The canary that steals real time: a world whose guard does not catch it cannot be trusted to replay. */

import { Effect } from "effect"

/** Looks at the machine's clock after `afterMs`. */
export const timeThief = (params: { readonly afterMs: number }) =>
  Effect.andThen(
    Effect.sleep(params.afterMs),
    Effect.sync(() => {
      Date.now()
    })
  )
