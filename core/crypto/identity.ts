/** Long-lived Ed25519 identities of servers and devices: the key pair of a seed, and the short name of a public key. */

import { bytesToHex } from "@noble/hashes/utils.js"
import type { Crypto, Identity } from "./crypto.ts"

/** Bytes of the SHA-256 of a public key that make a device id. */
const DEVICE_ID_BYTES = 16

/** The identity whose secret is `seed` (32 bytes); the seed is copied. */
export const identityFromSeed = (crypto: Crypto, seed: Uint8Array): Identity => {
  const own = seed.slice()
  return { publicKey: crypto.ed25519Public(own), seed: own }
}

/** Device id: lower-case hex (32 digits) of the first 16 bytes of SHA-256 of the 32-byte public key. */
export const deviceId = (crypto: Crypto, publicKey: Uint8Array): string =>
  bytesToHex(crypto.sha256(publicKey).subarray(0, DEVICE_ID_BYTES))
