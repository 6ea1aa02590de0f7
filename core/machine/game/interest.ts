/**
 * Area of interest: which entities a viewer may see.
 *
 * An entity enters at the radius and leaves only beyond a larger one, so that one who walks along the border does not flicker. If
 * more are in sight than a player may see at all, the nearest are taken. Distances are in grid steps on the ground plane.
 */

import { assert } from "../../assert.ts"
import { RELATIVE_STEPS_MAX } from "../../wire/game/quantise.ts"
import { SpatialGrid } from "./grid.ts"
import { selectNearest } from "./nearest.ts"

export interface InterestOptions {
  /** Entity ids and viewer ids are below it. */
  readonly capacity: number
  /** The world reaches from -half to +half. */
  readonly halfSteps: number
  /** An entity nearer than this enters. */
  readonly enterSteps: number
  /** An entity farther than this leaves. */
  readonly leaveSteps: number
  /** Most entities in a viewer's sight. */
  readonly visibleMax: number
}

/** A grid of so many cells on a side takes 16 MB. */
const CELLS_ACROSS_MAX = 2_000

export class Interest {
  /** What the last `look` found: the first `count` are in sight, in no promised order. */
  readonly ids: Uint16Array
  /** Their squared distances, in steps. */
  readonly distances: Float64Array
  count = 0
  private readonly options: InterestOptions
  private readonly grid: SpatialGrid
  private readonly x: Int32Array
  private readonly y: Int32Array
  /** One bit for each entity, for each viewer: in sight at the viewer's last look. */
  private readonly seen: Uint32Array
  private readonly wordsEach: number
  private viewer = 0

  constructor(options: InterestOptions) {
    assert(
      options.enterSteps > 0 && options.enterSteps <= options.leaveSteps,
      "an entity enters no farther than it leaves"
    )
    assert(
      options.leaveSteps <= RELATIVE_STEPS_MAX,
      "everything in sight can be written relative to the viewer's quadrant"
    )
    this.options = options
    // Cells no smaller than the sight, so that nine of them hold it; larger in a world so large that there would be too many.
    const cellSide = Math.max(options.leaveSteps, Math.ceil((2 * options.halfSteps) / CELLS_ACROSS_MAX))
    this.grid = new SpatialGrid(options.halfSteps, cellSide, options.capacity)
    this.ids = new Uint16Array(options.capacity)
    this.distances = new Float64Array(options.capacity)
    this.x = new Int32Array(options.capacity)
    this.y = new Int32Array(options.capacity)
    this.wordsEach = (options.capacity + 31) >>> 5
    this.seen = new Uint32Array(this.wordsEach * options.capacity)
  }

  /** Puts an entity at a grid point, or moves it there. */
  place(entity: number, x: number, y: number): void {
    this.x[entity] = x
    this.y[entity] = y
    this.grid.place(entity, x, y)
  }

  /** Takes an entity out of the world, and out of the memory of the viewer of the same id. */
  remove(entity: number): void {
    this.grid.remove(entity)
    const from = entity * this.wordsEach
    this.seen.fill(0, from, from + this.wordsEach)
  }

  /** Finds what a viewer sees now, without itself; the number is `count` too. */
  look(viewer: number): number {
    const { enterSteps, leaveSteps, visibleMax } = this.options
    const enter = enterSteps * enterSteps
    const leave = leaveSteps * leaveSteps
    const viewerX = this.x[viewer]
    const viewerY = this.y[viewer]
    this.viewer = viewer
    const near = this.grid.around(viewerX, viewerY, this.ids)
    let count = 0
    for (let i = 0; i < near; i++) {
      const entity = this.ids[i]
      const dx = this.x[entity] - viewerX
      const dy = this.y[entity] - viewerY
      const distance = dx * dx + dy * dy
      if (distance > leave || entity === viewer) continue
      if (distance > enter && !this.isSeen(entity)) continue
      this.ids[count] = entity
      this.distances[count++] = distance
    }
    if (count > visibleMax) {
      selectNearest(this.ids, this.distances, count, visibleMax)
      count = visibleMax
    }
    this.count = count
    this.remember(count)
    return count
  }

  /** Whether the viewer of the last `look` has the entity in sight. */
  isSeen(entity: number): boolean {
    return (this.seen[this.viewer * this.wordsEach + (entity >>> 5)] & (1 << (entity & 31))) !== 0
  }

  private remember(count: number): void {
    const from = this.viewer * this.wordsEach
    this.seen.fill(0, from, from + this.wordsEach)
    for (let i = 0; i < count; i++) {
      const entity = this.ids[i]
      this.seen[from + (entity >>> 5)] |= 1 << (entity & 31)
    }
  }
}
