/** What every implementation of batches must give: byte for byte what `noble` makes of each datagram alone, and no plaintext without a key. */

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HEADER_BYTES, putHeader, putNonce, SEALED_OVERHEAD_BYTES, sealedFlags } from "../wire/header.ts"
import type { AeadBatches } from "./batch.ts"
import { type Aead, type AeadName, type Crypto, NONCE_BYTES, TAG_BYTES } from "./crypto.ts"
import { nobleCrypto } from "./noble.ts"

const AEADS: ReadonlyArray<AeadName> = ["chacha20-poly1305", "aes-256-gcm"]
const CONNECTION = 0x0102_0304
/** More than any implementation takes in one run. */
const MANY = 300
const SLOT_BYTES = 1536

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const keyOf = (number: number): Uint8Array => filled(32, number + 1)

/** Where the plaintext of a datagram at `at` lies, relative to where its ciphertext will. */
const place = fc.record({
  bytes: fc.oneof(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 0, max: 1472 })),
  shift: fc.oneof(fc.constant(0), fc.integer({ min: -40, max: 40 })),
  gap: fc.nat(9),
  key: fc.nat(2)
})

/** The datagram as noble seals it, alone. */
const sealedAlone = (name: AeadName, key: number, header: Uint8Array, sequence: number, text: Uint8Array) => {
  const sealed = new Uint8Array(text.length + SEALED_OVERHEAD_BYTES)
  sealed.set(header)
  const nonce = new Uint8Array(NONCE_BYTES)
  putNonce(nonce, CONNECTION, 0, sequence)
  nobleCrypto.aead(name, keyOf(key)).seal(nonce, header, text, 0, text.length, sealed, HEADER_BYTES)
  return sealed
}

const header = (sequence: number): Uint8Array => {
  const bytes = new Uint8Array(HEADER_BYTES)
  putHeader(bytes, 0, CONNECTION, 4, sealedFlags(0), 0, sequence)
  return bytes
}

/** `crypto` has batches, and its keys have numbers for them. */
export const batchContract = (crypto: Crypto): void => {
  describe.each(AEADS)(`batches of ${crypto.name}, %s`, (name) => {
    sealing(crypto, name)
    opening(crypto, name)
  })
}

const batchesOf = (crypto: Crypto): AeadBatches => crypto.batches!
const batchKey = (aead: Aead): number => aead.batchKey!

const sealing = (crypto: Crypto, name: AeadName): void => {
  it("seals datagrams of any size, at any offset, with their plaintext in place or overlapping it, as they are sealed alone", () => {
    const keys = [0, 1, 2].map((number) => crypto.aead(name, keyOf(number)))
    fc.assert(
      fc.property(fc.array(place, { maxLength: 12 }), fc.integer(), (places, salt) => {
        const slab = Uint8Array.from({ length: 12 * 2048 }, (_, i) => (i * 31 + salt) >>> 3)
        const sealer = batchesOf(crypto).sealer(slab)
        const expected: Array<readonly [at: number, bytes: Uint8Array]> = []
        let end = 0
        for (const [sequence, { bytes, gap, key, shift }] of places.entries()) {
          // Apart enough that no plaintext lies in another's datagram.
          const at = end + gap + 41
          end = at + bytes + SEALED_OVERHEAD_BYTES + 41
          const from = at + HEADER_BYTES + shift
          slab.set(header(sequence), at)
          expected.push([at, sealedAlone(name, key, header(sequence), sequence, slab.slice(from, from + bytes))])
          sealer.add(batchKey(keys[key]), from, bytes, at)
        }
        const rest = slab.slice()
        for (const [at, bytes] of expected) rest.set(bytes, at)
        sealer.run()
        expect(slab).toEqual(rest)
      }),
      { numRuns: 60 }
    )
  })

  it("seals what there is no room to note, and nothing twice", () => {
    const key = crypto.aead(name, keyOf(0))
    const slab = new Uint8Array(MANY * 64)
    const sealer = batchesOf(crypto).sealer(slab)
    for (let i = 0; i < MANY; i++) {
      slab.set(header(i), i * 64)
      slab.fill(i, i * 64 + HEADER_BYTES, i * 64 + HEADER_BYTES + 20)
      sealer.add(batchKey(key), i * 64 + HEADER_BYTES, 20, i * 64)
    }
    sealer.run()
    const once = slab.slice()
    for (let i = 0; i < MANY; i++)
      expect(slab.slice(i * 64, i * 64 + 50)).toEqual(sealedAlone(name, 0, header(i), i, filled(20, i)))
    sealer.run()
    expect(slab).toEqual(once)
  })

  it("leaves zeros, and no plaintext, of a datagram whose key was wiped before the run", () => {
    const [kept, wiped] = [crypto.aead(name, keyOf(0)), crypto.aead(name, keyOf(1))]
    const slab = filled(3 * 128, 0x41)
    const sealer = batchesOf(crypto).sealer(slab)
    for (const [i, aead] of [kept, wiped, kept].entries()) {
      slab.set(header(i), i * 128)
      sealer.add(batchKey(aead), i * 128 + HEADER_BYTES, 50, i * 128)
    }
    wiped.wipe()
    sealer.run()
    const alone = (i: number) => sealedAlone(name, 0, header(i), i, filled(50, 0x41))
    expect(slab.slice(0, 80)).toEqual(alone(0))
    expect(slab.slice(128, 128 + HEADER_BYTES)).toEqual(header(1))
    expect(slab.slice(128 + HEADER_BYTES, 208)).toEqual(new Uint8Array(50 + TAG_BYTES))
    expect(slab.slice(256, 336)).toEqual(alone(2))
    expect(slab.slice(208, 256)).toEqual(filled(48, 0x41))
  })
}

const opening = (crypto: Crypto, name: AeadName): void => {
  it("opens what was sealed alone, and says which datagrams were damaged, cut, or sealed with another key", () => {
    const keys = [0, 1, 2].map((number) => crypto.aead(name, keyOf(number)))
    const slab = new Uint8Array(128 * SLOT_BYTES)
    const opener = batchesOf(crypto).opener(slab)
    expect(opener.capacity).toBeGreaterThanOrEqual(128)
    const damage = fc.record({ kind: fc.nat(7), where: fc.nat(), bit: fc.nat(7) })
    fc.assert(
      fc.property(fc.array(fc.tuple(place, damage), { minLength: 1, maxLength: 12 }), (datagrams) => {
        const texts = datagrams.map(([{ bytes }], i) => filled(bytes, i + 1))
        const whole = datagrams.map(([{ gap, key }, { bit, kind, where }], i) => {
          const sealed = sealedAlone(name, key, header(i), i, texts[i])
          const at = i * SLOT_BYTES + gap
          const cut = kind === 2 ? 1 + (where % sealed.length) : 0
          if (kind === 1) sealed[where % sealed.length] ^= 1 << bit
          slab.set(sealed, at)
          opener.set(i, batchKey(keys[kind === 3 ? (key + 1) % 3 : key]), at, sealed.length - cut)
          return kind === 0 || kind > 3
        })
        opener.run(datagrams.length)
        for (const [i, [{ gap }]] of datagrams.entries()) {
          expect(opener.opened(i)).toBe(whole[i])
          const at = i * SLOT_BYTES + gap
          expect(slab.slice(at, at + HEADER_BYTES).length).toBe(HEADER_BYTES)
          if (whole[i]) expect(slab.slice(at + HEADER_BYTES, at + HEADER_BYTES + texts[i].length)).toEqual(texts[i])
        }
      }),
      { numRuns: 60 }
    )
  })

  it("opens nothing with a key that was wiped, before or after it was set", () => {
    const [early, late, kept] = [0, 0, 0].map((number) => crypto.aead(name, keyOf(number)))
    const slab = new Uint8Array(3 * 64)
    const opener = batchesOf(crypto).opener(slab)
    early.wipe()
    for (const [i, aead] of [early, late, kept].entries()) {
      slab.set(sealedAlone(name, 0, header(i), i, filled(20, 5)), i * 64)
      opener.set(i, batchKey(aead), i * 64, 50)
    }
    late.wipe()
    opener.run(3)
    expect([0, 1, 2].map((i) => opener.opened(i))).toEqual([false, false, true])
  })

  it("opens in place what its own sealer sealed", () => {
    const key = crypto.aead(name, keyOf(0))
    const slab = filled(SLOT_BYTES, 7)
    slab.set(header(9))
    const sealer = batchesOf(crypto).sealer(slab)
    sealer.add(batchKey(key), 700, 600, 0)
    sealer.run()
    const opener = batchesOf(crypto).opener(slab)
    opener.set(0, batchKey(key), 0, 600 + SEALED_OVERHEAD_BYTES)
    opener.run(1)
    expect(opener.opened(0)).toBe(true)
    expect(slab.slice(HEADER_BYTES, HEADER_BYTES + 600)).toEqual(filled(600, 7))
  })
}
