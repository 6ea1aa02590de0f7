/**
 * Chances as integers. A probability in parts per million becomes a limit to which a uniform 32-bit word is compared, and
 * a uniform word becomes a position by multiplying and dividing by 2^32: all exact in a double, so a decision replays on
 * every machine.
 */

/** Where a stage draws its uniform unsigned 32-bit integers. */
export interface Uniform {
  u32(): number
}

const WORDS = 0x1_0000_0000

/** The limit below which a uniform word lies with a probability of `ppm` parts per million (0 never, 1,000,000 always). */
export const chanceLimit = (ppm: number): number => Math.floor((ppm * WORDS) / 1_000_000)

/** Uniform integer from 0 to `bound - 1` for the uniform word `word`; `bound` at most 2^21, so that the product is exact. */
export const position = (word: number, bound: number): number => Math.floor((word * bound) / WORDS)

/**
 * As `position` for a `bound` up to 2^36: the word is taken in two halves, so that no product passes 2^53. The result is
 * the exact floor, because a nested floor equals the outer one.
 */
export const widePosition = (word: number, bound: number): number =>
  Math.floor(((word >>> 16) * bound + Math.floor(((word & 0xffff) * bound) / 0x1_0000)) / 0x1_0000)
