/**
 * What one player's view is known to be: the server's model of the entities that the player holds, built from the snapshots that
 * the player has acknowledged.
 *
 * The player takes snapshots over in the order of their ordinals and never an older one after a newer one, and says which it took.
 * The server keeps what it put into the last 64, and replays exactly those into the model. So the model equals the
 * player's view at every acknowledged snapshot, through any loss: that is what leaves are computed against, what hashes are
 * compared with, and what deltas can be taken from. When the acknowledgements have a hole that is too wide to fill, the view starts
 * anew with the next epoch.
 */

import { SNAPSHOT_ENTITIES_MAX, SNAPSHOT_LEAVES_MAX } from "../../wire/game/snapshot.ts"
import { entityHash } from "../../wire/game/view-hash.ts"
import { IdSet } from "./id-set.ts"

/** Snapshots remembered; at 30 a second, acknowledgements may be two seconds old. */
const RECORDS = 64
/** Snapshots that one acknowledgement speaks of: the newest and 32 before it. */
const SPAN = 33

/** Outcome of an acknowledgement. */
export const ACK = {
  /** Nothing new in it. */
  old: 0,
  /** The model was brought forward, and its hash is the player's. */
  equal: 1,
  /** The model was brought forward, and its hash is not the player's. */
  unequal: 2,
  /** The model could not be brought forward: a new epoch has begun. */
  restarted: 3,
  /** It speaks of a snapshot that was never sent. */
  future: 4
} as const

export class PlayerView {
  /** Goes into every snapshot; a new one tells the player to forget its view. */
  epoch = 0
  /** Ordinal of the newest snapshot sent. */
  sent = 0
  /** Entities that the player is known to hold. */
  readonly known: IdSet
  private readonly hashes: Uint32Array
  private readonly generations: Uint8Array
  /** Exclusive or of the hashes of all known entities. */
  private combined = 0
  /** Newest ordinal that has been replayed, or the last one of the former epoch. */
  private acknowledged = 0
  /** Epoch that the model is of; behind `epoch` until the first snapshot of the new one is acknowledged. */
  private modelEpoch = 0

  private readonly recordEpoch = new Uint8Array(RECORDS)
  private readonly recordOwnHash = new Uint32Array(RECORDS)
  private readonly recordCount = new Uint8Array(RECORDS)
  private readonly recordLeaves = new Uint8Array(RECORDS)
  private readonly entryId = new Uint16Array(RECORDS * SNAPSHOT_ENTITIES_MAX)
  private readonly entryHash = new Uint32Array(RECORDS * SNAPSHOT_ENTITIES_MAX)
  private readonly entryGeneration = new Uint8Array(RECORDS * SNAPSHOT_ENTITIES_MAX)
  private readonly leaveId = new Uint16Array(RECORDS * SNAPSHOT_LEAVES_MAX)

  /** Entity ids are below `capacity`. */
  constructor(capacity: number) {
    this.known = new IdSet(capacity)
    this.hashes = new Uint32Array(capacity)
    this.generations = new Uint8Array(capacity)
  }

  /** Begins for a new player: nothing is known, nothing was sent. */
  reset(): void {
    this.epoch = 0
    this.sent = 0
    this.acknowledged = 0
    this.modelEpoch = 0
    this.forget()
  }

  /** Whether the player holds an earlier entity of this id, which must not be taken for the present one. */
  isOther(entity: number, generation: number): boolean {
    return this.known.has(entity) && this.generations[entity] !== generation
  }

  /** Opens the record of the next snapshot; its ordinal. */
  begin(player: number, gridX: number, gridY: number, direction: number, speed: number): number {
    const record = ++this.sent % RECORDS
    this.recordEpoch[record] = this.epoch
    this.recordOwnHash[record] = entityHash(player, gridX, gridY, direction, speed)
    this.recordCount[record] = 0
    this.recordLeaves[record] = 0
    return this.sent
  }

  /** Notes an entity of the snapshot that `begin` opened. */
  noteEntity(id: number, gridX: number, gridY: number, direction: number, speed: number, generation: number): void {
    const record = this.sent % RECORDS
    const entry = record * SNAPSHOT_ENTITIES_MAX + this.recordCount[record]++
    this.entryId[entry] = id
    this.entryHash[entry] = entityHash(id, gridX, gridY, direction, speed)
    this.entryGeneration[entry] = generation
  }

  /** Notes a leave of the snapshot that `begin` opened. */
  noteLeave(id: number): void {
    const record = this.sent % RECORDS
    this.leaveId[record * SNAPSHOT_LEAVES_MAX + this.recordLeaves[record]++] = id
  }

  /** Takes an acknowledgement with the player's hash; an ACK code. */
  acknowledge(ordinal: number, mask: number, hash: number): number {
    if (ordinal > this.sent) return ACK.future
    if (ordinal <= this.acknowledged) return ACK.old
    const oldest = Math.max(this.acknowledged + 1, ordinal - SPAN + 1)
    if (oldest > this.acknowledged + 1 || oldest <= this.sent - RECORDS) return this.restart()
    for (let each = oldest; each < ordinal; each++) {
      if ((mask >>> (ordinal - each - 1)) & 1) this.replay(each % RECORDS)
    }
    const newest = ordinal % RECORDS
    this.replay(newest)
    this.acknowledged = ordinal
    return (this.combined ^ this.recordOwnHash[newest]) >>> 0 === hash ? ACK.equal : ACK.unequal
  }

  private replay(record: number): void {
    if (this.recordEpoch[record] !== this.modelEpoch) {
      this.forget()
      this.modelEpoch = this.recordEpoch[record]
    }
    const entries = record * SNAPSHOT_ENTITIES_MAX
    for (let entry = entries; entry < entries + this.recordCount[record]; entry++) {
      const id = this.entryId[entry]
      if (!this.known.add(id)) this.combined ^= this.hashes[id]
      this.combined ^= this.entryHash[entry]
      this.hashes[id] = this.entryHash[entry]
      this.generations[id] = this.entryGeneration[entry]
    }
    const leaves = record * SNAPSHOT_LEAVES_MAX
    for (let leave = leaves; leave < leaves + this.recordLeaves[record]; leave++) {
      const id = this.leaveId[leave]
      if (this.known.remove(id)) this.combined ^= this.hashes[id]
    }
  }

  private restart(): number {
    this.epoch = (this.epoch + 1) & 255
    this.acknowledged = this.sent
    this.forget()
    return ACK.restarted
  }

  private forget(): void {
    this.known.clear()
    this.combined = 0
  }
}
