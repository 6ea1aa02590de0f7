/**
 * The rolling digest of a run over (time, node, kind, size, payload hash), 64 bits in two 32-bit lanes, with checkpoints.
 * Equal digests mean that two runs did the same things at the same times; the first differing checkpoint bounds where two
 * runs parted, and a third look with `record` set names the event.
 */

/** Events between two checkpoints. */
export const CHECKPOINT_EVERY = 4096

/** One recorded event, for the first-divergence search. */
export interface DigestEvent {
  readonly index: number
  readonly atNs: number
  readonly node: number
  readonly kind: number
  readonly size: number
  readonly hash: number
}

export class Digest {
  /** Events mixed in so far. */
  count = 0
  /** The digest after every `CHECKPOINT_EVERY` events. */
  readonly checkpoints: Array<string> = []
  /** Events of the recorded window. */
  readonly recorded: Array<DigestEvent> = []
  private high = 0x243f6a88
  private low = 0x85a308d3
  private readonly recordFrom: number
  private readonly recordTo: number

  /** Events with an index from `recordFrom` to `recordTo - 1` are kept in `recorded`. */
  constructor(recordFrom = 0, recordTo = 0) {
    this.recordFrom = recordFrom
    this.recordTo = recordTo
  }

  mix(atNs: number, node: number, kind: number, size: number, hash: number): void {
    if (this.count >= this.recordFrom && this.count < this.recordTo)
      this.recorded.push({ index: this.count, atNs, node, kind, size, hash })
    let h = this.high
    let l = this.low
    h = Math.imul(h ^ (atNs >>> 0), 0x9e3779b1)
    l = Math.imul(l ^ ((atNs / 0x1_0000_0000) | 0) ^ (node << 16) ^ kind, 0x85ebca77)
    h = Math.imul((h ^ (h >>> 15)) + size, 0xc2b2ae3d)
    l = Math.imul((l ^ (l >>> 13)) + hash, 0x27d4eb2f)
    this.high = h ^ (l >>> 16)
    this.low = l ^ (h >>> 16)
    this.count++
    if (this.count % CHECKPOINT_EVERY === 0) this.checkpoints.push(this.hex())
  }

  /** The digest as 16 hex digits. */
  hex(): string {
    return (this.high >>> 0).toString(16).padStart(8, "0") + (this.low >>> 0).toString(16).padStart(8, "0")
  }
}

/** A 32-bit hash of bytes: four at a time (Murmur3's mixing), fast enough for every packet. */
export const hashBytes = (bytes: Uint8Array, at: number, length: number): number => {
  let hash = length
  const end = at + (length & ~3)
  let i = at
  for (; i < end; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    k = Math.imul(k, 0xcc9e2d51)
    // `| 0` changes no result, but without it the loop runs on floating-point numbers, at a fifth of the speed.
    hash = (Math.imul(hash ^ ((k << 15) | (k >>> 17)), 5) + 0xe6546b64) | 0
  }
  for (; i < at + length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  return hash ^ (hash >>> 16)
}

/**
 * `hashBytes` of bytes that start at a multiple of four, given as the little-endian words that they are: `atWord` counts words,
 * `length` bytes. The same result in half the time.
 */
export const hashWords = (words: Int32Array, atWord: number, bytes: Uint8Array, length: number): number => {
  let hash = length
  const end = atWord + (length >> 2)
  for (let i = atWord; i < end; i++) {
    const k = Math.imul(words[i], 0xcc9e2d51)
    hash = (Math.imul(hash ^ ((k << 15) | (k >>> 17)), 5) + 0xe6546b64) | 0
  }
  for (let i = end * 4; i < atWord * 4 + length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  return hash ^ (hash >>> 16)
}

/** 32-bit hash of text, for event kinds and names. */
export const hashText = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash | 0
}

/**
 * Which events to record to see where two runs with different digests parted: those before the first checkpoint that differs, or
 * those behind the last one.
 */
export const divergingWindow = (
  a: ReadonlyArray<string>,
  b: ReadonlyArray<string>
): { readonly from: number; readonly to: number } => {
  const both = Math.min(a.length, b.length)
  let at = 0
  while (at < both && a[at] === b[at]) at++
  return { from: at * CHECKPOINT_EVERY, to: (at + 1) * CHECKPOINT_EVERY }
}
