/**
 * Ticket: the broker's word that a device may use a server, checked offline by the server. Binary, at most 295 bytes, so that
 * it fits the one CONFIRM datagram. All integers are little-endian.
 *
 *     offset  size  field
 *          0     1  version, 1
 *          1    16  ticketId, unpredictable
 *         17     8  issuedMs u64, Unix milliseconds, below 2^53
 *         25     8  expiresMs u64, below 2^53; the ticket is dead from this instant on
 *         33    32  devicePublicKey, Ed25519
 *         65    32  serverPublicKey, Ed25519
 *         97     4  rights u32, bits of RIGHT; unknown bits are kept, so that a newer broker can grant more
 *        101     1  bytes in user, 0 to 64
 *        102     u  user, UTF-8
 *      102+u     1  bytes in tenant, 0 to 64
 *      103+u     t  tenant, UTF-8
 *    103+u+t    64  Ed25519 signature of the broker over "horizon/1 ticket" ‖ all bytes before it
 *
 * The prefix under the signature keeps a ticket from being mistaken for anything else that the broker's key signs. There is one
 * encoding of each ticket: trailing bytes, malformed UTF-8 and other versions are refused.
 */

import { bytesToUtf8 } from "@noble/ciphers/utils.js"
import { utf8ToBytes } from "@noble/hashes/utils.js"
import { assert } from "../assert.ts"
import type { Crypto } from "../crypto/crypto.ts"

/** What a ticket can allow; bits of `rights`. */
export const RIGHT = {
  /** Send and receive packets through a gateway. */
  tunnel: 1,
  /** Play on a game server. */
  game: 2
} as const

export const TICKET_VERSION = 1
export const TICKET_ID_BYTES = 16
/** Longest user or tenant, in bytes of UTF-8. */
export const TICKET_NAME_BYTES_MAX = 64
/** Longest ticket. */
export const TICKET_BYTES_MAX = 295
/** How far in the future a ticket may have been issued: clocks of broker and server differ. There is none on the expiry. */
export const TICKET_CLOCK_LEEWAY_MS = 5_000

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const FIXED_BYTES = 101
const TICKET_BYTES_MIN = FIXED_BYTES + 2 + SIGNATURE_BYTES
const CONTEXT = utf8ToBytes("horizon/1 ticket")

/** What the broker states. */
export interface TicketFields {
  /** 16 bytes. */
  readonly ticketId: Uint8Array
  readonly issuedMs: number
  readonly expiresMs: number
  /** 32 bytes, Ed25519: the device that may connect. */
  readonly devicePublicKey: Uint8Array
  /** 32 bytes, Ed25519: the one server it may connect to. */
  readonly serverPublicKey: Uint8Array
  readonly user: string
  readonly tenant: string
  readonly rights: number
}

/** A decoded ticket; decoding alone says nothing about its signature. */
export interface Ticket extends TicketFields {
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** Why a ticket is refused: the numbers of CLOSE in core/machine/session, which go over the wire in BYE. */
export const TICKET_REFUSAL = {
  /** Malformed, or not signed by the broker. */
  invalid: 2,
  expired: 3,
  /** Names another server. */
  wrongServer: 4,
  /** Issued later than the clock leeway allows. */
  notYetValid: 14
} as const
export type TicketRefusal = (typeof TICKET_REFUSAL)[keyof typeof TICKET_REFUSAL]

export type TicketVerdict =
  | { readonly ok: true; readonly ticket: Ticket }
  | { readonly ok: false; readonly reason: TicketRefusal }

/** Bytes of the ticket, signed with the 32-byte seed of the broker's key. Fields outside their limits are a caller's bug. */
export const encodeTicket = (crypto: Crypto, brokerSeed: Uint8Array, fields: TicketFields): Uint8Array => {
  const user = utf8ToBytes(fields.user)
  const tenant = utf8ToBytes(fields.tenant)
  assert(fields.ticketId.length === TICKET_ID_BYTES, "A ticket id has 16 bytes.")
  assert(fields.devicePublicKey.length === KEY_BYTES, "A device key has 32 bytes.")
  assert(fields.serverPublicKey.length === KEY_BYTES, "A server key has 32 bytes.")
  assert(user.length <= TICKET_NAME_BYTES_MAX, "A user name in a ticket has at most 64 bytes of UTF-8.")
  assert(tenant.length <= TICKET_NAME_BYTES_MAX, "A tenant name in a ticket has at most 64 bytes of UTF-8.")
  assert(isTime(fields.issuedMs) && isTime(fields.expiresMs), "Ticket times are whole milliseconds from 0 to 2^53-1.")
  assert(fields.rights === fields.rights >>> 0, "Ticket rights are an unsigned 32-bit integer.")

  const signedBytes = FIXED_BYTES + 2 + user.length + tenant.length
  const bytes = new Uint8Array(signedBytes + SIGNATURE_BYTES)
  const view = new DataView(bytes.buffer)
  bytes[0] = TICKET_VERSION
  bytes.set(fields.ticketId, 1)
  putTime(view, 17, fields.issuedMs)
  putTime(view, 25, fields.expiresMs)
  bytes.set(fields.devicePublicKey, 33)
  bytes.set(fields.serverPublicKey, 65)
  view.setUint32(97, fields.rights, true)
  bytes[FIXED_BYTES] = user.length
  bytes.set(user, FIXED_BYTES + 1)
  bytes[FIXED_BYTES + 1 + user.length] = tenant.length
  bytes.set(tenant, FIXED_BYTES + 2 + user.length)
  bytes.set(crypto.ed25519Sign(brokerSeed, signedMessage(bytes, signedBytes)), signedBytes)
  return bytes
}

/** Fields of a well-formed ticket (copied out of `bytes`), `undefined` for anything else. Checks no signature and no time. */
export const decodeTicket = (bytes: Uint8Array): Ticket | undefined => {
  if (bytes.length < TICKET_BYTES_MIN || bytes.length > TICKET_BYTES_MAX || bytes[0] !== TICKET_VERSION)
    return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const issuedMs = getTime(view, 17)
  const expiresMs = getTime(view, 25)
  const userBytes = bytes[FIXED_BYTES]
  const tenantAt = FIXED_BYTES + 1 + userBytes
  if (userBytes > TICKET_NAME_BYTES_MAX || tenantAt >= bytes.length) return undefined
  const tenantBytes = bytes[tenantAt]
  const signatureAt = tenantAt + 1 + tenantBytes
  if (tenantBytes > TICKET_NAME_BYTES_MAX || signatureAt + SIGNATURE_BYTES !== bytes.length) return undefined
  const user = strictUtf8(bytes.subarray(FIXED_BYTES + 1, tenantAt))
  const tenant = strictUtf8(bytes.subarray(tenantAt + 1, signatureAt))
  if (issuedMs === undefined || expiresMs === undefined || user === undefined || tenant === undefined) return undefined
  return {
    ticketId: bytes.slice(1, 17),
    issuedMs,
    expiresMs,
    devicePublicKey: bytes.slice(33, 65),
    serverPublicKey: bytes.slice(65, 97),
    user,
    tenant,
    rights: view.getUint32(97, true),
    signature: bytes.slice(signatureAt)
  }
}

/**
 * Whether `bytes` is a ticket that `brokerKey` signed for the server `serverKey` and that holds at `nowMs` (wall clock, Unix
 * milliseconds). The signature comes first, so an outsider learns nothing about the other checks.
 */
export const verifyTicket = (
  crypto: Crypto,
  brokerKey: Uint8Array,
  bytes: Uint8Array,
  nowMs: number,
  serverKey: Uint8Array
): TicketVerdict => {
  const ticket = decodeTicket(bytes)
  if (ticket === undefined) return { ok: false, reason: TICKET_REFUSAL.invalid }
  const message = signedMessage(bytes, bytes.length - SIGNATURE_BYTES)
  if (!crypto.ed25519Verify(brokerKey, message, ticket.signature)) return { ok: false, reason: TICKET_REFUSAL.invalid }
  if (!sameBytes(ticket.serverPublicKey, serverKey)) return { ok: false, reason: TICKET_REFUSAL.wrongServer }
  if (nowMs >= ticket.expiresMs) return { ok: false, reason: TICKET_REFUSAL.expired }
  if (ticket.issuedMs > nowMs + TICKET_CLOCK_LEEWAY_MS) return { ok: false, reason: TICKET_REFUSAL.notYetValid }
  return { ok: true, ticket }
}

const signedMessage = (bytes: Uint8Array, signedBytes: number): Uint8Array => {
  const message = new Uint8Array(CONTEXT.length + signedBytes)
  message.set(CONTEXT)
  message.set(bytes.subarray(0, signedBytes), CONTEXT.length)
  return message
}

const isTime = (ms: number): boolean => Number.isSafeInteger(ms) && ms >= 0

const putTime = (view: DataView, at: number, ms: number): void => {
  view.setUint32(at, ms >>> 0, true)
  view.setUint32(at + 4, Math.floor(ms / 0x1_0000_0000), true)
}

const getTime = (view: DataView, at: number): number | undefined => {
  const high = view.getUint32(at + 4, true)
  return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at, true) : undefined
}

/** Text of well-formed UTF-8 only: a lenient decoder would give two tickets the same names. */
const strictUtf8 = (bytes: Uint8Array): string | undefined => {
  const text = bytesToUtf8(bytes)
  return sameBytes(utf8ToBytes(text), bytes) ? text : undefined
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
