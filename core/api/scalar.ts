/** The small values of which the broker's requests and answers are made, each with its bounds. */

import { Schema } from "effect"
import { parseAddress, parseV4 } from "../wire/address.ts"

/** Unix milliseconds. */
export const TimeMs = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** A count of things, bytes or milliseconds. */
export const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** `bytes` bytes, base64url without padding in JSON. */
export const bytesExactly = (bytes: number) =>
  Schema.Uint8ArrayFromBase64Url.check(
    Schema.makeFilter((value: Uint8Array) => value.length === bytes || `must be ${bytes} bytes in base64url`)
  )

/** Ed25519 public key. */
export const PublicKey = bytesExactly(32)
/** Ed25519 signature. */
export const Signature = bytesExactly(64)

/** Id of a server or a device: the first 16 bytes of SHA-256 of its public key, in hex. */
export const KeyId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/, { expected: "32 hex digits" }))

/** Text for people without control characters, at most `charactersMax` UTF-16 units, no white space at the ends. */
export const label = (charactersMax: number) =>
  Schema.String.check(
    Schema.makeFilter(
      (value: string) =>
        (value.length <= charactersMax && value.trim() === value && !CONTROL.test(value)) ||
        `must be at most ${charactersMax} characters, without control characters and without white space at the ends`
    )
  )
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** Name of a server, person or tenant: 1 to 64 bytes of UTF-8, because tickets carry it in so many. */
export const Name = label(64).check(
  Schema.makeFilter(
    (value: string) => (value.length > 0 && utf8Length(value) <= 64) || "must have 1 to 64 bytes of UTF-8"
  )
)

/** Region: `eu-central`, or nothing. */
export const Region = Schema.String.check(
  Schema.isPattern(/^[a-z0-9-]{0,32}$/, { expected: "at most 32 lower-case letters, digits and hyphens" })
)

/** A capability or tag: `ipv4`, `game:arena`. */
export const Tag = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9.:-]{0,31}$/, {
    expected: "1 to 32 lower-case letters, digits, dots, colons and hyphens"
  })
)
export const Tags = Schema.Array(Tag).check(Schema.isMaxLength(16))

/** Where a server listens: an address (never a name, so that nothing is resolved) and a port. */
export const ServerEndpoint = Schema.Struct({
  address: Schema.String.check(
    Schema.makeFilter(
      (value: string) =>
        (value.length <= 45 && parseAddress(value, new Uint32Array(4), 0) && parseV4(value) !== 0 && value !== "::") ||
        "must be an IPv4 or IPv6 address that others can reach, not a name and not the unspecified address"
    )
  ),
  port: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))
})

/** Where a peer is seen: any address, any port. */
export const PeerEndpoint = Schema.Struct({
  address: Schema.String.check(
    Schema.makeFilter(
      (value: string) =>
        (value.length <= 45 && parseAddress(value, new Uint32Array(4), 0)) || "must be an IPv4 or IPv6 address"
    )
  ),
  port: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))
})

/** Bits of RIGHT in core/wire/ticket.ts. */
export const Rights = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff }))

/** Opaque place in a list. */
export const Cursor = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]{1,128}$/, { expected: "a cursor as it was given" })
)

/** Length of one page of a list. */
export const PAGE_MAX = 200
export const PAGE_DEFAULT = 100

const utf8Length = (text: string): number => {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}
