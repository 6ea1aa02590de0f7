/**
 * Handshakes that were answered with ACCEPT and wait for CONFIRM: a bounded table. Each of them stands for an address that was proved by
 * a cookie, so filling it takes real addresses; then one prefix cannot take more than its share, and when all of it is taken the oldest
 * entry gives way, if it had a fair time to confirm.
 */

import { assert } from "../../assert.ts"
import { isV4, sameAddress } from "../../wire/address.ts"
import type { DatagramBatch } from "../../wire/batch.ts"
import { type Offer, wipeOffer } from "./server-handshake.ts"

/** Most handshakes pending, in total and from one prefix (IPv4 /24, IPv6 /48). */
export const PENDING_MAX = 1024
export const PENDING_PREFIX_MAX = 256
/** A handshake that is not confirmed in this time is forgotten. */
export const PENDING_LIFE_NS = 10e9
/** When the table is full, an entry this old may be pushed out by a new one. */
export const PENDING_FAIR_NS = 1e9
/** Most times that ACCEPT is said again to one repeated HELLO. */
export const ACCEPT_REPEATS_MAX = 16

/** One pending handshake, at the slot that its session will have. */
export class Pending {
  readonly slot: number
  readonly offer: Offer
  readonly helloKey: number
  readonly acceptedNs: number
  readonly address = new Uint32Array(4)
  readonly port: number
  readonly prefix: number
  /** How many times ACCEPT was said again. */
  repeats = 0

  constructor(slot: number, offer: Offer, helloKey: number, nowNs: number, batch: DatagramBatch, index: number) {
    this.slot = slot
    this.offer = offer
    this.helloKey = helloKey
    this.acceptedNs = nowNs
    for (let i = 0; i < 4; i++) this.address[i] = batch.address[index * 4 + i]
    this.port = batch.port[index]
    this.prefix = prefixOf(batch.address, index * 4)
  }

  isFrom(batch: DatagramBatch, index: number): boolean {
    return batch.port[index] === this.port && sameAddress(batch.address, index * 4, this.address, 0)
  }
}

export class PendingTable {
  private readonly bySlot = new Map<number, Pending>()
  private readonly byPrefix = new Map<number, number>()

  get size(): number {
    return this.bySlot.size
  }

  /** Whether the source of slot `index` may have one more. */
  prefixHasRoom(batch: DatagramBatch, index: number): boolean {
    return (this.byPrefix.get(prefixOf(batch.address, index * 4)) ?? 0) < PENDING_PREFIX_MAX
  }

  /** The oldest entry, if it had its fair time. */
  givingWay(nowNs: number): Pending | undefined {
    for (const oldest of this.bySlot.values()) {
      return nowNs - oldest.acceptedNs >= PENDING_FAIR_NS ? oldest : undefined
    }
    return undefined
  }

  get(slot: number): Pending | undefined {
    return this.bySlot.get(slot)
  }

  add(pending: Pending): void {
    assert(this.bySlot.size < PENDING_MAX, "The table of pending handshakes has room for what is added.")
    this.bySlot.set(pending.slot, pending)
    this.byPrefix.set(pending.prefix, (this.byPrefix.get(pending.prefix) ?? 0) + 1)
  }

  /** Forgets an entry and overwrites its secrets. */
  remove(pending: Pending): void {
    wipeOffer(pending.offer)
    this.bySlot.delete(pending.slot)
    const left = this.byPrefix.get(pending.prefix)! - 1
    if (left === 0) this.byPrefix.delete(pending.prefix)
    else this.byPrefix.set(pending.prefix, left)
  }
}

/** The /24 of an IPv4 or the /48 of an IPv6 address as a number. */
const prefixOf = (words: Uint32Array, at: number): number =>
  isV4(words, at) ? words[at + 3] >>> 8 : 0x1_0000_0000_0000 + words[at] * 0x1_0000 + (words[at + 1] >>> 16)
