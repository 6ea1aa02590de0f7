/**
 * Record layer of one session: seals and opens datagrams in place. It has the only allocator of sequences, so no code path can choose
 * one, and it keeps keys by epoch (mod 4), so that a rekey adds a key and changes nothing else.
 *
 * Receiving: window check, open, window commit, in this order. A forged packet moves nothing.
 */

import type { BatchOpener } from "../../crypto/batch.ts"
import { type Aead, NONCE_BYTES, TAG_BYTES } from "../../crypto/crypto.ts"
import type { Outbox } from "../../wire/batch.ts"
import { DROP, type DropCode } from "../../wire/drop.ts"
import {
  epochAt,
  HEADER_BYTES,
  putHeader,
  putNonce,
  SEALED_OVERHEAD_BYTES,
  SEQUENCE_HIGH_END,
  sealedFlags,
  sequenceHighAt,
  sequenceLowAt
} from "../../wire/header.ts"
import { ReplayWindow } from "./replay-window.ts"

/** Opens that may fail under one session's keys before it must end. */
export const FAILED_OPENS_MAX = 2 ** 36

const EPOCHS = 4
/** With the fault `session.sequence.reuse` planted, one sequence in so many is used twice. */
const REUSE_EVERY = 16

export class RecordLayer {
  /** Whether the packet opened last had the highest sequence so far. */
  newest = false
  failedOpens = 0

  private readonly connectionId: number
  private readonly sealing: Array<Aead | undefined> = new Array(EPOCHS).fill(undefined)
  private readonly opening: Array<Aead | undefined> = new Array(EPOCHS).fill(undefined)
  private readonly epoch = 0
  private nextHigh = 0
  private nextLow = 0
  private readonly window: ReplayWindow
  private readonly header = new Uint8Array(HEADER_BYTES)
  private readonly nonce = new Uint8Array(NONCE_BYTES)
  private readonly faultPoint: (name: string) => boolean
  private reused = false

  /** `windowPositions` as in ReplayWindow. The keys become this object's own. */
  constructor(
    connectionId: number,
    sealing: Aead,
    opening: Aead,
    windowPositions: number,
    faultPoint: (name: string) => boolean
  ) {
    this.connectionId = connectionId
    this.sealing[this.epoch] = sealing
    this.opening[this.epoch] = opening
    this.window = new ReplayWindow(windowPositions)
    this.faultPoint = faultPoint
  }

  /** Whether all sequences are used up: nothing can be sealed any more. */
  exhausted(): boolean {
    return this.nextHigh >= SEQUENCE_HIGH_END
  }

  /**
   * Writes a datagram with `length` payload bytes of `source` at `from` to `to` of the outbox's slab, sealed or noted for its sealer;
   * returns its length. Not called when exhausted.
   */
  seal(channel: number, source: Uint8Array, from: number, length: number, outbox: Outbox, to: number): number {
    const { sealer } = outbox
    const { slab } = outbox.batch
    const aead = this.sealing[this.epoch]!
    putHeader(slab, to, this.connectionId, channel, sealedFlags(this.epoch), this.nextHigh, this.nextLow)
    if (sealer !== undefined && aead.batchKey !== undefined) {
      let at = from
      if (source !== slab) {
        at = to + HEADER_BYTES
        // A loop, because `set` would need a view of the bytes, which is an allocation for each packet.
        for (let i = 0; i < length; i++) slab[at + i] = source[from + i]
      }
      sealer.add(aead.batchKey, at, length, to)
    } else {
      const { header, nonce } = this
      for (let i = 0; i < HEADER_BYTES; i++) header[i] = slab[to + i]
      putNonce(nonce, this.connectionId, this.nextHigh, this.nextLow)
      aead.seal(nonce, header, source, from, length, slab, to + HEADER_BYTES)
    }
    this.advance()
    return length + SEALED_OVERHEAD_BYTES
  }

  /** Opens, in place, the sealed datagram of `length` bytes at `at` (header checked, connection id is ours). */
  open(slab: Uint8Array, at: number, length: number): DropCode {
    const checked = this.check(slab, at)
    if (checked !== DROP.none) return checked
    const { header, nonce } = this
    for (let i = 0; i < HEADER_BYTES; i++) header[i] = slab[at + i]
    putNonce(nonce, this.connectionId, sequenceHighAt(slab, at), sequenceLowAt(slab, at))
    const aead = this.opening[epochAt(slab, at)]!
    return this.finish(slab, at, aead.open(nonce, header, slab, at + HEADER_BYTES, length - HEADER_BYTES))
  }

  /** Sets place `place` of `opener` to the datagram, if it may be received and its key works in batches; else false. */
  prepare(slab: Uint8Array, at: number, length: number, opener: BatchOpener, place: number): boolean {
    if (this.check(slab, at) !== DROP.none) return false
    const key = this.opening[epochAt(slab, at)]!.batchKey
    if (key === undefined) return false
    opener.set(place, key, at, length)
    return true
  }

  /** Takes over what an opener did with a datagram that `prepare` had put into it. */
  accept(slab: Uint8Array, at: number, opened: boolean): DropCode {
    // Once more, because a copy of the same datagram may have been accepted in between.
    const checked = this.check(slab, at)
    return checked === DROP.none ? this.finish(slab, at, opened) : checked
  }

  /** Whether the datagram at `at` may be received: key epoch, end of sequences, window. */
  private check(slab: Uint8Array, at: number): DropCode {
    if (this.opening[epochAt(slab, at)] === undefined) return DROP.epoch
    const high = sequenceHighAt(slab, at)
    if (high >= SEQUENCE_HIGH_END) return DROP.reserved
    const seen = this.window.check(high, sequenceLowAt(slab, at))
    return seen !== DROP.none && !this.faultPoint("session.replay.accept") ? seen : DROP.none
  }

  private finish(slab: Uint8Array, at: number, opened: boolean): DropCode {
    if (!opened) {
      this.failedOpens++
      return DROP.forged
    }
    this.newest = this.window.commit(sequenceHighAt(slab, at), sequenceLowAt(slab, at))
    return DROP.none
  }

  /** Payload bytes of a sealed datagram of `length` bytes. */
  static payloadBytes(length: number): number {
    return length - HEADER_BYTES - TAG_BYTES
  }

  wipe(): void {
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      this.sealing[epoch]?.wipe()
      this.opening[epoch]?.wipe()
      this.sealing[epoch] = undefined
      this.opening[epoch] = undefined
    }
  }

  private advance(): void {
    if (this.nextLow % REUSE_EVERY === REUSE_EVERY - 1 && !this.reused && this.faultPoint("session.sequence.reuse")) {
      this.reused = true
      return
    }
    this.reused = false
    this.nextLow = (this.nextLow + 1) >>> 0
    if (this.nextLow === 0) this.nextHigh++
  }
}
