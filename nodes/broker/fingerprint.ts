/**
 * What the broker makes of the hardware fingerprints of servers: it keeps the last one and notices that the next is another.
 *
 * It informs and never refuses. A fingerprint differs for many honest reasons (a repair, a virtual machine that was resized or moved,
 * other permissions of the node, a restored backup), and a server that is turned away for one of them is an outage that the broker
 * itself has made. Nor would a refusal keep anybody out: who has copied the server's key can say the fingerprint that goes with it.
 * Whoever thinks that a key was stolen revokes the server.
 */

import type { AdminServerEntry } from "@horizon/core/api/admin.ts"
import { compareFingerprints, type Fingerprint, type FingerprintChange } from "@horizon/core/api/fingerprint.ts"

/** What is kept of a server's fingerprint. */
export interface KnownFingerprint {
  /** Those last told. */
  readonly components: Fingerprint
  /** When, Unix ms: that of the registration with which they came. */
  readonly toldMs: number
  /** How they changed when they last did; null = never. */
  readonly change: FingerprintChange | null
  readonly changedMs: number | null
}

/**
 * What is known after a registration at `nowMs` with this fingerprint, and how it has changed, if it has. A registration without one
 * leaves what was known, so that leaving it out once is no way to be taken for new.
 */
export const notice = (
  known: KnownFingerprint | null,
  told: Fingerprint | undefined,
  nowMs: number
): { readonly known: KnownFingerprint | null; readonly change: FingerprintChange | undefined } => {
  if (told === undefined) return { known, change: undefined }
  const first = { components: told, toldMs: nowMs, change: null, changedMs: null }
  if (known === null) return { known: first, change: undefined }
  const change = compareFingerprints(known.components, told)
  return change === "same"
    ? { known: { ...known, toldMs: nowMs }, change: undefined }
    : { known: { components: told, toldMs: nowMs, change, changedMs: nowMs }, change }
}

/** What an administrator is shown of a server that last registered at `provedMs`. */
export const standing = (known: KnownFingerprint | null, provedMs: number): AdminServerEntry["fingerprint"] =>
  known === null || known.toldMs !== provedMs ? "none" : (known.change ?? "same")
