/** The server's half of the handshake, as functions on whole datagrams: no addresses, no time limits, no tables. */

import type { Crypto, Identity } from "../../crypto/crypto.ts"
import {
  ACCEPT,
  ACCEPT_BYTES,
  ACCEPT_CLEAR_BYTES,
  CONFIRM_CLEAR_BYTES,
  CONFIRM_PROOF_BYTES,
  HELLO,
  KEY_BYTES,
  putAcceptClear,
  RANDOM_BYTES
} from "../../wire/handshake.ts"
import { type Ticket, verifyTicket } from "../../wire/ticket.ts"
import {
  deriveKey,
  deviceProofMessage,
  type KeySource,
  keySource,
  openHandshake,
  type SessionKeys,
  sealHandshake,
  serverProofMessage,
  sessionKeys,
  transcriptHash,
  wipeKeySource
} from "./key-schedule.ts"
import { CLOSE, type CloseReason } from "./session.ts"

/** A handshake that was answered with ACCEPT and waits for CONFIRM. */
export interface Offer {
  readonly connectionId: number
  /** Own copies. */
  readonly hello: Uint8Array
  readonly accept: Uint8Array
  readonly source: KeySource
}

/**
 * Answers a HELLO (its own copy, layout and cookie checked); `undefined` if the client's ephemeral gives an all-zero secret. `fill`
 * gives unpredictable bytes.
 */
export const makeOffer = (
  crypto: Crypto,
  identity: Identity,
  fill: (bytes: Uint8Array) => void,
  hello: Uint8Array,
  version: number,
  suite: number,
  connectionId: number
): Offer | undefined => {
  const clientRandom = hello.subarray(HELLO.random, HELLO.random + RANDOM_BYTES)
  const secret = new Uint8Array(KEY_BYTES)
  const serverRandom = new Uint8Array(RANDOM_BYTES)
  fill(secret)
  fill(serverRandom)
  const shared = crypto.x25519Shared(secret, hello.subarray(HELLO.ephemeral, HELLO.ephemeral + KEY_BYTES))
  if (shared === undefined) return undefined
  const accept = new Uint8Array(ACCEPT_BYTES)
  putAcceptClear(accept, version, suite, connectionId, clientRandom, serverRandom, crypto.x25519Public(secret))
  secret.fill(0)

  const source = keySource(shared, clientRandom, serverRandom)
  const hash1 = transcriptHash(crypto, [hello, accept.subarray(0, ACCEPT_CLEAR_BYTES)])
  accept.set(identity.publicKey, ACCEPT.sealed)
  accept.set(
    crypto.ed25519Sign(identity.seed, serverProofMessage(hash1, identity.publicKey)),
    ACCEPT.sealed + KEY_BYTES
  )
  sealHandshake(crypto, deriveKey(crypto, source, "server handshake", hash1), 0, accept, ACCEPT.sealed)
  return { connectionId, hello, accept, source }
}

/** What a CONFIRM came to. `keys` exist as soon as it opened, so that even a refusal is sealed. */
export type Confirmation =
  | { readonly kind: "forged" }
  | { readonly kind: "refused"; readonly reason: CloseReason; readonly keys: SessionKeys }
  | { readonly kind: "accepted"; readonly ticket: Ticket; readonly keys: SessionKeys }

/** Reads a CONFIRM (its own copy, layout checked) for an offer. */
export const readConfirm = (
  crypto: Crypto,
  offer: Offer,
  confirm: Uint8Array,
  serverKey: Uint8Array,
  brokerKey: Uint8Array,
  nowMs: number
): Confirmation => {
  const hash2 = transcriptHash(crypto, [offer.hello, offer.accept])
  const key = deriveKey(crypto, offer.source, "client handshake", hash2)
  const body = openHandshake(crypto, key, offer.connectionId, confirm, CONFIRM_CLEAR_BYTES)
  if (body === undefined) return { kind: "forged" }
  const keys = sessionKeys(crypto, offer.source, offer.hello, offer.accept, confirm)

  const deviceKey = body.subarray(0, KEY_BYTES)
  const signature = body.subarray(KEY_BYTES, CONFIRM_PROOF_BYTES)
  const ticketBytes = body.subarray(CONFIRM_PROOF_BYTES)
  const verdict = verifyTicket(crypto, brokerKey, ticketBytes, nowMs, serverKey)
  if (!verdict.ok) return { kind: "refused", reason: verdict.reason, keys }
  const proof = deviceProofMessage(crypto, hash2, deviceKey, ticketBytes)
  const named = deviceKey.every((byte, i) => byte === verdict.ticket.devicePublicKey[i])
  if (!named || !crypto.ed25519Verify(deviceKey, proof, signature)) {
    return { kind: "refused", reason: CLOSE.deviceInvalid, keys }
  }
  return { kind: "accepted", ticket: verdict.ticket, keys }
}

/** Overwrites the secrets of an offer. */
export const wipeOffer = (offer: Offer): void => wipeKeySource(offer.source)
