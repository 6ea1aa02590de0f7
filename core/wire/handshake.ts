/**
 * Handshake datagrams. Each starts with the 14-byte header (channel 3, flags and sequence 0; connectionId 0 but in CONFIRM), then a kind
 * byte. Offsets count from the start of the datagram; integers are little-endian.
 *
 * HELLO, client to server, 256 to 1,200 bytes (a client of this version sends 256). No answer to it is longer than it is.
 *
 *      14   1  kind 1
 *      15   1  number of versions, 1 to 4
 *      16   4  versions, best first; unused bytes 0
 *      20   1  number of suites, 1 to 8
 *      21   8  suites, best first; unused bytes 0
 *      29   1  bytes of cookie: 0 or 48
 *      30  16  client random
 *      46  32  client ephemeral, X25519
 *      78  48  cookie, zero if there is none
 *     126   …  padding: sent as 0, not looked at, but part of the transcript
 *
 * RETRY, server to client, 79 bytes; the same in all versions. The client says its HELLO again with the cookie in it.
 *
 *      14   1  kind 2
 *      15  16  client random, so that only who saw the HELLO can make the client do anything
 *      31  48  cookie
 *
 * ACCEPT, server to client, 198 bytes.
 *
 *      14   1  kind 3
 *      15   1  version
 *      16   1  suite
 *      17   1  0
 *      18   4  connectionId, never 0
 *      22  16  client random
 *      38  16  server random
 *      54  32  server ephemeral, X25519
 *      86  96  sealed: server's Ed25519 key 32, signature 64
 *     182  16  tag
 *
 * CONFIRM, client to server, at most 422 bytes, connectionId of ACCEPT in the header.
 *
 *      14   1  kind 4
 *      15   …  sealed: device's Ed25519 key 32, signature 64, ticket (all the rest)
 *       …  16  tag
 *
 * REFUSE, server to client, 96 bytes; the same in all versions. Says why there will be no ACCEPT; signed, so that nobody else can say it.
 *
 *      14   1  kind 5
 *      15   1  reason (CLOSE of core/machine/session)
 *      16  16  client random
 *      32  64  Ed25519 signature by the server's identity
 *
 * What is sealed with which key and what is signed is told in core/machine/session/key-schedule.ts. The rest of the handshake (READY, and
 * BYE with the reason of a refusal) are frames in sealed datagrams of the new session.
 */

import { DROP, type DropCode } from "./drop.ts"
import { connectionIdAt, HEADER_BYTES, putHeader, readU32 } from "./header.ts"
import { TICKET_BYTES_MAX } from "./ticket.ts"

export const KIND = { hello: 1, retry: 2, accept: 3, confirm: 4, refuse: 5 } as const
export const PROTOCOL_VERSION = 1
/** Cipher suites; this version implements the first. */
export const SUITE = { x25519ChaCha20Poly1305: 1, x25519Aes256Gcm: 2, hybridChaCha20Poly1305: 3 } as const

export const RANDOM_BYTES = 16
export const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
export const COOKIE_BYTES = 48

export const HELLO_BYTES = 256
export const HELLO_BYTES_MAX = 1200
const VERSIONS_MAX = 4
const SUITES_MAX = 8
export const RETRY_BYTES = 79
export const ACCEPT_BYTES = 198
/** The part of ACCEPT before the sealed one. */
export const ACCEPT_CLEAR_BYTES = 86
export const CONFIRM_CLEAR_BYTES = 15
/** Device key and signature, in front of the ticket. */
export const CONFIRM_PROOF_BYTES = KEY_BYTES + SIGNATURE_BYTES
export const CONFIRM_BYTES_MAX = CONFIRM_CLEAR_BYTES + CONFIRM_PROOF_BYTES + TICKET_BYTES_MAX + 16
export const REFUSE_BYTES = 96

const CHANNEL_CONTROL = 3
const TAG_BYTES = 16

/** Kind byte of a handshake datagram of `length` bytes; 0 if there is none. */
export const kindAt = (slab: Uint8Array, at: number, length: number): number =>
  length > HEADER_BYTES ? slab[at + HEADER_BYTES] : 0

/** Where the fields of HELLO lie, from the start of the datagram. */
export const HELLO = {
  versions: 16,
  suites: 21,
  cookieLength: 29,
  random: 30,
  ephemeral: 46,
  cookie: 78,
  padding: 126
} as const

/** Writes a HELLO without a cookie into `HELLO_BYTES` zeroed bytes. */
export const putHello = (
  hello: Uint8Array,
  versions: ReadonlyArray<number>,
  suites: ReadonlyArray<number>,
  random: Uint8Array,
  ephemeral: Uint8Array
): void => {
  putStart(hello, 0, 0, KIND.hello)
  hello[HELLO.versions - 1] = versions.length
  hello.set(versions, HELLO.versions)
  hello[HELLO.suites - 1] = suites.length
  hello.set(suites, HELLO.suites)
  hello.set(random, HELLO.random)
  hello.set(ephemeral, HELLO.ephemeral)
}

/** Puts the cookie that lies at `from` of `source` into a HELLO. */
export const putHelloCookie = (hello: Uint8Array, source: Uint8Array, from: number): void => {
  hello[HELLO.cookieLength] = COOKIE_BYTES
  for (let i = 0; i < COOKIE_BYTES; i++) hello[HELLO.cookie + i] = source[from + i]
}

/** Whether a HELLO keeps its layout. */
export const checkHello = (slab: Uint8Array, at: number, length: number): DropCode => {
  if (length < HELLO_BYTES) return DROP.short
  const versions = slab[at + HELLO.versions - 1]
  const suites = slab[at + HELLO.suites - 1]
  const cookie = slab[at + HELLO.cookieLength]
  const listsFit = versions >= 1 && versions <= VERSIONS_MAX && suites >= 1 && suites <= SUITES_MAX
  if (!listsFit || length > HELLO_BYTES_MAX || connectionIdAt(slab, at) !== 0) return DROP.malformed
  return cookie === 0 || cookie === COOKIE_BYTES ? DROP.none : DROP.malformed
}

/** The first of `own` that HELLO's list at `listAt` (HELLO.versions or HELLO.suites) offers; 0 if there is none. */
export const chosen = (slab: Uint8Array, at: number, listAt: number, own: ReadonlyArray<number>): number => {
  const count = slab[at + listAt - 1]
  for (const candidate of own) {
    for (let i = 0; i < count; i++) if (slab[at + listAt + i] === candidate) return candidate
  }
  return 0
}

export const RETRY = { random: 15, cookie: 31 } as const

/** Writes a RETRY for the HELLO at `helloAt`; the caller fills the cookie in. */
export const putRetry = (slab: Uint8Array, at: number, hello: Uint8Array, helloAt: number): void => {
  putStart(slab, at, 0, KIND.retry)
  copy(slab, at + RETRY.random, hello, helloAt + HELLO.random, RANDOM_BYTES)
}

/** Whether a RETRY or REFUSE keeps its layout. */
export const checkRetry = (slab: Uint8Array, at: number, length: number): DropCode =>
  checkFixed(slab, at, length, RETRY_BYTES)

export const ACCEPT = {
  version: 15,
  suite: 16,
  zero: 17,
  connectionId: 18,
  clientRandom: 22,
  serverRandom: 38,
  ephemeral: 54,
  sealed: 86
} as const

/** Writes the clear part of an ACCEPT. */
export const putAcceptClear = (
  accept: Uint8Array,
  version: number,
  suite: number,
  connectionId: number,
  clientRandom: Uint8Array,
  serverRandom: Uint8Array,
  ephemeral: Uint8Array
): void => {
  putStart(accept, 0, 0, KIND.accept)
  accept[ACCEPT.version] = version
  accept[ACCEPT.suite] = suite
  accept[ACCEPT.zero] = 0
  new DataView(accept.buffer, accept.byteOffset).setUint32(ACCEPT.connectionId, connectionId, true)
  accept.set(clientRandom, ACCEPT.clientRandom)
  accept.set(serverRandom, ACCEPT.serverRandom)
  accept.set(ephemeral, ACCEPT.ephemeral)
}

/** Whether an ACCEPT keeps its layout. */
export const checkAccept = (slab: Uint8Array, at: number, length: number): DropCode => {
  const fixed = checkFixed(slab, at, length, ACCEPT_BYTES)
  if (fixed !== DROP.none) return fixed
  return slab[at + ACCEPT.zero] === 0 && readU32(slab, at + ACCEPT.connectionId) !== 0 ? DROP.none : DROP.malformed
}

/** Writes the clear part of a CONFIRM. */
export const putConfirmClear = (confirm: Uint8Array, connectionId: number): void =>
  putStart(confirm, 0, connectionId, KIND.confirm)

/** Whether a CONFIRM keeps its layout. */
export const checkConfirm = (length: number): DropCode => {
  if (length < CONFIRM_CLEAR_BYTES + CONFIRM_PROOF_BYTES + TAG_BYTES) return DROP.short
  return length <= CONFIRM_BYTES_MAX ? DROP.none : DROP.malformed
}

export const REFUSE = { reason: 15, random: 16, signature: 32 } as const

/** Writes a REFUSE for the HELLO at `helloAt`. */
export const putRefuse = (
  slab: Uint8Array,
  at: number,
  reason: number,
  hello: Uint8Array,
  helloAt: number,
  signature: Uint8Array
): void => {
  putStart(slab, at, 0, KIND.refuse)
  slab[at + REFUSE.reason] = reason
  copy(slab, at + REFUSE.random, hello, helloAt + HELLO.random, RANDOM_BYTES)
  slab.set(signature, at + REFUSE.signature)
}

export const checkRefuse = (slab: Uint8Array, at: number, length: number): DropCode =>
  checkFixed(slab, at, length, REFUSE_BYTES)

const checkFixed = (slab: Uint8Array, at: number, length: number, bytes: number): DropCode => {
  if (length < bytes) return DROP.short
  return length === bytes && connectionIdAt(slab, at) === 0 ? DROP.none : DROP.malformed
}

const putStart = (slab: Uint8Array, at: number, connectionId: number, kind: number): void => {
  putHeader(slab, at, connectionId, CHANNEL_CONTROL, 0, 0, 0)
  slab[at + HEADER_BYTES] = kind
}

const copy = (target: Uint8Array, to: number, source: Uint8Array, from: number, bytes: number): void => {
  for (let i = 0; i < bytes; i++) target[to + i] = source[from + i]
}
