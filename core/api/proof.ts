/**
 * The bytes that are signed with Ed25519 so that somebody is believed: by a server that registers, by a server with each of its
 * requests, and by a device that wants a ticket.
 *
 * Each begins with its own words, so a signature made for one purpose is worthless for another. The text forms are JSON lists:
 * no two lists have the same text.
 */

import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import { toBase64Url } from "./base64url.ts"
import { type Fingerprint, formatFingerprint } from "./fingerprint.ts"

/** How far the time in a signature may be from the broker's wall clock, either way. */
export const SIGNATURE_WINDOW_MS = 60_000

/**
 * A server proves that it has the key under which it registers, to the broker that asked, and vouches for its fingerprint, so that
 * nobody on the way can change it or leave it out. All before it has a fixed length; without one the bytes are those of servers
 * that know none.
 */
export const registrationProof = (
  challenge: Uint8Array,
  publicKey: Uint8Array,
  brokerKey: Uint8Array,
  fingerprint?: Fingerprint
): Uint8Array =>
  concatBytes(
    utf8ToBytes("horizon/1 register"),
    challenge,
    publicKey,
    brokerKey,
    utf8ToBytes(fingerprint === undefined ? "" : formatFingerprint(fingerprint))
  )

/** What a server signs with each request. */
export interface SignedRequest {
  readonly serverId: string
  /** 16 bytes from `ProveAnswer`. */
  readonly session: Uint8Array
  /** Strictly growing within the session. */
  readonly counter: number
  /** The broker's wall clock, as the server estimates it. */
  readonly timeMs: number
  /** Upper case. */
  readonly method: string
  /** Path and query as the endpoint has them, beginning with `/api/v1/`. */
  readonly path: string
  /** SHA-256 of the body's bytes. */
  readonly bodySha256: Uint8Array
}

export const requestProof = (request: SignedRequest): Uint8Array =>
  utf8ToBytes(
    JSON.stringify([
      "horizon/1 request",
      request.serverId,
      toBase64Url(request.session),
      request.counter,
      request.timeMs,
      request.method,
      request.path,
      bytesToHex(request.bodySha256)
    ])
  )

/** A device proves that it has its key and that it wants this ticket, under this personal key, now. */
export const possessionProof = (request: {
  readonly serverId: string
  readonly deviceKey: Uint8Array
  readonly signedMs: number
  /** SHA-256 of the personal key's text. */
  readonly personalKeySha256: Uint8Array
}): Uint8Array =>
  utf8ToBytes(
    JSON.stringify([
      "horizon/1 ticket-request",
      request.serverId,
      toBase64Url(request.deviceKey),
      request.signedMs,
      bytesToHex(request.personalKeySha256)
    ])
  )

/** The part of a URL that is signed: from the first `/api/v1/` on, so that a proxy may put a prefix before it. */
export const signedPath = (url: string): string => {
  const at = url.indexOf("/api/v1/")
  return at < 0 ? url : url.slice(at)
}

/** The credential of a signed request, as it stands in `Authorization: Horizon-Server …`. */
export interface ServerCredential {
  readonly serverId: string
  readonly counter: number
  readonly timeMs: number
  /** 64 bytes, base64url. */
  readonly signature: string
}

export const formatCredential = (credential: ServerCredential): string =>
  `${credential.serverId}.${credential.counter}.${credential.timeMs}.${credential.signature}`

/** Parses what `formatCredential` writes; `undefined` for anything else. */
export const parseCredential = (text: string): ServerCredential | undefined => {
  const match = /^([0-9a-f]{32})\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})\.([A-Za-z0-9_-]{86})$/.exec(text)
  if (match === null) return undefined
  const counter = Number(match[2])
  const timeMs = Number(match[3])
  if (!Number.isSafeInteger(counter) || !Number.isSafeInteger(timeMs)) return undefined
  return { serverId: match[1], counter, timeMs, signature: match[4] }
}
