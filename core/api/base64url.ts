/** Bytes as base64url text and back, for keys, headers and the JSON that nodes keep. */

import { Result } from "effect"
import { Base64Url } from "effect/encoding"

/** base64url without padding (RFC 4648 §5). */
export const toBase64Url = (bytes: Uint8Array): string => Base64Url.encode(bytes)

/** Bytes of base64url text; `undefined` if it is not exactly what `toBase64Url` writes. */
export const fromBase64Url = (text: string): Uint8Array | undefined => {
  const bytes = Result.getOrUndefined(Base64Url.decode(text))
  return bytes !== undefined && toBase64Url(bytes) === text ? bytes : undefined
}
