/**
 * How one input moves a player: the same integer arithmetic on the server (which decides) and in the player (which predicts), so
 * that a prediction from the right inputs is exact to the micrometre.
 */

/** Directions in a full turn; 0 is +x, counter-clockwise. */
export const DIRECTIONS = 256
/** Speed in percent above which a claim is a cheat. */
export const SPEED_MAX = 100

const SCALE = 1 << 20

/** Cosine and sine of each direction times 2^20, rounded to integers so that every machine has the same. */
const COSINE = Int32Array.from({ length: DIRECTIONS }, (_, i) =>
  Math.round(Math.cos((i * 2 * Math.PI) / DIRECTIONS) * SCALE)
)
const SINE = Int32Array.from({ length: DIRECTIONS }, (_, i) => COSINE[(i + DIRECTIONS - DIRECTIONS / 4) % DIRECTIONS])

/** Micrometres covered in one tick at `speed` percent of `maxSpeedMmS`. */
export const stepUm = (maxSpeedMmS: number, speed: number, tickRateHz: number): number =>
  Math.floor((maxSpeedMmS * 10 * speed) / tickRateHz)

/** The x coordinate after `distanceUm` in `direction`, held inside the world. */
export const movedX = (xUm: number, direction: number, distanceUm: number, halfUm: number): number =>
  hold(xUm + Math.round((distanceUm * COSINE[direction]) / SCALE), halfUm)

/** The y coordinate after `distanceUm` in `direction`, held inside the world. */
export const movedY = (yUm: number, direction: number, distanceUm: number, halfUm: number): number =>
  hold(yUm + Math.round((distanceUm * SINE[direction]) / SCALE), halfUm)

/** The direction that points nearest to the given offset. */
export const directionTo = (dx: number, dy: number): number => {
  let best = 0
  let bestDot = Number.NEGATIVE_INFINITY
  for (let direction = 0; direction < DIRECTIONS; direction++) {
    const dot = dx * COSINE[direction] + dy * SINE[direction]
    if (dot > bestDot) {
      best = direction
      bestDot = dot
    }
  }
  return best
}

const hold = (um: number, halfUm: number): number => Math.max(-halfUm, Math.min(halfUm, um))
