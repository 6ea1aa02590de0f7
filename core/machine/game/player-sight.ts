/**
 * What a player sees: the entities that snapshots have told it of, where they were and where they are, and the hash of it all.
 *
 * Snapshots are taken over in the order of their ordinals; one that comes after a newer one is not taken. `ordinal`, `mask` and
 * `hash` tell the server which were, and what came of it.
 */

import { fromGrid, toGrid } from "../../wire/game/quantise.ts"
import type { Snapshot } from "../../wire/game/snapshot.ts"
import { entityHash } from "../../wire/game/view-hash.ts"
import { IdSet } from "./id-set.ts"

/** How far behind the newest snapshot others are shown, in ticks: three snapshots, so that one may be lost. */
const SHOWN_BEHIND_TICKS = 6

export class PlayerSight {
  /** Newest snapshot taken; 0 = none. */
  ordinal = 0
  /** Bit i: snapshot `ordinal - 1 - i` was taken. */
  mask = 0
  /** Hash of the view as the newest snapshot left it. */
  hash = 0
  /** Tick of the newest snapshot, and when it arrived. */
  tick = 0
  arrivedNs = 0
  /** How many entities the server says are in sight. */
  visible = 0
  /** Own state as the server has it. */
  ownXUm = 0
  ownYUm = 0
  /** Entities held. */
  readonly held: IdSet
  readonly gridX: Int32Array
  readonly gridY: Int32Array
  readonly direction: Uint8Array
  readonly speed: Uint8Array
  private readonly seenTick: Uint32Array
  private readonly beforeX: Int32Array
  private readonly beforeY: Int32Array
  private readonly beforeTick: Uint32Array
  private readonly capacity: number
  private epoch = 0
  private combined = 0

  /** Entity ids are below `capacity`. */
  constructor(capacity: number) {
    this.capacity = capacity
    this.held = new IdSet(capacity)
    this.gridX = new Int32Array(capacity)
    this.gridY = new Int32Array(capacity)
    this.direction = new Uint8Array(capacity)
    this.speed = new Uint8Array(capacity)
    this.seenTick = new Uint32Array(capacity)
    this.beforeX = new Int32Array(capacity)
    this.beforeY = new Int32Array(capacity)
    this.beforeTick = new Uint32Array(capacity)
  }

  /** Takes a snapshot over, newer than all before; false, with nothing changed, if it names an entity that cannot be. */
  take(nowNs: number, player: number, snapshot: Snapshot): boolean {
    for (let i = 0; i < snapshot.count; i++) if (snapshot.id[i] >= this.capacity) return false
    for (let i = 0; i < snapshot.leaves; i++) if (snapshot.leave[i] >= this.capacity) return false
    if (snapshot.epoch !== this.epoch) {
      this.epoch = snapshot.epoch
      this.held.clear()
      this.combined = 0
    }
    for (let i = 0; i < snapshot.count; i++) this.update(i, snapshot)
    for (let i = 0; i < snapshot.leaves; i++) {
      const id = snapshot.leave[i]
      if (this.held.remove(id)) this.combined ^= this.hashOf(id)
    }
    this.advance(snapshot.ordinal)
    this.tick = snapshot.tick
    this.arrivedNs = nowNs
    this.visible = snapshot.visible
    this.ownXUm = snapshot.xUm
    this.ownYUm = snapshot.yUm
    const own = entityHash(player, toGrid(snapshot.xUm), toGrid(snapshot.yUm), snapshot.direction, snapshot.speed)
    this.hash = (this.combined ^ own) >>> 0
    return true
  }

  /** Where to show an entity on the x axis at present, micrometres: between the last two places that are known. */
  shownX(id: number, nowNs: number, tickRateHz: number): number {
    return this.between(id, nowNs, tickRateHz, this.beforeX[id], this.gridX[id])
  }

  /** Where to show an entity on the y axis. */
  shownY(id: number, nowNs: number, tickRateHz: number): number {
    return this.between(id, nowNs, tickRateHz, this.beforeY[id], this.gridY[id])
  }

  private between(id: number, nowNs: number, tickRateHz: number, before: number, now: number): number {
    const from = this.beforeTick[id]
    const to = this.seenTick[id]
    const shown = this.tick + ((nowNs - this.arrivedNs) * tickRateHz) / 1_000_000_000 - SHOWN_BEHIND_TICKS
    if (shown >= to || to === from) return fromGrid(now)
    if (shown <= from) return fromGrid(before)
    return Math.round(fromGrid(before) + (fromGrid(now - before) * (shown - from)) / (to - from))
  }

  private update(i: number, snapshot: Snapshot): void {
    const id = snapshot.id[i]
    const isNew = this.held.add(id)
    if (!isNew) this.combined ^= this.hashOf(id)
    const jumps = isNew || snapshot.fresh[i] === 1
    this.beforeX[id] = jumps ? snapshot.gridX[i] : this.gridX[id]
    this.beforeY[id] = jumps ? snapshot.gridY[i] : this.gridY[id]
    this.beforeTick[id] = jumps ? snapshot.tick : this.seenTick[id]
    this.gridX[id] = snapshot.gridX[i]
    this.gridY[id] = snapshot.gridY[i]
    this.direction[id] = snapshot.entityDirection[i]
    this.speed[id] = snapshot.entitySpeed[i]
    this.seenTick[id] = snapshot.tick
    this.combined ^= this.hashOf(id)
  }

  private advance(ordinal: number): void {
    const shift = ordinal - this.ordinal
    if (this.ordinal === 0 || shift > 32) this.mask = 0
    else this.mask = ((shift === 32 ? 0 : this.mask << shift) | (1 << (shift - 1))) >>> 0
    this.ordinal = ordinal
  }

  private hashOf(id: number): number {
    return entityHash(id, this.gridX[id], this.gridY[id], this.direction[id], this.speed[id])
  }
}
