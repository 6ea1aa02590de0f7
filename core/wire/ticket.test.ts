import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { nobleCrypto } from "../crypto/noble.ts"
import { stubCrypto } from "../crypto/stub.ts"
import { CLOSE } from "../machine/session/session.ts"
import {
  decodeTicket,
  encodeTicket,
  RIGHT,
  TICKET_BYTES_MAX,
  TICKET_CLOCK_LEEWAY_MS,
  TICKET_REFUSAL,
  type TicketFields,
  verifyTicket
} from "./ticket.ts"

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const BROKER_SEED = filled(32, 1)
const BROKER = nobleCrypto.ed25519Public(BROKER_SEED)
const FIELDS: TicketFields = {
  ticketId: filled(16, 2),
  issuedMs: 1_700_000_000_000,
  expiresMs: 1_700_000_060_000,
  devicePublicKey: filled(32, 3),
  serverPublicKey: filled(32, 4),
  user: "ada",
  tenant: "Büro 7",
  rights: RIGHT.tunnel | RIGHT.game
}
const NOW = FIELDS.issuedMs + 1000
const encode = (change: Partial<TicketFields> = {}): Uint8Array =>
  encodeTicket(nobleCrypto, BROKER_SEED, { ...FIELDS, ...change })
const verify = (bytes: Uint8Array, nowMs = NOW, brokerKey = BROKER) =>
  verifyTicket(nobleCrypto, brokerKey, bytes, nowMs, FIELDS.serverPublicKey)

describe("ticket", () => {
  it("gives back what the broker stated", () => {
    const decoded = decodeTicket(encode())
    expect(decoded).toMatchObject(FIELDS)
    expect(decoded?.signature.length).toBe(64)
    expect(verify(encode())).toMatchObject({ ok: true, ticket: FIELDS })
  })

  it("gives back any fields within their limits, in at most 295 bytes, one encoding each", () => {
    const name = fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => !text.startsWith("\ufeff"))
    const time = fc.maxSafeNat()
    const rights = fc.integer({ min: 0, max: 0xffffffff })
    fc.assert(
      fc.property(name, name, time, time, rights, (user, tenant, issuedMs, expiresMs, bits) => {
        fc.pre(new TextEncoder().encode(user).length <= 64 && new TextEncoder().encode(tenant).length <= 64)
        const fields = { ...FIELDS, user, tenant, issuedMs, expiresMs, rights: bits }
        const bytes = encodeTicket(stubCrypto, BROKER_SEED, fields)
        expect(bytes.length).toBeLessThanOrEqual(TICKET_BYTES_MAX)
        expect(decodeTicket(bytes)).toMatchObject(fields)
      })
    )
  })

  it("is 295 bytes at most, with both names at their longest", () => {
    const bytes = encode({ user: "u".repeat(64), tenant: "t".repeat(64) })
    expect(bytes.length).toBe(TICKET_BYTES_MAX)
    expect(verify(bytes).ok).toBe(true)
  })

  it("refuses to encode fields outside their limits, because that is the caller's bug", () => {
    for (const change of [
      { user: "u".repeat(65) },
      { tenant: "é".repeat(33) },
      { ticketId: filled(15, 0) },
      { devicePublicKey: filled(31, 0) },
      { serverPublicKey: filled(33, 0) },
      { issuedMs: -1 },
      { expiresMs: 1.5 },
      { rights: 2 ** 32 }
    ]) {
      expect(() => encode(change)).toThrow()
    }
  })

  it("is refused when any byte of it is changed, or when it is cut or extended", () => {
    const bytes = encode()
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice()
      changed[i] ^= 0x20
      expect(verify(changed)).toEqual({ ok: false, reason: TICKET_REFUSAL.invalid })
    }
    for (let length = 0; length < bytes.length; length += 13) {
      expect(decodeTicket(bytes.subarray(0, length))).toBeUndefined()
    }
    const extended = new Uint8Array(bytes.length + 1)
    extended.set(bytes)
    expect(verify(extended)).toEqual({ ok: false, reason: TICKET_REFUSAL.invalid })
  })

  it("is refused under another broker's key", () => {
    expect(verify(encode(), NOW, nobleCrypto.ed25519Public(filled(32, 9)))).toEqual({
      ok: false,
      reason: TICKET_REFUSAL.invalid
    })
  })

  it("is refused for another server", () => {
    expect(verify(encode({ serverPublicKey: filled(32, 5) }))).toEqual({
      ok: false,
      reason: TICKET_REFUSAL.wrongServer
    })
  })

  it("is dead from the millisecond of its expiry on, without leeway", () => {
    expect(verify(encode(), FIELDS.expiresMs - 1).ok).toBe(true)
    expect(verify(encode(), FIELDS.expiresMs)).toEqual({ ok: false, reason: TICKET_REFUSAL.expired })
  })

  it("may be issued as far in the future as clocks may differ, and not further", () => {
    expect(verify(encode(), FIELDS.issuedMs - TICKET_CLOCK_LEEWAY_MS).ok).toBe(true)
    expect(verify(encode(), FIELDS.issuedMs - TICKET_CLOCK_LEEWAY_MS - 1)).toEqual({
      ok: false,
      reason: TICKET_REFUSAL.notYetValid
    })
  })

  it("is refused when its names are not well-formed UTF-8, or its times exceed 2^53", () => {
    const bytes = encode({ user: "ab" })
    bytes[102] = 0xff
    expect(decodeTicket(bytes)).toBeUndefined()
    const far = encode()
    far[31] = 0x20
    expect(decodeTicket(far)).toBeUndefined()
    const long = encode()
    long[101] = 65
    expect(decodeTicket(long)).toBeUndefined()
  })

  it("never throws on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 320 }), (bytes) => {
        if (bytes.length > 0) bytes[0] = 1
        expect(verify(bytes).ok).toBe(false)
      }),
      { numRuns: 2000 }
    )
  })

  it("has the reasons of CLOSE, number by number", () => {
    expect(TICKET_REFUSAL).toEqual({
      invalid: CLOSE.ticketInvalid,
      expired: CLOSE.ticketExpired,
      wrongServer: CLOSE.ticketWrongServer,
      notYetValid: CLOSE.ticketNotYetValid
    })
  })
})
