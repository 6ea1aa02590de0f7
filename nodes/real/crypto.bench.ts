/**
 * AEAD operations a second on one core: `node:crypto` by single datagrams, and the native module in batches, as sessions use both. Run:
 * node nodes/real/crypto.bench.ts
 */

import type { AeadName, Crypto } from "@horizon/core/crypto/crypto.ts"
import { HEADER_BYTES, putHeader, SEALED_OVERHEAD_BYTES, sealedFlags } from "@horizon/core/wire/header.ts"
import { loadNative } from "@horizon/native/native.ts"
import { cryptoOn, nodeCrypto } from "./crypto.ts"

const BATCH = 128
const SLOT_BYTES = 2048
const ROUNDS = 400
const KEY = new Uint8Array(32).fill(7)

/** One round seals, and one opens, `BATCH` datagrams with `bytes` of payload. */
interface Rounds {
  readonly seal: () => void
  readonly open: () => void
}

const single = (crypto: Crypto, name: AeadName, bytes: number): Rounds => {
  const aead = crypto.aead(name, KEY)
  const slab = slabOfDatagrams()
  const nonce = new Uint8Array(12)
  const header = new Uint8Array(HEADER_BYTES)
  return {
    seal: () => {
      for (let i = 0; i < BATCH; i++) {
        const at = i * SLOT_BYTES + HEADER_BYTES
        aead.seal(nonce, header, slab, at, bytes, slab, at)
      }
    },
    open: () => {
      let opened = 0
      for (let i = 0; i < BATCH; i++)
        opened += Number(aead.open(nonce, header, slab, i * SLOT_BYTES + HEADER_BYTES, bytes + 16))
      if (opened !== BATCH) throw new Error("a datagram was not opened")
    }
  }
}

const batched = (crypto: Crypto, name: AeadName, bytes: number): Rounds => {
  const aead = crypto.aead(name, KEY)
  const slab = slabOfDatagrams()
  const sealer = crypto.batches!.sealer(slab)
  const opener = crypto.batches!.opener(slab)
  return {
    seal: () => {
      for (let i = 0; i < BATCH; i++) sealer.add(aead.batchKey!, i * SLOT_BYTES + HEADER_BYTES, bytes, i * SLOT_BYTES)
      sealer.run()
    },
    open: () => {
      for (let i = 0; i < BATCH; i++) opener.set(i, aead.batchKey!, i * SLOT_BYTES, bytes + SEALED_OVERHEAD_BYTES)
      opener.run(BATCH)
      let opened = 0
      for (let i = 0; i < BATCH; i++) opened += Number(opener.opened(i))
      if (opened !== BATCH) throw new Error("a datagram was not opened")
    }
  }
}

const slabOfDatagrams = (): Uint8Array => {
  const slab = new Uint8Array(BATCH * SLOT_BYTES)
  for (let i = 0; i < BATCH; i++) putHeader(slab, i * SLOT_BYTES, 7, 4, sealedFlags(0), 0, i)
  return slab
}

/** Median time of one datagram, ns. */
const measure = ({ open, seal }: Rounds): readonly [sealNs: number, openNs: number] => {
  const times: readonly [Array<number>, Array<number>] = [[], []]
  for (let round = -ROUNDS / 4; round < ROUNDS; round++) {
    for (const [index, work] of [seal, open].entries()) {
      const start = performance.now()
      work()
      if (round >= 0) times[index].push(performance.now() - start)
    }
  }
  const median = (values: Array<number>) => values.sort((a, b) => a - b)[values.length >> 1]
  return [(median(times[0]) * 1e6) / BATCH, (median(times[1]) * 1e6) / BATCH]
}

const loaded = loadNative()
if ("missing" in loaded) console.error(loaded.missing)
console.log("cryptography         algorithm           bytes     seal ns     open ns      seals/s      opens/s")
for (const name of ["chacha20-poly1305", "aes-256-gcm"] as const) {
  for (const bytes of [64, 200, 1170]) {
    const ways: ReadonlyArray<readonly [string, Rounds]> = [
      [`${nodeCrypto.name}, single`, single(nodeCrypto, name, bytes)],
      ...("module" in loaded ? [["native, batches", batched(cryptoOn(loaded), name, bytes)] as const] : [])
    ]
    for (const [way, rounds] of ways) {
      const [sealNs, openNs] = measure(rounds)
      const rates = [sealNs, openNs].map((ns) => Math.round(1e9 / ns).toLocaleString("en"))
      const cells = [way.padEnd(20), name.padEnd(17), `${bytes}`.padStart(7)]
      console.log(
        ...cells,
        sealNs.toFixed(0).padStart(11),
        openNs.toFixed(0).padStart(11),
        ...rates.map((rate) => rate.padStart(12))
      )
    }
  }
}
