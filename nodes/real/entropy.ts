/** Port Entropy on Node: bytes of the operating system's generator, through OpenSSL. */

import { randomFillSync } from "node:crypto"
import { Entropy, type RandomSource } from "@horizon/core/port/entropy.ts"
import { Layer } from "effect"

/** Bytes drawn at once: a draw of 4 bytes costs about a microsecond, so small draws share one. */
const POOL_BYTES = 4096

/** Draws from the operating system; labels only keep streams apart in the simulated world, here every byte is independent. */
export const layerEntropy: Layer.Layer<Entropy> = Layer.sync(Entropy, () => {
  const source = new PooledSource()
  return { source: () => source }
})

class PooledSource implements RandomSource {
  private readonly pool = new Uint8Array(POOL_BYTES)
  private at = POOL_BYTES

  fill(bytes: Uint8Array): void {
    if (bytes.length > POOL_BYTES / 4) {
      randomFillSync(bytes)
      return
    }
    const from = this.take(bytes.length)
    bytes.set(this.pool.subarray(from, from + bytes.length))
    // What was handed out must not be found in memory later.
    this.pool.fill(0, from, from + bytes.length)
  }

  u32(): number {
    const { pool } = this
    const from = this.take(4)
    const value = (pool[from] | (pool[from + 1] << 8) | (pool[from + 2] << 16) | (pool[from + 3] << 24)) >>> 0
    pool.fill(0, from, from + 4)
    return value
  }

  private take(count: number): number {
    if (this.at + count > POOL_BYTES) {
      randomFillSync(this.pool)
      this.at = 0
    }
    const from = this.at
    this.at += count
    return from
  }
}
