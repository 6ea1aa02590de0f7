/** For tests: any cryptography with batches, which do their work one by one when they are run. */

import { HEADER_BYTES, putNonce, readU32 } from "../wire/header.ts"
import type { BatchOpener, BatchSealer } from "./batch.ts"
import { type Aead, type Crypto, NONCE_BYTES, TAG_BYTES } from "./crypto.ts"

const CAPACITY = 128

/** The same cryptography, working in batches. A key that was wiped is gone for work that still waits. */
export const inBatches = (crypto: Crypto): Crypto => {
  const keys = new Map<number, Aead>()
  let last = 0
  return {
    ...crypto,
    name: `${crypto.name} in batches`,
    aead: (name, key) => {
      const aead = crypto.aead(name, key)
      const batchKey = ++last
      keys.set(batchKey, aead)
      return {
        batchKey,
        seal: aead.seal.bind(aead),
        open: aead.open.bind(aead),
        wipe: () => {
          keys.delete(batchKey)
          aead.wipe()
        }
      }
    },
    batches: { sealer: (slab) => makeSealer(slab, keys), opener: (slab) => makeOpener(slab, keys) }
  }
}

const nonceAt = (slab: Uint8Array, at: number): Uint8Array => {
  const nonce = new Uint8Array(NONCE_BYTES)
  putNonce(nonce, readU32(slab, at), readU32(slab, at + 10), readU32(slab, at + 6))
  return nonce
}

const makeSealer = (slab: Uint8Array, keys: ReadonlyMap<number, Aead>): BatchSealer => {
  const jobs: Array<readonly [key: number, from: number, length: number, at: number]> = []
  const run = (): void => {
    for (const [key, from, length, at] of jobs.splice(0)) {
      const body = at + HEADER_BYTES
      const aead = keys.get(key)
      if (aead === undefined) slab.fill(0, body, body + length + TAG_BYTES)
      else {
        slab.copyWithin(body, from, from + length)
        aead.seal(nonceAt(slab, at), slab.slice(at, body), slab, body, length, slab, body)
      }
    }
  }
  return {
    slab,
    run,
    add: (key, from, length, at) => {
      if (jobs.length === CAPACITY) run()
      jobs.push([key, from, length, at])
    }
  }
}

const makeOpener = (slab: Uint8Array, keys: ReadonlyMap<number, Aead>): BatchOpener => {
  const jobs: Array<readonly [key: number, at: number, length: number]> = []
  const results: Array<boolean> = []
  return {
    slab,
    capacity: CAPACITY,
    set: (index, key, at, length) => {
      jobs[index] = [key, at, length]
    },
    run: (count) => {
      for (let i = 0; i < count; i++) {
        const [key, at, length] = jobs[i]
        const header = slab.slice(at, at + HEADER_BYTES)
        results[i] =
          keys.get(key)?.open(nonceAt(slab, at), header, slab, at + HEADER_BYTES, length - HEADER_BYTES) === true
      }
    },
    opened: (index) => results[index]
  }
}
