/** Bytes as text and back: base64url for keys, headers and the JSON that nodes keep, UTF-8 for what is hashed or signed. */

import { utf8ToBytes } from "@noble/hashes/utils.js"
import { Result } from "effect"
import { Base64Url } from "effect/encoding"

/** base64url without padding (RFC 4648 §5). */
export const toBase64Url = (bytes: Uint8Array): string => Base64Url.encode(bytes)

/** Bytes of base64url text; `undefined` if it is not exactly what `toBase64Url` writes. */
export const fromBase64Url = (text: string): Uint8Array | undefined => {
  const bytes = Result.getOrUndefined(Base64Url.decode(text))
  return bytes !== undefined && toBase64Url(bytes) === text ? bytes : undefined
}

/** UTF-8 bytes of text. */
export const utf8 = (text: string): Uint8Array => utf8ToBytes(text)
