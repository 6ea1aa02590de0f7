/**
 * The three secrets that people and machines carry as text: registration keys, personal keys, and administrators' tokens.
 *
 * `hzr_`, `hzp_` or `hza_`, then 43 characters base64url: 32 random bytes. The fixed first characters let secret scanners find a
 * leaked key. The broker looks a key up by its first 12 characters and compares a SHA-256: the keys are random, so a slow hash
 * would add nothing.
 */

import { assert } from "../assert.ts"
import { toBase64Url } from "./base64url.ts"

export const API_KEY_PREFIX = { registration: "hzr_", personal: "hzp_", admin: "hza_" } as const
export type ApiKeyKind = keyof typeof API_KEY_PREFIX

/** Random bytes in a key. */
export const API_KEY_BYTES = 32
/** Characters by which a key is looked up and recognised; the rest is secret. */
export const API_KEY_VISIBLE = 12

/** The key's text; `bytes` are 32 unpredictable bytes. */
export const apiKey = (kind: ApiKeyKind, bytes: Uint8Array): string => {
  assert(bytes.length === API_KEY_BYTES, "An API key is made of 32 bytes.")
  return API_KEY_PREFIX[kind] + toBase64Url(bytes)
}

/** Whether `text` has the form of a key of `kind`. */
export const isApiKey = (kind: ApiKeyKind, text: string): boolean =>
  text.length === 47 && text.startsWith(API_KEY_PREFIX[kind]) && /^[A-Za-z0-9_-]{43}$/.test(text.slice(4))

/** What may be shown and stored of a key. */
export const visiblePart = (key: string): string => key.slice(0, API_KEY_VISIBLE)
