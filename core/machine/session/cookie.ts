/**
 * Stateless cookies: before a client has shown that it receives at the address it sends from, the server keeps nothing about it
 * and does no public-key work for it.
 *
 * 48 bytes: time u64 (server's wall clock, ms) ‖ random 8 ‖ HMAC-SHA-256 over version u8 ‖ family u8 (4 or 6) ‖ address 16 ‖ port u16 ‖
 * client random 16 ‖ SHA-256(client ephemeral) ‖ time ‖ random. Two secrets; the older one counts only as long as a cookie lives.
 */

import { type Crypto, equalConstantTime } from "../../crypto/crypto.ts"
import { isV4 } from "../../wire/address.ts"
import type { DatagramBatch } from "../../wire/batch.ts"
import { COOKIE_BYTES, HELLO, KEY_BYTES, PROTOCOL_VERSION, RANDOM_BYTES } from "../../wire/handshake.ts"
import { putU32, readU32 } from "../../wire/header.ts"

export const COOKIE_LIFE_MS = 10_000
export const COOKIE_ROTATION_NS = 60e9

const SECRET_BYTES = 32
const MESSAGE_BYTES = 84
const TIME_AT = 68
const RANDOM_AT = 76

export class CookieJar {
  private readonly crypto: Crypto
  private readonly fill: (bytes: Uint8Array) => void
  private readonly wallMs: () => number
  private current = new Uint8Array(SECRET_BYTES)
  private previous = new Uint8Array(SECRET_BYTES)
  private rotatedNs: number
  private readonly message = new Uint8Array(MESSAGE_BYTES)
  private readonly random = new Uint8Array(8)

  constructor(crypto: Crypto, fill: (bytes: Uint8Array) => void, wallMs: () => number) {
    this.crypto = crypto
    this.fill = fill
    this.wallMs = wallMs
    this.rotatedNs = Number.NEGATIVE_INFINITY
  }

  /** Writes a cookie for the HELLO in slot `index` at `to` of `target`. */
  write(nowNs: number, batch: DatagramBatch, index: number, target: Uint8Array, to: number): void {
    this.rotate(nowNs)
    this.fill(this.random)
    const ms = this.wallMs()
    this.describe(batch, index)
    putU32(this.message, TIME_AT, ms >>> 0)
    putU32(this.message, TIME_AT + 4, Math.floor(ms / 0x1_0000_0000))
    this.message.set(this.random, RANDOM_AT)
    for (let i = TIME_AT; i < MESSAGE_BYTES; i++) target[to++] = this.message[i]
    target.set(this.crypto.hmacSha256(this.current, this.message), to)
  }

  /** Whether the cookie in the HELLO in slot `index` is ours, fresh, and made for this source and these keys. */
  check(nowNs: number, batch: DatagramBatch, index: number): boolean {
    this.rotate(nowNs)
    const { slab } = batch
    const at = batch.offset(index) + HELLO.cookie
    const ageMs = this.wallMs() - (readU32(slab, at + 4) * 0x1_0000_0000 + readU32(slab, at))
    if (ageMs < 0 || ageMs > COOKIE_LIFE_MS) return false
    this.describe(batch, index)
    for (let i = 0; i < MESSAGE_BYTES - TIME_AT; i++) this.message[TIME_AT + i] = slab[at + i]
    const given = slab.subarray(at + MESSAGE_BYTES - TIME_AT, at + COOKIE_BYTES)
    if (equalConstantTime(given, this.crypto.hmacSha256(this.current, this.message))) return true
    const previousCounts = nowNs - this.rotatedNs <= COOKIE_LIFE_MS * 1e6
    return previousCounts && equalConstantTime(given, this.crypto.hmacSha256(this.previous, this.message))
  }

  /** Puts the source and the client's values of a HELLO into the message that is authenticated. */
  private describe(batch: DatagramBatch, index: number): void {
    const { message } = this
    const at = batch.offset(index)
    message[0] = PROTOCOL_VERSION
    message[1] = isV4(batch.address, index * 4) ? 4 : 6
    for (let i = 0; i < 4; i++) putU32(message, 2 + 4 * i, batch.address[index * 4 + i])
    message[18] = batch.port[index]
    message[19] = batch.port[index] >>> 8
    for (let i = 0; i < RANDOM_BYTES; i++) message[20 + i] = batch.slab[at + HELLO.random + i]
    const ephemeral = batch.slab.subarray(at + HELLO.ephemeral, at + HELLO.ephemeral + KEY_BYTES)
    message.set(this.crypto.sha256(ephemeral), 36)
  }

  /** Secrets change on first use after 60 s. After a pause of two periods or more both are new. */
  private rotate(nowNs: number): void {
    const ageNs = nowNs - this.rotatedNs
    if (ageNs < COOKIE_ROTATION_NS) return
    const older = this.previous
    this.previous = this.current
    this.current = older
    this.fill(this.current)
    if (ageNs >= 2 * COOKIE_ROTATION_NS) this.fill(this.previous)
    this.rotatedNs = nowNs
  }
}
