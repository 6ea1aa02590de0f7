/**
 * Variable-length unsigned integers: seven bits a byte, least significant group first, the high bit set on all bytes but the last
 * (LEB128). At most eight bytes, values to 2^53-1.
 *
 * There is one encoding of each value: one whose last byte is zero (and not the only one) is overlong and refused, so that no two
 * different packets mean the same.
 */

/** Largest value. */
export const VARINT_MAX = Number.MAX_SAFE_INTEGER
export const VARINT_BYTES_MAX = 8

/** Bytes that `value` takes. */
export const varintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** Writes `value` (integer from 0 to VARINT_MAX) at `at`; returns where it ends. */
export const putVarint = (slab: Uint8Array, at: number, value: number): number => {
  let rest = value
  while (rest >= 128) {
    slab[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  slab[at++] = rest
  return at
}

/** Reads VarInts one after the other; on failure `value` is -1 and stays so. One reader serves for ever: no allocation. */
export class VarintReader {
  /** Where the next one starts. */
  at = 0
  private slab: Uint8Array = new Uint8Array(0)
  private end = 0

  /** Reads from the bytes `at` to `end` of `slab`. */
  start(slab: Uint8Array, at: number, end: number): void {
    this.slab = slab
    this.at = at
    this.end = end
  }

  /** The next value, or -1 if it is cut off, overlong or too large. */
  next(): number {
    let value = 0
    let scale = 1
    for (let bytes = 0; bytes < VARINT_BYTES_MAX; bytes++) {
      if (this.at >= this.end) return -1
      const byte = this.slab[this.at++]
      value += (byte & 127) * scale
      if (byte < 128) return (byte === 0 && bytes > 0) || value > VARINT_MAX ? -1 : value
      scale *= 128
    }
    return -1
  }
}
