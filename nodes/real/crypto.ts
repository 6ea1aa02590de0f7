/**
 * The cryptography of core/crypto on OpenSSL, through `node:crypto`, and with the native module for batches. `core/crypto/crypto.contract.ts`
 * and `batch.contract.ts` hold it to the same bytes as the pure TypeScript one.
 */

import * as openssl from "node:crypto"
import { assert } from "@horizon/core/assert.ts"
import { type Aead, type AeadName, type Crypto as CryptoFunctions, TAG_BYTES } from "@horizon/core/crypto/crypto.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { type Loaded, loadNative } from "@horizon/native/native.ts"
import { Layer } from "effect"
import { withNativeBatches } from "./crypto-native.ts"

export const nodeCrypto: CryptoFunctions = {
  name: "openssl",
  sha256: (data) => plain(openssl.hash("sha256", data, "buffer")),
  hmacSha256: (key, data) => plain(openssl.createHmac("sha256", key).update(data).digest()),
  hkdfSha256: (secret, salt, info, length) => new Uint8Array(openssl.hkdfSync("sha256", secret, salt, info, length)),
  x25519Public: (secret) => rawPublic(privateKey(X25519_PRIVATE, secret)),
  x25519Shared(secret, peerPublic) {
    try {
      return plain(
        openssl.diffieHellman({
          privateKey: privateKey(X25519_PRIVATE, secret),
          publicKey: publicKey(X25519_PUBLIC, peerPublic)
        })
      )
    } catch {
      // OpenSSL refuses the all-zero result, which is the only way that 32-byte inputs can fail.
      return undefined
    }
  },
  ed25519Public: (seed) => rawPublic(privateKey(ED25519_PRIVATE, seed)),
  ed25519Sign: (seed, message) => plain(openssl.sign(null, message, privateKey(ED25519_PRIVATE, seed))),
  ed25519Verify(key, message, signature) {
    if (key.length !== KEY_BYTES || signature.length !== 64) return false
    try {
      return openssl.verify(null, message, publicKey(ED25519_PUBLIC, key), signature)
    } catch {
      // A key that is not a point of the curve.
      return false
    }
  },
  aead: (name, key) => new OpensslAead(name, key)
}

/** The cryptography of real nodes: OpenSSL for single messages, the native module for batches where it is there. */
export const cryptoOn = (loaded: Loaded): CryptoFunctions =>
  "module" in loaded ? withNativeBatches(nodeCrypto, loaded.module) : nodeCrypto

/** The `Crypto` port of real nodes. Takes nothing but `cryptoOn`, so the simulator's stand-in cannot get here. */
export const layerCrypto: Layer.Layer<Crypto> = Layer.sync(Crypto, () => cryptoOn(loadNative()))

const KEY_BYTES = 32

/** DER of a key up to its 32 raw bytes (RFC 8410): PKCS #8 for private, SubjectPublicKeyInfo for public keys. */
const X25519_PRIVATE = Buffer.from("302e020100300506032b656e04220420", "hex")
const X25519_PUBLIC = Buffer.from("302a300506032b656e032100", "hex")
const ED25519_PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex")
const ED25519_PUBLIC = Buffer.from("302a300506032b6570032100", "hex")

const privateKey = (prefix: Buffer, raw: Uint8Array): openssl.KeyObject =>
  openssl.createPrivateKey({ key: Buffer.concat([prefix, raw]), format: "der", type: "pkcs8" })

const publicKey = (prefix: Buffer, raw: Uint8Array): openssl.KeyObject =>
  openssl.createPublicKey({ key: Buffer.concat([prefix, raw]), format: "der", type: "spki" })

const rawPublic = (key: openssl.KeyObject): Uint8Array =>
  plain(openssl.createPublicKey(key).export({ format: "der", type: "spki" })).slice(-KEY_BYTES)

/** The same bytes without the Buffer methods, so that the two implementations cannot be told apart by type. */
const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)

const OPTIONS = { authTagLength: TAG_BYTES } as const

/** Node's types know one family of ciphers for each name; both behave alike. */
type SealingCipher = openssl.CipherChaCha20Poly1305 | openssl.CipherGCM
type OpeningCipher = openssl.DecipherChaCha20Poly1305 | openssl.DecipherGCM

class OpensslAead implements Aead {
  private readonly name: AeadName
  /** A key object and not bytes: Node takes it four times as fast. */
  private key: openssl.KeyObject | undefined

  constructor(name: AeadName, key: Uint8Array) {
    assert(key.length === KEY_BYTES, "An AEAD key has 32 bytes.")
    this.name = name
    this.key = openssl.createSecretKey(key)
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
    const cipher = this.cipher(nonce)
    cipher.setAAD(associated, { plaintextLength: length })
    target.set(cipher.update(source.subarray(from, from + length)), to)
    cipher.final()
    target.set(cipher.getAuthTag(), to + length)
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    if (length < TAG_BYTES) return false
    const inner = length - TAG_BYTES
    const decipher = this.decipher(nonce)
    decipher.setAAD(associated, { plaintextLength: inner })
    decipher.setAuthTag(buffer.subarray(at + inner, at + length))
    const opened = decipher.update(buffer.subarray(at, at + inner))
    try {
      decipher.final()
    } catch {
      // OpenSSL reports a wrong tag by failing here.
      return false
    }
    buffer.set(opened, at)
    return true
  }

  /** Lets go of the key object; Node clears its memory when it frees it. */
  wipe(): void {
    this.key = undefined
  }

  private cipher(nonce: Uint8Array): SealingCipher {
    const { key } = this
    assert(key !== undefined, "A wiped key is not used.")
    return this.name === "aes-256-gcm"
      ? openssl.createCipheriv(this.name, key, nonce, OPTIONS)
      : openssl.createCipheriv(this.name, key, nonce, OPTIONS)
  }

  private decipher(nonce: Uint8Array): OpeningCipher {
    const { key } = this
    assert(key !== undefined, "A wiped key is not used.")
    return this.name === "aes-256-gcm"
      ? openssl.createDecipheriv(this.name, key, nonce, OPTIONS)
      : openssl.createDecipheriv(this.name, key, nonce, OPTIONS)
  }
}
