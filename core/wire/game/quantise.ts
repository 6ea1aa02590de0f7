/**
 * Positions on the wire: world-origin rebasing by quadrants.
 *
 * The simulation counts micrometres. The wire counts steps of 8 mm on one grid that covers the world; the greatest error is
 * 4 mm on each axis. Quadrants are squares of 262.144 m (32,768 steps). A viewer's snapshot gives other entities relative to the
 * centre of the viewer's own quadrant, as int16: that spans two quadrants' width, so everything within 131 m of the
 * viewer fits wherever in its quadrant the viewer stands, and a step over a border changes nothing but the origin.
 */

/** One step of the grid. */
export const GRID_UM = 8000
/** Greatest distance between a position and its grid point, on each axis. */
export const GRID_ERROR_UM = 4000
/** Steps across a quadrant, as a power of two. */
const QUADRANT_BITS = 15
/** Steps across a quadrant. */
export const QUADRANT_STEPS = 1 << QUADRANT_BITS
/** How far from a viewer an entity may be on each axis, in steps, and still fit: 131.064 m. */
export const RELATIVE_STEPS_MAX = QUADRANT_STEPS / 2 - 1
/** Grid points reach this far from the world's origin: 67 km. */
export const GRID_MAX = 1 << 23

/** Grid point nearest to a position in micrometres. */
export const toGrid = (um: number): number => Math.floor((um + GRID_ERROR_UM) / GRID_UM)

/** Position of a grid point in micrometres. */
export const fromGrid = (steps: number): number => steps * GRID_UM

/** Number of the quadrant in which a grid point lies, on one axis; quadrant 0 has the world's origin at its centre. */
export const quadrantOf = (steps: number): number => (steps + QUADRANT_STEPS / 2) >> QUADRANT_BITS

/** Grid point at the centre of a quadrant, on one axis. */
export const quadrantCentre = (quadrant: number): number => quadrant << QUADRANT_BITS
