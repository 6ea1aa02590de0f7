/**
 * A hash of what a player sees: the exclusive or of one 32-bit hash for each entity, so that it is updated as entities change
 * and does not depend on their order. Server and player each keep it over the same quantised values; the player sends its
 * own with every INPUT, and the server compares.
 */

/** Hash of one entity's state as the wire has it: grid point, direction, speed. */
export const entityHash = (id: number, gridX: number, gridY: number, direction: number, speed: number): number => {
  let hash = Math.imul(id + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 15) ^ gridX, 0x85ebca77)
  hash = Math.imul(hash ^ (hash >>> 13) ^ gridY, 0xc2b2ae3d)
  hash = Math.imul(hash ^ (hash >>> 16) ^ (direction | (speed << 8)), 0x27d4eb2f)
  return (hash ^ (hash >>> 15)) >>> 0
}
