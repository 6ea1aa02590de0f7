/** Ids of records: 16 bytes that begin with the time, so that they sort by age, in hex in the store and as bytes in the API. */

import { fromBase64Url } from "@horizon/core/api/base64url.ts"
import { assert } from "@horizon/core/assert.ts"
import { type RandomSource, randomBytes } from "@horizon/core/port/entropy.ts"
import { Result } from "effect"
import { Hex } from "effect/encoding"

/** 12 hex digits of Unix milliseconds, then 20 random ones. */
export const recordId = (nowMs: number, random: RandomSource): string =>
  nowMs.toString(16).padStart(12, "0") + Hex.encode(randomBytes(random, 10))

export const toHex = (bytes: Uint8Array): string => Hex.encode(bytes)

/** Bytes of hex that this broker has written itself. */
export const fromHex = (hex: string): Uint8Array => {
  const bytes = Result.getOrUndefined(Hex.decode(hex))
  assert(bytes !== undefined, "Hex in the store is what this broker wrote.")
  return bytes
}

/** Bytes of base64url that this broker has written itself. */
export const fromText = (text: string): Uint8Array => {
  const bytes = fromBase64Url(text)
  assert(bytes !== undefined, "Base64url in the store is what this broker wrote.")
  return bytes
}
