import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { deviceId, identityFromSeed } from "./identity.ts"
import { nobleCrypto } from "./noble.ts"
import { STUB_CRYPTO_NAME, stubCrypto } from "./stub.ts"

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

describe("stubCrypto", () => {
  it("says by its name that it is not secure", () => {
    expect(stubCrypto.name).toBe(STUB_CRYPTO_NAME)
    expect(stubCrypto.name).toContain("insecure")
  })

  it("opens what it sealed and refuses a change of any byte, as networks make them", () => {
    const nonce = filled(12, 2)
    const associated = filled(14, 3)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (plain, where) => {
        const aead = stubCrypto.aead("chacha20-poly1305", filled(32, 1))
        const slab = new Uint8Array(plain.length + 16)
        aead.seal(nonce, associated, plain, 0, plain.length, slab, 0)
        const changed = slab.slice()
        changed[where % changed.length] ^= 1 + (where % 255)
        expect(aead.open(nonce, associated, changed, 0, changed.length)).toBe(false)
        expect(aead.open(filled(12, 4), associated, slab.slice(), 0, slab.length)).toBe(false)
        expect(aead.open(nonce, filled(14, 4), slab.slice(), 0, slab.length)).toBe(false)
        expect(aead.open(nonce, associated, slab, 0, slab.length)).toBe(true)
        expect(slab.subarray(0, plain.length)).toEqual(plain)
        aead.wipe()
      })
    )
  })

  it("keeps plaintext off the wire and tells its ciphers apart", () => {
    const plain = filled(64, 0x41)
    const slabs = (["chacha20-poly1305", "aes-256-gcm"] as const).map((name) => {
      const slab = new Uint8Array(80)
      stubCrypto.aead(name, filled(32, 1)).seal(filled(12, 2), filled(0, 0), plain, 0, 64, slab, 0)
      return slab
    })
    expect(slabs[0].subarray(0, 64)).not.toEqual(plain)
    expect(slabs[0]).not.toEqual(slabs[1])
    expect(stubCrypto.aead("aes-256-gcm", filled(32, 1)).open(filled(12, 0), filled(0, 0), filled(9, 0), 0, 9)).toBe(
      false
    )
  })

  it("agrees on secrets, refuses the all-zero key, and signs so that damage shows", () => {
    const a = filled(32, 1)
    const b = filled(32, 2)
    expect(stubCrypto.x25519Shared(a, stubCrypto.x25519Public(b))).toEqual(
      stubCrypto.x25519Shared(b, stubCrypto.x25519Public(a))
    )
    expect(stubCrypto.x25519Shared(a, filled(32, 0))).toBeUndefined()
    const signature = stubCrypto.ed25519Sign(a, b)
    expect(stubCrypto.ed25519Verify(stubCrypto.ed25519Public(a), b, signature)).toBe(true)
    expect(stubCrypto.ed25519Verify(stubCrypto.ed25519Public(a), a, signature)).toBe(false)
    expect(stubCrypto.ed25519Verify(stubCrypto.ed25519Public(b), b, signature)).toBe(false)
    expect(stubCrypto.ed25519Verify(filled(3, 0), b, signature)).toBe(false)
  })

  it("hashes as the real one does", () => {
    expect(stubCrypto.sha256(filled(9, 1))).toEqual(nobleCrypto.sha256(filled(9, 1)))
    expect(stubCrypto.hmacSha256(filled(9, 1), filled(3, 2))).toEqual(
      nobleCrypto.hmacSha256(filled(9, 1), filled(3, 2))
    )
    expect(stubCrypto.hkdfSha256(filled(9, 1), filled(3, 2), filled(2, 3), 40)).toEqual(
      nobleCrypto.hkdfSha256(filled(9, 1), filled(3, 2), filled(2, 3), 40)
    )
  })
})

describe("identity", () => {
  it("is the key pair of its seed, and keeps its own copy of it", () => {
    const seed = filled(32, 5)
    const identity = identityFromSeed(nobleCrypto, seed)
    expect(identity.publicKey).toEqual(nobleCrypto.ed25519Public(seed))
    seed.fill(0)
    expect(identity.seed).toEqual(filled(32, 5))
  })

  it("has a device id of 32 hex digits that depends on the public key alone", () => {
    const { publicKey } = identityFromSeed(nobleCrypto, filled(32, 5))
    expect(deviceId(nobleCrypto, publicKey)).toMatch(/^[0-9a-f]{32}$/)
    expect(deviceId(nobleCrypto, publicKey)).toBe(deviceId(stubCrypto, publicKey))
    expect(deviceId(nobleCrypto, filled(32, 0))).toBe("66687aadf862bd776c8fc18b8e9f8e20")
  })
})
