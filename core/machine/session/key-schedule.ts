/**
 * What the handshake derives and what it signs.
 *
 *     transcript 1 = HELLO, clear part of ACCEPT      transcript 2 = HELLO, ACCEPT      transcript 3 = HELLO, ACCEPT, CONFIRM
 *     hash n       = SHA-256 over transcript n, each datagram (header included) behind its length as u32
 *     key(label,n) = HKDF-SHA-256(secret: X25519 shared secret, salt: client random ‖ server random,
 *                                 info: "horizon/1 " ‖ label ‖ hash n), 32 bytes
 *
 *     "server handshake", 1   seals the ACCEPT body                "client write", 3   seals all that the client sends afterwards
 *     "client handshake", 2   seals the CONFIRM body               "server write", 3   seals all that the server sends afterwards
 *
 * ("epoch secret" and "exporter" with transcript 3 are reserved for rekeying and for applications.) Nonce and associated data are always
 * those of the datagram's own header; a handshake key seals one datagram only, and a repeated one is sent as the same bytes.
 *
 *     the server's identity signs  "horizon/1 server proof" ‖ hash 1 ‖ its public key
 *     the device's identity signs  "horizon/1 device proof" ‖ hash 2 ‖ its public key ‖ SHA-256(ticket)
 *     a refusal is signed over     "horizon/1 refusal"      ‖ SHA-256(HELLO) ‖ reason u8
 *
 * Every byte of the HELLO, its versions and suites too, is in every hash: whoever changes an offer on the way changes all keys, and
 * the handshake does not complete.
 */

import { utf8ToBytes } from "@noble/hashes/utils.js"
import type { Crypto } from "../../crypto/crypto.ts"
import { KEY_BYTES, RANDOM_BYTES } from "../../wire/handshake.ts"
import { HEADER_BYTES, putNonce, putU32 } from "../../wire/header.ts"

export type KeyLabel = "server handshake" | "client handshake" | "client write" | "server write"

/** Hash of the datagrams of a handshake so far. */
export const transcriptHash = (crypto: Crypto, datagrams: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(datagrams.reduce((sum, datagram) => sum + 4 + datagram.length, 0))
  let at = 0
  for (const datagram of datagrams) {
    putU32(bytes, at, datagram.length)
    bytes.set(datagram, at + 4)
    at += 4 + datagram.length
  }
  return crypto.sha256(bytes)
}

/** The agreed secret with its salt: what all keys of a session come from. */
export interface KeySource {
  readonly shared: Uint8Array
  /** Client random ‖ server random. */
  readonly salt: Uint8Array
}

export const keySource = (shared: Uint8Array, clientRandom: Uint8Array, serverRandom: Uint8Array): KeySource => {
  const salt = new Uint8Array(2 * RANDOM_BYTES)
  salt.set(clientRandom)
  salt.set(serverRandom, RANDOM_BYTES)
  return { shared, salt }
}

export const deriveKey = (crypto: Crypto, source: KeySource, label: KeyLabel, hash: Uint8Array): Uint8Array =>
  crypto.hkdfSha256(source.shared, source.salt, concat(utf8ToBytes(`horizon/1 ${label}`), hash), KEY_BYTES)

/** Overwrites the secret. */
export const wipeKeySource = (source: KeySource): void => {
  source.shared.fill(0)
}

/** Both keys of an established session. */
export interface SessionKeys {
  readonly clientWrite: Uint8Array
  readonly serverWrite: Uint8Array
}

export const sessionKeys = (
  crypto: Crypto,
  source: KeySource,
  hello: Uint8Array,
  accept: Uint8Array,
  confirm: Uint8Array
): SessionKeys => {
  const hash = transcriptHash(crypto, [hello, accept, confirm])
  return {
    clientWrite: deriveKey(crypto, source, "client write", hash),
    serverWrite: deriveKey(crypto, source, "server write", hash)
  }
}

export const serverProofMessage = (hash1: Uint8Array, serverKey: Uint8Array): Uint8Array =>
  concat(utf8ToBytes("horizon/1 server proof"), hash1, serverKey)

export const deviceProofMessage = (
  crypto: Crypto,
  hash2: Uint8Array,
  deviceKey: Uint8Array,
  ticket: Uint8Array
): Uint8Array => concat(utf8ToBytes("horizon/1 device proof"), hash2, deviceKey, crypto.sha256(ticket))

export const refusalMessage = (crypto: Crypto, hello: Uint8Array, reason: number): Uint8Array =>
  concat(utf8ToBytes("horizon/1 refusal"), crypto.sha256(hello), Uint8Array.of(reason))

/** Seals the body of a handshake datagram, whose header is complete, from `at` to its end (the tag's room included). */
export const sealHandshake = (
  crypto: Crypto,
  key: Uint8Array,
  connectionId: number,
  datagram: Uint8Array,
  at: number
): void => {
  const aead = crypto.aead("chacha20-poly1305", key)
  const length = datagram.length - at - 16
  aead.seal(handshakeNonce(connectionId), datagram.subarray(0, HEADER_BYTES), datagram, at, length, datagram, at)
  aead.wipe()
}

/** Opens the body of a handshake datagram in a copy; `undefined` if the tag does not fit. */
export const openHandshake = (
  crypto: Crypto,
  key: Uint8Array,
  connectionId: number,
  datagram: Uint8Array,
  at: number
): Uint8Array | undefined => {
  const aead = crypto.aead("chacha20-poly1305", key)
  const body = datagram.slice(at)
  const opened = aead.open(handshakeNonce(connectionId), datagram.subarray(0, HEADER_BYTES), body, 0, body.length)
  aead.wipe()
  return opened ? body.subarray(0, body.length - 16) : undefined
}

const handshakeNonce = (connectionId: number): Uint8Array => {
  const nonce = new Uint8Array(12)
  putNonce(nonce, connectionId, 0, 0)
  return nonce
}

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
