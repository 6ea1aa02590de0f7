import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { batchContract } from "@horizon/core/crypto/batch.contract.ts"
import { cryptoContract, sameBytes } from "@horizon/core/crypto/crypto.contract.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { openAheadContract } from "@horizon/core/machine/session/open-ahead.contract.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { HEADER_BYTES } from "@horizon/core/wire/header.ts"
import { load, loadNative } from "@horizon/native/native.ts"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { cryptoOn, layerCrypto, nodeCrypto } from "./crypto.ts"

const loaded = loadNative()
const why = "missing" in loaded ? loaded.missing : ""

cryptoContract(nodeCrypto)
sameBytes(nobleCrypto, nodeCrypto)

it("gives real nodes OpenSSL, with the native module's batches where it is there, and nothing else", () => {
  const name = Effect.runSync(
    Effect.gen(function* () {
      return (yield* Crypto).name
    }).pipe(Effect.provide(layerCrypto))
  )
  expect(name).toBe(why === "" ? "openssl+ring" : "openssl")
  expect(cryptoOn(load("", "off"))).toBe(nodeCrypto)
  expect(nodeCrypto.batches).toBeUndefined()
})

describe.skipIf(why !== "")(`native module${why === "" ? "" : `: ${why}`}`, () => {
  const crypto = cryptoOn(loaded)
  cryptoContract(crypto)
  batchContract(crypto)
  openAheadContract(nodeCrypto, crypto, 4)

  const word = fc.oneof(fc.nat(700), fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: -40, max: -1 }))
  const job = fc.record({ key: fc.oneof(fc.constant(0), word), at: word, from: word, length: word })

  it("does nothing outside the slab, whatever numbers it is given", () => {
    const aead = crypto.aead("chacha20-poly1305", new Uint8Array(32).fill(1))
    const around = new Uint8Array(64 + 600 + 64).fill(0xee)
    const slab = around.subarray(64, 664)
    const sealer = crypto.batches!.sealer(slab)
    const opener = crypto.batches!.opener(slab)
    fc.assert(
      fc.property(fc.array(job, { maxLength: 20 }), word, (jobs, count) => {
        slab.fill(0x41)
        for (const [i, { at, from, key, length }] of jobs.entries()) {
          const number = key === 0 ? aead.batchKey! : key
          sealer.add(number, from, length, at)
          opener.set(i, number, at, length)
        }
        sealer.run()
        opener.run(count)
        expect(jobs.some((_, i) => opener.opened(i))).toBe(false)
        expect(around.subarray(0, 64).every((byte) => byte === 0xee)).toBe(true)
        expect(around.subarray(664).every((byte) => byte === 0xee)).toBe(true)
      }),
      { numRuns: 200 }
    )
  })

  it("leaves no plaintext where it was told of a source outside the slab", () => {
    const aead = crypto.aead("chacha20-poly1305", new Uint8Array(32).fill(1))
    const slab = new Uint8Array(200).fill(0x41)
    const sealer = crypto.batches!.sealer(slab)
    sealer.add(aead.batchKey!, 190, 50, 10)
    sealer.run()
    expect(slab.slice(10 + HEADER_BYTES, 10 + HEADER_BYTES + 66)).toEqual(new Uint8Array(66))
    expect(slab.slice(0, 24)).toEqual(new Uint8Array(24).fill(0x41))
  })

  it("works by single datagrams when the module holds no more keys, and takes keys again when some are wiped", () => {
    const aeads = []
    let last = crypto.aead("chacha20-poly1305", new Uint8Array(32))
    for (; last.batchKey !== undefined && aeads.length < 70_000; ) {
      aeads.push(last)
      last = crypto.aead("chacha20-poly1305", new Uint8Array(32))
    }
    expect(last.batchKey).toBeUndefined()
    const bytes = new Uint8Array(20)
    last.seal(new Uint8Array(12), new Uint8Array(14), bytes, 0, 4, bytes, 0)
    expect(last.open(new Uint8Array(12), new Uint8Array(14), bytes, 0, 20)).toBe(true)
    for (const aead of aeads) aead.wipe()
    const again = crypto.aead("chacha20-poly1305", new Uint8Array(32))
    expect(again.batchKey).toBeGreaterThan(0)
    expect(aeads.map((aead) => aead.batchKey)).not.toContain(again.batchKey)
    again.wipe()
  })

  it("gives back sealers, openers and keys that nobody holds any more", async () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const bytes = 4 * 1024 * 1024
    const before = process.memoryUsage().arrayBuffers
    let first = 0
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 10_000; i++) {
        const { batchKey } = crypto.aead("chacha20-poly1305", new Uint8Array(32))
        if (first === 0) first = batchKey!
      }
      for (let i = 0; i < 8; i++) {
        const slab = new Uint8Array(bytes)
        crypto.batches!.sealer(slab)
        crypto.batches!.opener(slab)
      }
      collect()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    // 80,000 keys are more than the module holds at once.
    expect(crypto.aead("chacha20-poly1305", new Uint8Array(32)).batchKey).toBeGreaterThan(0)
    await vi.waitFor(() => {
      collect()
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * bytes)
    })
    const sealer = crypto.batches!.sealer(new Uint8Array(100).fill(0x41))
    sealer.add(first, HEADER_BYTES, 40, 0)
    sealer.run()
    expect(sealer.slab.slice(HEADER_BYTES, 70)).toEqual(new Uint8Array(56))
  })
})
