/**
 * Cryptography in pure TypeScript (@noble/ciphers, @noble/curves, @noble/hashes): the same bytes as OpenSSL on every machine, no
 * native code, so the simulated world runs on it.
 */

import { gcm } from "@noble/ciphers/aes.js"
import { chacha20poly1305 } from "@noble/ciphers/chacha.js"
import { ed25519, x25519 } from "@noble/curves/ed25519.js"
import { hkdf } from "@noble/hashes/hkdf.js"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { assert } from "../assert.ts"
import { type Aead, type AeadName, type Crypto, TAG_BYTES } from "./crypto.ts"

export const nobleCrypto: Crypto = {
  name: "noble",
  sha256: (data) => sha256(data),
  hmacSha256: (key, data) => hmac(sha256, key, data),
  hkdfSha256: (secret, salt, info, length) => hkdf(sha256, secret, salt, info, length),
  x25519Public: (secret) => x25519.getPublicKey(secret),
  x25519Shared(secret, peerPublic) {
    try {
      return x25519.getSharedSecret(secret, peerPublic)
    } catch {
      // The library throws for the all-zero result, which is the only way that 32-byte inputs can fail.
      return undefined
    }
  },
  ed25519Public: (seed) => ed25519.getPublicKey(seed),
  ed25519Sign: (seed, message) => ed25519.sign(message, seed),
  ed25519Verify(publicKey, message, signature) {
    if (publicKey.length !== 32 || signature.length !== 64) return false
    // RFC 8032 rules, as OpenSSL has them, instead of the library's laxer default (ZIP 215).
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  },
  aead: (name, key) => new NobleAead(name, key)
}

/** Longest ciphertext that goes through the aligned scratch area; for longer ones the library allocates. */
const SCRATCH_BYTES = 4096

/**
 * Packet bodies start 14 bytes into a slot, which is not a multiple of four, and the library works byte by byte on unaligned data. A
 * copy through an aligned area costs less than that. One area serves all keys: every call is done with it when it returns.
 */
const scratch = new Uint8Array(SCRATCH_BYTES)

const scratchOf = (bytes: number): Uint8Array =>
  bytes <= SCRATCH_BYTES ? scratch.subarray(0, bytes) : new Uint8Array(bytes)

class NobleAead implements Aead {
  private readonly name: AeadName
  private readonly key: Uint8Array
  private wiped = false

  constructor(name: AeadName, key: Uint8Array) {
    assert(key.length === 32, "An AEAD key has 32 bytes.")
    this.name = name
    this.key = key.slice()
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
    assert(!this.wiped, "A wiped key is not used.")
    const plain = source.subarray(from, from + length)
    target.set(
      this.name === "aes-256-gcm"
        ? gcm(this.key, nonce, associated).encrypt(plain)
        : chacha20poly1305(this.key, nonce, associated).encrypt(plain, scratchOf(length + TAG_BYTES)),
      to
    )
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    assert(!this.wiped, "A wiped key is not used.")
    if (length < TAG_BYTES) return false
    const sealed = buffer.subarray(at, at + length)
    try {
      buffer.set(
        this.name === "aes-256-gcm"
          ? gcm(this.key, nonce, associated).decrypt(sealed)
          : chacha20poly1305(this.key, nonce, associated).decrypt(sealed, scratchOf(length - TAG_BYTES)),
        at
      )
      return true
    } catch {
      // The library reports a wrong tag by throwing; nothing else can fail on inputs of the right length.
      return false
    }
  }

  wipe(): void {
    this.key.fill(0)
    this.wiped = true
  }
}
