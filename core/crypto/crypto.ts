/**
 * The cryptography that Horizon uses, as synchronous functions behind one interface.
 *
 * Two implementations give the same bytes: `noble.ts` (pure TypeScript, for the simulated world) and
 * `nodes/real/crypto.ts` (OpenSSL through `node:crypto`). `crypto.contract.ts` holds both to the RFC vectors.
 */

import type { AeadBatches } from "./batch.ts"

/** AEAD of a cipher suite: 1 and 3 use ChaCha20-Poly1305 (RFC 8439), 2 uses AES-256-GCM (SP 800-38D). */
export type AeadName = "chacha20-poly1305" | "aes-256-gcm"

/** Bytes that an AEAD tag adds. */
export const TAG_BYTES = 16
/** Bytes of an AEAD nonce. */
export const NONCE_BYTES = 12

/** One AEAD key, ready for use. */
export interface Aead {
  /** The key's number for the sealers and openers of `Crypto.batches`; `undefined` if there are none. */
  readonly batchKey?: number
  /**
   * Encrypts `length` bytes of `source` at `from` into `target` at `to`, and writes the 16-byte tag behind them.
   * Source and target may be the same bytes (same array, `from === to`); any other overlap is a bug.
   */
  seal(
    nonce: Uint8Array,
    associated: Uint8Array,
    source: Uint8Array,
    from: number,
    length: number,
    target: Uint8Array,
    to: number
  ): void
  /**
   * Checks and decrypts, in place, `length` bytes (ciphertext and tag) of `buffer` at `at`; the plaintext is
   * `length - 16` bytes there. Returns false, with the bytes unspecified, if the tag does not fit.
   */
  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean
  /** Overwrites the key. The object must not be used afterwards. */
  wipe(): void
}

/** Everything a machine may ask of cryptography. All functions are pure; none throws on any input of the right length. */
export interface Crypto {
  /** For reports: `noble`, `openssl`, … */
  readonly name: string
  /** SHA-256 (FIPS 180-4), 32 bytes. */
  sha256(data: Uint8Array): Uint8Array
  /** HMAC-SHA-256 (RFC 2104), 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
  /** HKDF-SHA-256 (RFC 5869), extract and expand, `length` bytes. */
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array
  /** X25519 public key (RFC 7748) of a 32-byte secret. */
  x25519Public(secret: Uint8Array): Uint8Array
  /** X25519 shared secret; `undefined` if it is all zero (RFC 7748 §6.1), which must be refused. */
  x25519Shared(secret: Uint8Array, peerPublic: Uint8Array): Uint8Array | undefined
  /** Ed25519 public key (RFC 8032) of a 32-byte seed. */
  ed25519Public(seed: Uint8Array): Uint8Array
  /** Ed25519 signature, 64 bytes. */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array
  /** Whether `signature` is `publicKey`'s over `message`; false for malformed keys and signatures too. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** An AEAD for a 32-byte key. */
  aead(name: AeadName, key: Uint8Array): Aead
  /** Work on many datagrams in one call, where that is worth it. */
  readonly batches?: AeadBatches
}

/** A long-lived Ed25519 key pair: a server's or a device's identity. */
export interface Identity {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 32 bytes, secret. */
  readonly seed: Uint8Array
}

/** Compares two byte strings in time that depends on their lengths only. */
export const equalConstantTime = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i]
  return difference === 0
}
