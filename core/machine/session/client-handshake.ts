/** The client's half of the handshake, as functions on whole datagrams. */

import type { Crypto, Identity } from "../../crypto/crypto.ts"
import {
  ACCEPT,
  ACCEPT_CLEAR_BYTES,
  CONFIRM_CLEAR_BYTES,
  CONFIRM_PROOF_BYTES,
  HELLO,
  HELLO_BYTES,
  KEY_BYTES,
  PROTOCOL_VERSION,
  putConfirmClear,
  putHello,
  RANDOM_BYTES,
  REFUSE,
  SIGNATURE_BYTES,
  SUITE
} from "../../wire/handshake.ts"
import { readU32 } from "../../wire/header.ts"
import {
  deriveKey,
  deviceProofMessage,
  keySource,
  openHandshake,
  refusalMessage,
  type SessionKeys,
  sealHandshake,
  serverProofMessage,
  sessionKeys,
  transcriptHash,
  wipeKeySource
} from "./key-schedule.ts"

/** What this version speaks, best first. */
export const VERSIONS: ReadonlyArray<number> = [PROTOCOL_VERSION]
export const SUITES: ReadonlyArray<number> = [SUITE.x25519ChaCha20Poly1305]

/** One attempt to connect: the HELLO, into which a cookie may be put, and the secret behind it. */
export interface Attempt {
  readonly hello: Uint8Array
  readonly secret: Uint8Array
}

export const beginAttempt = (crypto: Crypto, fill: (bytes: Uint8Array) => void): Attempt => {
  const secret = new Uint8Array(KEY_BYTES)
  const random = new Uint8Array(RANDOM_BYTES)
  fill(secret)
  fill(random)
  const hello = new Uint8Array(HELLO_BYTES)
  putHello(hello, VERSIONS, SUITES, random, crypto.x25519Public(secret))
  return { hello, secret }
}

/** Whether a RETRY, ACCEPT or REFUSE whose client random lies at `at` answers this attempt. */
export const answers = (attempt: Attempt, slab: Uint8Array, at: number): boolean => {
  for (let i = 0; i < RANDOM_BYTES; i++) if (slab[at + i] !== attempt.hello[HELLO.random + i]) return false
  return true
}

/** What an ACCEPT came to. */
export type Acceptance =
  /** Not made for this HELLO, damaged, or by someone who does not have the secret. */
  | { readonly kind: "forged" }
  /** Made for this HELLO by someone who is not the expected server. */
  | { readonly kind: "identity" }
  | {
      readonly kind: "accepted"
      readonly connectionId: number
      readonly confirm: Uint8Array
      readonly keys: SessionKeys
    }

/** Reads an ACCEPT (its own copy, layout checked) and answers it with a CONFIRM. */
export const readAccept = (
  crypto: Crypto,
  attempt: Attempt,
  accept: Uint8Array,
  serverKey: Uint8Array,
  device: Identity,
  ticket: Uint8Array
): Acceptance => {
  const { hello } = attempt
  const offered = VERSIONS.includes(accept[ACCEPT.version]) && SUITES.includes(accept[ACCEPT.suite])
  const ephemeral = accept.subarray(ACCEPT.ephemeral, ACCEPT.ephemeral + KEY_BYTES)
  const shared = offered ? crypto.x25519Shared(attempt.secret, ephemeral) : undefined
  if (shared === undefined) return { kind: "forged" }
  const serverRandom = accept.subarray(ACCEPT.serverRandom, ACCEPT.serverRandom + RANDOM_BYTES)
  const source = keySource(shared, hello.subarray(HELLO.random, HELLO.random + RANDOM_BYTES), serverRandom)

  const hash1 = transcriptHash(crypto, [hello, accept.subarray(0, ACCEPT_CLEAR_BYTES)])
  const body = openHandshake(crypto, deriveKey(crypto, source, "server handshake", hash1), 0, accept, ACCEPT.sealed)
  if (body === undefined) return { kind: "forged" }
  const key = body.subarray(0, KEY_BYTES)
  const expected = key.every((byte, i) => byte === serverKey[i])
  if (!expected || !crypto.ed25519Verify(key, serverProofMessage(hash1, key), body.subarray(KEY_BYTES))) {
    return { kind: "identity" }
  }

  const connectionId = readU32(accept, ACCEPT.connectionId)
  const hash2 = transcriptHash(crypto, [hello, accept])
  const confirm = new Uint8Array(CONFIRM_CLEAR_BYTES + CONFIRM_PROOF_BYTES + ticket.length + 16)
  putConfirmClear(confirm, connectionId)
  confirm.set(device.publicKey, CONFIRM_CLEAR_BYTES)
  const proof = deviceProofMessage(crypto, hash2, device.publicKey, ticket)
  confirm.set(crypto.ed25519Sign(device.seed, proof), CONFIRM_CLEAR_BYTES + KEY_BYTES)
  confirm.set(ticket, CONFIRM_CLEAR_BYTES + CONFIRM_PROOF_BYTES)
  const confirmKey = deriveKey(crypto, source, "client handshake", hash2)
  sealHandshake(crypto, confirmKey, connectionId, confirm, CONFIRM_CLEAR_BYTES)
  const keys = sessionKeys(crypto, source, hello, accept, confirm)
  wipeKeySource(source)
  return { kind: "accepted", connectionId, confirm, keys }
}

/** Whether a REFUSE (its own copy, layout checked) is the expected server's word on this very HELLO. */
export const verifyRefuse = (crypto: Crypto, attempt: Attempt, refuse: Uint8Array, serverKey: Uint8Array): boolean => {
  const message = refusalMessage(crypto, attempt.hello, refuse[REFUSE.reason])
  const signature = refuse.subarray(REFUSE.signature, REFUSE.signature + SIGNATURE_BYTES)
  return crypto.ed25519Verify(serverKey, message, signature)
}
