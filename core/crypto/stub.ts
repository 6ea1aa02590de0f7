/**
 * NOT CRYPTOGRAPHY. A stand-in with the shapes of the real one, for simulator runs that measure Horizon without the cost of ciphers.
 * Anyone can forge, decrypt and impersonate under it; it only detects what a simulated network or fault does to a packet: every byte of
 * plaintext, associated data, nonce and key goes into a 32-bit mix that the tag carries. Real nodes refuse it.
 *
 * Hashes stay real (they are cheap and rare); curves and the AEAD are replaced.
 */

import { hkdf } from "@noble/hashes/hkdf.js"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { type Aead, type AeadName, type Crypto, TAG_BYTES } from "./crypto.ts"

export const STUB_CRYPTO_NAME = "stub-insecure"

export const stubCrypto: Crypto = {
  name: STUB_CRYPTO_NAME,
  sha256: (data) => sha256(data),
  hmacSha256: (key, data) => hmac(sha256, key, data),
  hkdfSha256: (secret, salt, info, length) => hkdf(sha256, secret, salt, info, length),
  x25519Public: (secret) => sha256(joined(PUBLIC, secret)),
  x25519Shared(secret, peerPublic) {
    if (peerPublic.every((byte) => byte === 0)) return undefined
    // Both ends compute the same from the two public values: anyone could.
    const own = sha256(joined(PUBLIC, secret))
    const shared = new Uint8Array(32)
    for (let i = 0; i < 32; i++) shared[i] = own[i] + peerPublic[i]
    return sha256(shared)
  },
  ed25519Public: (seed) => sha256(joined(PUBLIC, seed)),
  ed25519Sign: (seed, message) => signature(sha256(joined(PUBLIC, seed)), message),
  ed25519Verify(publicKey, message, given) {
    if (publicKey.length !== 32 || given.length !== 64) return false
    return signature(publicKey, message).every((byte, i) => byte === given[i])
  },
  aead: (name, key) => new StubAead(name, key)
}

const PUBLIC = Uint8Array.of(0x70)

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}

const signature = (publicKey: Uint8Array, message: Uint8Array): Uint8Array => {
  const half = sha256(joined(publicKey, message))
  return joined(half, sha256(half))
}

class StubAead implements Aead {
  private readonly keyMix: number

  constructor(name: AeadName, key: Uint8Array) {
    this.keyMix = absorb(name === "aes-256-gcm" ? 2 : 1, key, 0, key.length)
  }

  seal(
    nonce: Uint8Array,
    associated: Uint8Array,
    source: Uint8Array,
    from: number,
    length: number,
    target: Uint8Array,
    to: number
  ): void {
    const start = absorb(this.keyMix, nonce, 0, nonce.length)
    let stream = start | 1
    let tag = absorb(start, associated, 0, associated.length)
    for (let i = 0; i < length; i++) {
      const byte = source[from + i]
      tag = mixed(tag, byte)
      stream = shifted(stream)
      target[to + i] = byte ^ stream
    }
    putTag(target, to + length, finished(tag))
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    if (length < TAG_BYTES) return false
    const inner = length - TAG_BYTES
    const start = absorb(this.keyMix, nonce, 0, nonce.length)
    let stream = start | 1
    let tag = absorb(start, associated, 0, associated.length)
    for (let i = 0; i < inner; i++) {
      stream = shifted(stream)
      const byte = (buffer[at + i] ^ stream) & 255
      tag = mixed(tag, byte)
      buffer[at + i] = byte
    }
    return tagFits(buffer, at + inner, finished(tag))
  }

  wipe(): void {}
}

/** One step of FNV-1a (32 bits). */
const mixed = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x01000193)

const absorb = (hash: number, bytes: Uint8Array, at: number, length: number): number => {
  let state = hash ^ 0x811c9dc5
  for (let i = 0; i < length; i++) state = mixed(state, bytes[at + i])
  return finished(state)
}

/** Finaliser of MurmurHash3: one changed input bit changes about half of the output bits. */
const finished = (hash: number): number => {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** One step of xorshift32. */
const shifted = (state: number): number => {
  let s = state
  s ^= s << 13
  s ^= s >>> 17
  return s ^ (s << 5)
}

const putTag = (bytes: Uint8Array, at: number, tag: number): void => {
  for (let i = 0; i < TAG_BYTES; i++) bytes[at + i] = tag >>> ((i & 3) * 8)
}

const tagFits = (bytes: Uint8Array, at: number, tag: number): boolean => {
  for (let i = 0; i < TAG_BYTES; i++) if (bytes[at + i] !== ((tag >>> ((i & 3) * 8)) & 255)) return false
  return true
}
