/** Seeds and shards as users write them. */

import * as Result from "effect/Result"

/** Most seeds in one command: a million runs of a second are eleven days. */
const SEEDS_MAX = 1_000_000

/** `--seed N`: a non-negative integer below 2^53. */
export const parseSeed = (text: string): Result.Result<number, string> => {
  const seed = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(seed)
    ? Result.succeed(seed)
    : Result.fail(`a seed is an integer from 0 to ${Number.MAX_SAFE_INTEGER}, not ${JSON.stringify(text)}`)
}

/** `--seeds A..B`, both included. */
export const parseSeeds = (text: string): Result.Result<ReadonlyArray<number>, string> => {
  const ends = text.split("..")
  if (ends.length !== 2) return Result.fail(`seeds are given as A..B, such as 1..20, not ${JSON.stringify(text)}`)
  const first = parseSeed(ends[0])
  if (Result.isFailure(first)) return Result.fail(first.failure)
  const last = parseSeed(ends[1])
  if (Result.isFailure(last)) return Result.fail(last.failure)
  const [from, to] = [first.success, last.success]
  if (from > to) return Result.fail(`seeds are given from the lower to the higher, not ${JSON.stringify(text)}`)
  if (to - from >= SEEDS_MAX) return Result.fail(`at most ${SEEDS_MAX} seeds at once, not ${to - from + 1}`)
  return Result.succeed(Array.from({ length: to - from + 1 }, (_, i) => from + i))
}

/** `--shard I/N`, I from 1 to N; the same in the result. */
export const parseShard = (text: string): Result.Result<{ readonly index: number; readonly count: number }, string> => {
  const match = /^([0-9]{1,6})\/([0-9]{1,6})$/.exec(text)
  const [part, count] = match === null ? [0, 0] : [Number(match[1]), Number(match[2])]
  return part >= 1 && part <= count
    ? Result.succeed({ index: part, count })
    : Result.fail(`a shard is given as I/N with I from 1 to N, such as 1/4, not ${JSON.stringify(text)}`)
}
