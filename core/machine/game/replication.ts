/**
 * What each player is told: one snapshot after the other, each no larger than a datagram.
 *
 * If everything in sight fits, everything goes in. If not, three quarters of the room go to the nearest and one quarter goes round the
 * others in the order of their ids, so that whatever stays in sight is told at least once in any
 * ceil(in sight / quarter) + 1 snapshots, however dense the crowd.
 */

import { toGrid } from "../../wire/game/quantise.ts"
import {
  entityRoom,
  SNAPSHOT_LEAVES_MAX,
  SNAPSHOT_SPEED_MAX,
  Snapshot,
  writeSnapshot
} from "../../wire/game/snapshot.ts"
import { selectNearest } from "./nearest.ts"
import { PlayerView } from "./view.ts"
import type { World } from "./world.ts"

/** Share of a full snapshot that goes to the nearest: the rest goes round. */
const NEAREST_SHARE = 0.75
const DWELL_US_MAX = 0xffff_ffff

export class Replication {
  private readonly world: World
  private readonly snapshot = new Snapshot()
  /** Made when an id is first used, then kept: memory follows the most players there ever were, not the capacity. */
  private readonly views: Array<PlayerView | undefined>
  /** For each player, the id after which going round continues. */
  private readonly cursor: Uint16Array
  /** One bit for each entity that waits for its turn in the snapshot being written. */
  private readonly waiting: Uint32Array

  constructor(world: World) {
    const { capacity } = world.options
    this.world = world
    this.views = new Array<PlayerView | undefined>(capacity).fill(undefined)
    this.cursor = new Uint16Array(capacity)
    this.waiting = new Uint32Array((capacity + 31) >>> 5)
  }

  /** Begins for a player that has just joined. */
  open(player: number): void {
    const view = this.views[player] ?? new PlayerView(this.world.options.capacity)
    view.reset()
    this.views[player] = view
    this.cursor[player] = 0
  }

  /** Takes a player's acknowledgement; an ACK code. The player has joined. */
  acknowledge(player: number, ordinal: number, mask: number, hash: number): number {
    return (this.views[player] as PlayerView).acknowledge(ordinal, mask, hash)
  }

  /** Writes the player's next snapshot into `bytes`; its length. The player has joined. */
  write(nowNs: number, tick: number, player: number, bytes: Uint8Array, at: number): number {
    const { world, snapshot } = this
    const view = this.views[player] as PlayerView
    this.fillOwn(nowNs, tick, player, view)
    snapshot.visible = world.interest.look(player)
    this.fillLeaves(view)
    this.fillEntities(player, view)
    return writeSnapshot(snapshot, bytes, at)
  }

  private fillOwn(nowNs: number, tick: number, player: number, view: PlayerView): void {
    const { world, snapshot } = this
    const dwellNs = nowNs - world.processedArrivalNs[player]
    const xUm = world.xUm[player]
    const yUm = world.yUm[player]
    snapshot.tick = tick
    snapshot.inputSequence = world.processed[player]
    snapshot.inputMask = world.processedMask[player]
    snapshot.dwellUs = Math.min(DWELL_US_MAX, Math.floor(dwellNs / 1000))
    snapshot.xUm = xUm
    snapshot.yUm = yUm
    snapshot.direction = world.direction[player]
    snapshot.speed = shownSpeed(world.speed[player])
    snapshot.epoch = view.epoch
    snapshot.ordinal = view.begin(player, toGrid(xUm), toGrid(yUm), snapshot.direction, snapshot.speed)
  }

  /** What the player is known to hold and no longer sees: repeated until it is known to be gone. */
  private fillLeaves(view: PlayerView): void {
    const { snapshot, world } = this
    const { dense, size } = view.known
    let leaves = 0
    for (let i = 0; i < size && leaves < SNAPSHOT_LEAVES_MAX; i++) {
      if (world.interest.isSeen(dense[i])) continue
      snapshot.leave[leaves++] = dense[i]
      view.noteLeave(dense[i])
    }
    snapshot.leaves = leaves
  }

  private fillEntities(player: number, view: PlayerView): void {
    const { snapshot, world } = this
    const { interest } = world
    const room = entityRoom(snapshot.leaves)
    snapshot.count = 0
    if (interest.count <= room) {
      for (let i = 0; i < interest.count; i++) this.put(interest.ids[i], view)
      return
    }
    const nearest = Math.floor(room * NEAREST_SHARE)
    selectNearest(interest.ids, interest.distances, interest.count, nearest)
    for (let i = 0; i < nearest; i++) this.put(interest.ids[i], view)
    for (let i = nearest; i < interest.count; i++) {
      const entity = interest.ids[i]
      this.waiting[entity >>> 5] |= 1 << (entity & 31)
    }
    this.goRound(player, view, room - nearest)
    for (let i = nearest; i < interest.count; i++) this.waiting[interest.ids[i] >>> 5] = 0
  }

  /** Puts in `turns` of the waiting entities, from the cursor on; there are more than that. */
  private goRound(player: number, view: PlayerView, turns: number): void {
    const { waiting } = this
    const capacity = this.world.options.capacity
    let entity = this.cursor[player]
    let left = turns
    for (let steps = 0; left > 0 && steps <= 2 * capacity; steps++) {
      entity = entity + 1 >= capacity ? 0 : entity + 1
      const word = waiting[entity >>> 5]
      if (word === 0 && (entity & 31) === 0) {
        entity += 31
        continue
      }
      if ((word & (1 << (entity & 31))) === 0) continue
      this.put(entity, view)
      this.cursor[player] = entity
      left--
    }
  }

  private put(entity: number, view: PlayerView): void {
    const { snapshot, world } = this
    const at = snapshot.count++
    const gridX = world.gridX[entity]
    const gridY = world.gridY[entity]
    const direction = world.direction[entity]
    const speed = shownSpeed(world.speed[entity])
    const generation = world.generation[entity]
    snapshot.id[at] = entity
    snapshot.gridX[at] = gridX
    snapshot.gridY[at] = gridY
    snapshot.entityDirection[at] = direction
    snapshot.entitySpeed[at] = speed
    snapshot.fresh[at] = view.isOther(entity, generation) ? 1 : 0
    view.noteEntity(entity, gridX, gridY, direction, speed, generation)
  }
}

const shownSpeed = (speed: number): number => Math.min(speed, SNAPSHOT_SPEED_MAX)
