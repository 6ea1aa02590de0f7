/**
 * A `Crypto` that watches another one at work: no (key, nonce) pair may seal twice (nonce reuse breaks an AEAD) and none may be opened
 * twice (a replay got through). A world gives one audited crypto to all its nodes and so watches the whole run.
 *
 * For each key and direction of use it keeps the highest sequence and the set of sequences below it that were skipped, bounded; what
 * lies below the bound cannot be judged and is counted as such, never called clean. The sequence is the last 8 bytes of the nonce.
 */

import { bytesToHex } from "@noble/hashes/utils.js"
import type { Aead, AeadName, Crypto } from "./crypto.ts"

/** What went wrong. */
export type AuditFinding = "nonce-reused" | "replay-opened"

/** What was looked at. */
export interface AuditCounts {
  /** Packets sealed and packets opened that were judged. */
  sealed: number
  opened: number
  /** Opens that failed the tag: forged or damaged packets. */
  refused: number
  /** Different keys seen. */
  keys: number
  nonceReuses: number
  replays: number
  /** Packets too far behind to be judged. */
  unjudged: number
  /** Keys forgotten because there were too many. */
  keysForgotten: number
}

export interface AuditedCrypto extends Crypto {
  readonly audit: Readonly<AuditCounts>
}

/** Most keys remembered; the one unused for longest goes first. */
const KEYS_MAX = 65_536
/** Most skipped sequences remembered for one key and direction. */
const SKIPPED_MAX = 4_096

/**
 * `inner`, watched. `report` is called for each finding with a sentence for people: the connection id and sequence, and how the key
 * begins in SHA-256 (never the key).
 */
export const auditedCrypto = (
  inner: Crypto,
  report: (finding: AuditFinding, sentence: string) => void
): AuditedCrypto => {
  const audit: AuditCounts = {
    sealed: 0,
    opened: 0,
    refused: 0,
    keys: 0,
    nonceReuses: 0,
    replays: 0,
    unjudged: 0,
    keysForgotten: 0
  }
  const histories = new Map<string, KeyHistory>()
  const historyOf = (key: Uint8Array): KeyHistory => {
    const name = bytesToHex(inner.sha256(key)).slice(0, 32)
    let history = histories.get(name)
    if (history === undefined) {
      audit.keys++
      history = new KeyHistory(name)
      if (histories.size >= KEYS_MAX) {
        histories.delete(histories.keys().next().value!)
        audit.keysForgotten++
      }
    } else {
      histories.delete(name)
    }
    histories.set(name, history)
    return history
  }
  return {
    ...inner,
    name: `${inner.name} (audited)`,
    audit,
    aead: (name: AeadName, key: Uint8Array) => new AuditedAead(inner.aead(name, key), historyOf(key), audit, report)
  }
}

class AuditedAead implements Aead {
  private readonly inner: Aead
  private readonly history: KeyHistory
  private readonly audit: AuditCounts
  private readonly report: (finding: AuditFinding, sentence: string) => void

  constructor(
    inner: Aead,
    history: KeyHistory,
    audit: AuditCounts,
    report: (finding: AuditFinding, sentence: string) => void
  ) {
    this.inner = inner
    this.history = history
    this.audit = audit
    this.report = report
  }

  seal(
    nonce: Uint8Array,
    associated: Uint8Array,
    source: Uint8Array,
    from: number,
    length: number,
    target: Uint8Array,
    to: number
  ): void {
    const verdict = this.history.sealed.judge(nonce)
    if (verdict === UNJUDGED) this.audit.unjudged++
    else this.audit.sealed++
    if (verdict === REPEATED) {
      this.audit.nonceReuses++
      this.report("nonce-reused", `Nonce ${bytesToHex(nonce)} sealed twice under the key ${this.history.name}.`)
    }
    this.inner.seal(nonce, associated, source, from, length, target, to)
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    if (!this.inner.open(nonce, associated, buffer, at, length)) {
      this.audit.refused++
      return false
    }
    const verdict = this.history.opened.judge(nonce)
    if (verdict === UNJUDGED) this.audit.unjudged++
    else this.audit.opened++
    if (verdict === REPEATED) {
      this.audit.replays++
      this.report("replay-opened", `Nonce ${bytesToHex(nonce)} was opened twice under the key ${this.history.name}.`)
    }
    return true
  }

  wipe(): void {
    this.inner.wipe()
  }
}

/** What one key has sealed and opened; two ends of a session share it. */
class KeyHistory {
  /** First 32 hex digits of SHA-256 of the key. */
  readonly name: string
  readonly sealed = new NonceHistory()
  readonly opened = new NonceHistory()

  constructor(name: string) {
    this.name = name
  }
}

const FRESH = 0
const REPEATED = 1
const UNJUDGED = 2

/** Which nonces were used, for one direction of use of one key. */
class NonceHistory {
  private prefix = -1
  private highest = -1
  /** Sequences below this are not remembered. */
  private floor = 0
  /** Sequences from `floor` to `highest` that were not used. */
  private readonly skipped = new Set<number>()

  judge(nonce: Uint8Array): typeof FRESH | typeof REPEATED | typeof UNJUDGED {
    const prefix = word(nonce, 0)
    const sequence = word(nonce, 8) * 0x1_0000_0000 + word(nonce, 4)
    if (this.prefix < 0) this.prefix = prefix
    // One key has one connection id, and no counter comes near 2^53; what is otherwise cannot be judged here.
    if (prefix !== this.prefix || sequence > Number.MAX_SAFE_INTEGER) return UNJUDGED
    if (sequence > this.highest) {
      this.advance(sequence)
      return FRESH
    }
    if (this.skipped.delete(sequence)) return FRESH
    return sequence < this.floor ? UNJUDGED : REPEATED
  }

  private advance(sequence: number): void {
    const from = Math.max(this.highest + 1, sequence - SKIPPED_MAX)
    if (from > this.highest + 1) {
      this.skipped.clear()
      this.floor = from
    }
    for (let skipped = from; skipped < sequence; skipped++) this.skipped.add(skipped)
    this.highest = sequence
    while (this.skipped.size > SKIPPED_MAX) {
      // Insertion order is ascending, so the first is the lowest.
      const lowest = this.skipped.values().next().value!
      this.skipped.delete(lowest)
      this.floor = lowest + 1
    }
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
