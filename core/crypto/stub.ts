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
  /** Mix of the plaintext that `cross` has seen. */
  private tag = 0

  constructor(name: AeadName, key: Uint8Array) {
    this.keyMix = absorb(name === "aes-256-gcm" ? 2 : 1, key)
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
    this.cross(nonce, associated, source, from, length, target, to, false)
    putTag(target, to + length, finished(this.tag))
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    if (length < TAG_BYTES) return false
    const inner = length - TAG_BYTES
    this.cross(nonce, associated, buffer, at, inner, buffer, at, true)
    return tagFits(buffer, at + inner, finished(this.tag))
  }

  /** Encrypts or decrypts, word by word because this is all about speed, and mixes the plaintext into `tag`. */
  private cross(
    nonce: Uint8Array,
    associated: Uint8Array,
    source: Uint8Array,
    from: number,
    length: number,
    target: Uint8Array,
    to: number,
    opening: boolean
  ): void {
    const start = absorb(this.keyMix, nonce)
    let stream = start | 1
    let tag = absorb(start, associated)
    let i = 0
    for (; i + 4 <= length; i += 4) {
      const at = from + i
      const word = source[at] | (source[at + 1] << 8) | (source[at + 2] << 16) | (source[at + 3] << 24)
      stream = shifted(stream)
      const crossed = word ^ stream
      tag = mixed(tag, opening ? crossed : word)
      const out = to + i
      target[out] = crossed
      target[out + 1] = crossed >>> 8
      target[out + 2] = crossed >>> 16
      target[out + 3] = crossed >>> 24
    }
    for (; i < length; i++) {
      const byte = source[from + i]
      stream = shifted(stream)
      const crossed = (byte ^ stream) & 255
      tag = mixed(tag, opening ? crossed : byte)
      target[to + i] = crossed
    }
    this.tag = tag
  }

  wipe(): void {}
}

/** Takes one word in. One-to-one in both arguments, so a change of one word is never missed. */
const mixed = (hash: number, word: number): number => {
  const product = Math.imul(hash ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

const absorb = (hash: number, bytes: Uint8Array): number => {
  let state = hash ^ 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) state = mixed(state, bytes[i])
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
