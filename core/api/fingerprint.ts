/**
 * The hardware fingerprint of a server: one hash for each stable fact of its host (port/host-facts.ts). It comes with a proof of the
 * server's key, so that the broker can tell an administrator when a key that it knows turns up on other hardware: a part was
 * exchanged, the disk or an image was moved, or the key was copied.
 *
 * Hashes and not the facts, so that serial numbers and network addresses do not lie about in the broker's store, its logs and its
 * backups. The server's public key is hashed with each fact, so that equal parts have other hashes at every server: nobody can see from
 * two fingerprints that two servers share a host, a model or a maker. The broker needs to compare a server with its own past
 * only. What this cannot do is keep a fact secret that can be guessed (there are few models of processors, and few enough network
 * addresses of one maker) from somebody who has the fingerprint and the public key and tries them all.
 *
 * One hash for each fact and not one for all, so that an exchanged network card is told from another computer. It is evidence and not
 * proof: the server's host says what it wants to.
 */

import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import { Schema } from "effect"
import type { Crypto } from "../crypto/crypto.ts"
import { HOST_FACT_KINDS, HOST_FACTS_MAX, type HostFact } from "../port/host-facts.ts"
import { toBase64Url } from "./base64url.ts"
import { bytesExactly } from "./scalar.ts"

/** Enough that two facts never meet by chance. */
const HASH_BYTES = 16
const WORDS = utf8ToBytes("horizon/fingerprint/1")

const FingerprintComponent = Schema.Struct({
  kind: Schema.Literals(HOST_FACT_KINDS),
  hash: bytesExactly(HASH_BYTES)
})

/** A host of which nothing is known has no fingerprint, not an empty one. */
export const Fingerprint = Schema.Array(FingerprintComponent).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(HOST_FACTS_MAX)
)
export type Fingerprint = typeof Fingerprint.Type

/** How a fingerprint has changed. */
export const FingerprintChange = Schema.Literals(["changed-partly", "changed"])
export type FingerprintChange = typeof FingerprintChange.Type

/** The fingerprint of the server with this key on a host with these facts; `undefined` if there are none. */
export const fingerprintOf = (
  crypto: Pick<Crypto, "sha256">,
  publicKey: Uint8Array,
  facts: ReadonlyArray<HostFact>
): Fingerprint | undefined =>
  facts.length === 0
    ? undefined
    : facts.map(({ kind, value }) => ({
        kind,
        // Words and key have fixed lengths and no kind begins like another, so no two facts have the same bytes.
        hash: crypto.sha256(concatBytes(WORDS, publicKey, utf8ToBytes(kind + value))).slice(0, HASH_BYTES)
      }))

/** The one text of a fingerprint, for signing, keeping and comparing: a JSON list of `[kind, hash in base64url]`. */
export const formatFingerprint = (fingerprint: Fingerprint): string =>
  JSON.stringify(fingerprint.map(({ kind, hash }) => [kind, toBase64Url(hash)]))

/**
 * What has become of `old`. Order does not count. `changed-partly`: at least half of the old components are still there, and one
 * of those that name a single machine (`machine-id`, `board`) is, if there was one: a computer in which something was exchanged. Two
 * computers of one series share processor and memory, so these alone do not make it the same one.
 */
export const compareFingerprints = (old: Fingerprint, now: Fingerprint): "same" | FingerprintChange => {
  const before = componentsOf(old)
  const after = componentsOf(now)
  const kept = [...before].filter((component) => after.has(component))
  if (kept.length === before.size && kept.length === after.size) return "same"
  const machineKept = kept.some(namesMachine) || ![...before].some(namesMachine)
  return machineKept && kept.length * 2 >= before.size ? "changed-partly" : "changed"
}

const componentsOf = (fingerprint: Fingerprint): ReadonlySet<string> =>
  new Set(fingerprint.map(({ kind, hash }) => `${kind} ${toBase64Url(hash)}`))

const namesMachine = (component: string): boolean =>
  component.startsWith("machine-id ") || component.startsWith("board ")
