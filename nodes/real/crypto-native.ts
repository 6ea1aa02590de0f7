/**
 * Batches of AEAD work on the native module: what was noted is sealed or opened by one call, whatever the number of datagrams.
 *
 * Nobody has to end a sealer, an opener or a key: the module's part of it goes when the object here is collected.
 */

import { assert } from "@horizon/core/assert.ts"
import type { AeadBatches, BatchOpener, BatchSealer } from "@horizon/core/crypto/batch.ts"
import type { Aead, AeadName, Crypto } from "@horizon/core/crypto/crypto.ts"
import type { Native } from "@horizon/native/native.ts"

/** Datagrams in one run: many enough to make the call cheap, few enough that they are still in the cache. */
const CAPACITY = 128
/** The numbers that the module knows the algorithms by. */
const ALGORITHM: Readonly<Record<AeadName, number>> = { "chacha20-poly1305": 1, "aes-256-gcm": 2 }

/** `crypto`, with batches by the module. Work on a single datagram stays where it was. */
export const withNativeBatches = (crypto: Crypto, native: Native): Crypto => {
  const keys = new FinalizationRegistry<number>((key) => native.aeadWipe(key))
  const works = new FinalizationRegistry<number>((work) => native.aeadWorkEnd(work))
  const work = <A extends NativeWork>(made: A): A => {
    assert(made.handle > 0, "there are fewer than 65,536 sealers and openers")
    works.register(made, made.handle)
    return made
  }
  const batches: AeadBatches = {
    sealer: (slab) => work(new NativeSealer(native, slab)),
    opener: (slab) => work(new NativeOpener(native, slab))
  }
  return {
    ...crypto,
    name: `${crypto.name}+ring`,
    batches,
    aead: (name, key) => {
      const single = crypto.aead(name, key)
      const batchKey = native.aeadKey(ALGORITHM[name], key)
      // The module holds no more keys: this one works by single datagrams.
      if (batchKey === 0) return single
      const aead = new NativeAead(single, batchKey, native, keys)
      keys.register(aead, batchKey, aead)
      return aead
    }
  }
}

class NativeAead implements Aead {
  readonly batchKey: number
  private readonly single: Aead
  private readonly native: Native
  private readonly keys: FinalizationRegistry<number>

  constructor(single: Aead, batchKey: number, native: Native, keys: FinalizationRegistry<number>) {
    this.single = single
    this.batchKey = batchKey
    this.native = native
    this.keys = keys
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
    this.single.seal(nonce, associated, source, from, length, target, to)
  }

  open(nonce: Uint8Array, associated: Uint8Array, buffer: Uint8Array, at: number, length: number): boolean {
    return this.single.open(nonce, associated, buffer, at, length)
  }

  wipe(): void {
    this.keys.unregister(this)
    this.native.aeadWipe(this.batchKey)
    this.single.wipe()
  }
}

/** The arrays that the module reads, place by place. */
class NativeWork {
  readonly slab: Uint8Array
  readonly handle: number
  protected readonly native: Native
  protected readonly key = new Uint32Array(CAPACITY)
  protected readonly start = new Uint32Array(CAPACITY)
  protected readonly from = new Uint32Array(CAPACITY)
  protected readonly length = new Uint32Array(CAPACITY)
  protected readonly results = new Uint8Array(CAPACITY)

  constructor(native: Native, slab: Uint8Array) {
    this.native = native
    this.slab = slab
    this.handle = native.aeadWork(slab, this.key, this.start, this.from, this.length, this.results)
  }
}

class NativeSealer extends NativeWork implements BatchSealer {
  private count = 0

  add(key: number, from: number, length: number, at: number): void {
    if (this.count === CAPACITY) this.run()
    const index = this.count++
    this.key[index] = key
    this.start[index] = at
    this.from[index] = from
    this.length[index] = length
  }

  run(): void {
    const { count } = this
    if (count === 0) return
    this.count = 0
    this.native.aeadSeal(this.handle, count)
  }
}

class NativeOpener extends NativeWork implements BatchOpener {
  readonly capacity = CAPACITY
  /** Places of the last run; what lies behind them is left over from earlier ones. */
  private count = 0

  set(index: number, key: number, at: number, length: number): void {
    this.key[index] = key
    this.start[index] = at
    this.length[index] = length
  }

  run(count: number): void {
    this.count = count
    this.native.aeadOpen(this.handle, count)
  }

  opened(index: number): boolean {
    return index < this.count && this.results[index] === 1
  }
}
