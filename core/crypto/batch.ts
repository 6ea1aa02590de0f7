/**
 * Cryptography on many datagrams in one call: what makes the boundary to a native module cheap.
 *
 * A sealed datagram (core/wire/header.ts) says in its header all that its AEAD needs: the nonce is connectionId ‖ sequence, the associated data are
 * the 14 header bytes. So a piece of work is a key and three numbers: where the datagram lies, where its plaintext lies, how
 * long that is. All bytes lie in the one slab that the sealer or opener was made for.
 *
 * An implementation that gains nothing by batches has none; machines then seal and open each datagram by itself.
 */

/** Collects datagrams to be sealed, and seals them in one call. */
export interface BatchSealer {
  readonly slab: Uint8Array
  /**
   * Notes one datagram: its header stands at `at`, `length` bytes of plaintext at `from` (behind the header, or anywhere else in the
   * slab, where they must stay until `run`). Ciphertext and tag go behind the header. Runs first if there is no room.
   */
  add(key: number, from: number, length: number, at: number): void
  /** Seals all that was noted. What cannot be sealed, because its key is gone, is overwritten with zeros: no plaintext ever leaves. */
  run(): void
}

/** Opens datagrams in place, many in one call. */
export interface BatchOpener {
  readonly slab: Uint8Array
  /** Most datagrams in one run. */
  readonly capacity: number
  /** Sets place `index` of the next run: a sealed datagram of `length` bytes at `at`. */
  set(index: number, key: number, at: number, length: number): void
  /** Opens the first `count` places. */
  run(count: number): void
  /** Whether the datagram of place `index` was opened by the last run; if not, its body is unspecified. */
  opened(index: number): boolean
}

/** Makes sealers and openers. */
export interface AeadBatches {
  readonly sealer: (slab: Uint8Array) => BatchSealer
  readonly opener: (slab: Uint8Array) => BatchOpener
}
