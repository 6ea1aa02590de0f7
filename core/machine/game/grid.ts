/**
 * A uniform grid over the world: which entities are in which cell, as linked lists in two arrays. The cell of a point is found by
 * two shifts of arithmetic, and moving an entity touches its neighbours in the list only.
 */

import { assert } from "../../assert.ts"

const NONE = -1

export class SpatialGrid {
  private readonly cellSide: number
  private readonly half: number
  private readonly across: number
  private readonly head: Int32Array
  private readonly next: Int32Array
  private readonly previous: Int32Array
  private readonly cell: Int32Array

  /** Positions lie from `-half` to `half` on both axes, cells are squares of `cellSide`, entity ids are below `capacity`. */
  constructor(half: number, cellSide: number, capacity: number) {
    this.cellSide = cellSide
    this.half = half
    this.across = Math.floor((2 * half) / cellSide) + 1
    assert(this.across <= 4096, "a grid has at most 4,096 cells on a side")
    this.head = new Int32Array(this.across * this.across).fill(NONE)
    this.next = new Int32Array(capacity).fill(NONE)
    this.previous = new Int32Array(capacity).fill(NONE)
    this.cell = new Int32Array(capacity).fill(NONE)
  }

  /** Puts an entity at a position, or moves it there. */
  place(entity: number, x: number, y: number): void {
    const cell = this.lane(y) * this.across + this.lane(x)
    if (cell === this.cell[entity]) return
    this.remove(entity)
    const first = this.head[cell]
    this.next[entity] = first
    this.previous[entity] = NONE
    if (first !== NONE) this.previous[first] = entity
    this.head[cell] = entity
    this.cell[entity] = cell
  }

  /** Takes an entity out, if it is in. */
  remove(entity: number): void {
    const cell = this.cell[entity]
    if (cell === NONE) return
    const next = this.next[entity]
    const previous = this.previous[entity]
    if (previous === NONE) this.head[cell] = next
    else this.next[previous] = next
    if (next !== NONE) this.previous[next] = previous
    this.cell[entity] = NONE
  }

  /**
   * Writes the entities of the nine cells around a position into `out` and returns how many there are: all that are within one
   * cell's side of it, and some more.
   */
  around(x: number, y: number, out: Uint16Array): number {
    const laneX = this.lane(x)
    const laneY = this.lane(y)
    const last = this.across - 1
    let count = 0
    for (let row = Math.max(0, laneY - 1); row <= Math.min(last, laneY + 1); row++) {
      for (let column = Math.max(0, laneX - 1); column <= Math.min(last, laneX + 1); column++) {
        for (let entity = this.head[row * this.across + column]; entity !== NONE; entity = this.next[entity]) {
          out[count++] = entity
        }
      }
    }
    return count
  }

  private lane(position: number): number {
    return Math.floor((position + this.half) / this.cellSide)
  }
}
