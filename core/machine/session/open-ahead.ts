/**
 * Opens the sealed datagrams of a batch in one call of the cryptography, ahead of their turn.
 *
 * Each datagram is still taken by itself and in order afterwards, and only then does anything move. What cannot be opened ahead
 * (handshakes, a session that is established by an earlier datagram of the same batch) is opened when its turn comes.
 */

import type { AeadBatches, BatchOpener } from "../../crypto/batch.ts"
import type { DatagramBatch } from "../../wire/batch.ts"
import type { Connection } from "./connection.ts"

/** Most datagrams opened ahead: many enough to make the call cheap, few enough that they are still in the cache in their turn. */
export const AHEAD_MAX = 128

export class OpenAhead {
  private readonly batches: AeadBatches | undefined
  private readonly connectionOf: (batch: DatagramBatch, index: number) => Connection | undefined
  private opener: BatchOpener | undefined
  private batch: DatagramBatch | undefined
  /** Slots `first` to `end - 1` were prepared. */
  private first = 0
  private end = 0
  /** For each slot from `first` on: whose datagram was opened ahead and not yet taken, and its place in the opener. */
  private readonly connections = new Array<Connection | undefined>(AHEAD_MAX).fill(undefined)
  private readonly places = new Int32Array(AHEAD_MAX)

  /** `connectionOf` gives the established session whose sealed datagram lies in the slot, if there is one; it changes nothing. */
  constructor(
    batches: AeadBatches | undefined,
    connectionOf: (batch: DatagramBatch, index: number) => Connection | undefined
  ) {
    this.batches = batches
    this.connectionOf = connectionOf
  }

  /** Opens slots `first` to `end - 1`, AHEAD_MAX at most; what an opener has no place for is left to its turn. */
  prepare(batch: DatagramBatch, first: number, end: number): void {
    if (this.batches === undefined) return
    if (this.opener?.slab !== batch.slab) this.opener = this.batches.opener(batch.slab)
    const { opener, connections, places } = this
    let count = 0
    for (let index = first; index < end; index++) {
      const connection = count < opener.capacity ? this.connectionOf(batch, index) : undefined
      const prepared = connection?.prepare(batch, index, opener, count) === true
      connections[index - first] = prepared ? connection : undefined
      places[index - first] = count
      if (prepared) count++
    }
    this.batch = batch
    this.first = first
    this.end = end
    if (count > 0) opener.run(count)
  }

  /** Whether slot `index` was opened ahead for `connection`; `undefined` if it was not tried and is still sealed. */
  take(batch: DatagramBatch, index: number, connection: Connection): boolean | undefined {
    if (batch !== this.batch || index < this.first || index >= this.end) return undefined
    const at = index - this.first
    if (this.connections[at] !== connection) return undefined
    this.connections[at] = undefined
    return this.opener!.opened(this.places[at])
  }
}
