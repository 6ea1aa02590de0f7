/**
 * Port: unpredictable bytes. The real layer asks the operating system; the simulated one draws from the run's seed, in a
 * stream of its own for each label, so that one more draw here does not shift the draws elsewhere.
 */

import { Context } from "effect"

/** One stream of random bytes. */
export interface RandomSource {
  /** Fills `bytes`. */
  fill(bytes: Uint8Array): void
  /** Uniform unsigned 32-bit integer. */
  u32(): number
}

export class Entropy extends Context.Service<
  Entropy,
  {
    /** The stream of a purpose, e.g. `session`, `backoff`. Calling twice with one label continues one stream. */
    readonly source: (label: string) => RandomSource
  }
>()("horizon/Entropy") {}

/** `count` fresh bytes. */
export const randomBytes = (source: RandomSource, count: number): Uint8Array => {
  const bytes = new Uint8Array(count)
  source.fill(bytes)
  return bytes
}
