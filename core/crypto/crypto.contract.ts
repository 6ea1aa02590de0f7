/**
 * What every implementation of `Crypto` must give: the vectors of RFC 8439, 7748, 5869, 8032, 4231, FIPS 180-4 and the GCM
 * specification, and properties that vectors do not show.
 */

import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { AeadName, Crypto } from "./crypto.ts"

const hex = (text: string): Uint8Array => hexToBytes(text.replaceAll(/\s/g, ""))
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const counting = (from: number, to: number): Uint8Array =>
  Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const AEADS: ReadonlyArray<AeadName> = ["chacha20-poly1305", "aes-256-gcm"]

export const cryptoContract = (crypto: Crypto): void => {
  describe(`crypto contract: ${crypto.name}`, () => {
    hashes(crypto)
    curves(crypto)
    signatures(crypto)
    aeads(crypto)
  })
}

const hashes = (crypto: Crypto): void => {
  it("hashes the messages of FIPS 180-4 to their digests", () => {
    expect(bytesToHex(crypto.sha256(new Uint8Array(0)))).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    expect(bytesToHex(crypto.sha256(utf8ToBytes("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    expect(bytesToHex(crypto.sha256(utf8ToBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")))).toBe(
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )
  })

  it.each([
    [
      "1",
      filled(20, 0x0b),
      utf8ToBytes("Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ],
    [
      "2",
      utf8ToBytes("Jefe"),
      utf8ToBytes("what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ],
    ["3", filled(20, 0xaa), filled(50, 0xdd), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
    ["4", counting(1, 25), filled(50, 0xcd), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"],
    [
      "6",
      filled(131, 0xaa),
      utf8ToBytes("Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ]
  ])("gives the HMAC of RFC 4231 case %s", (_, key, data, expected) => {
    expect(bytesToHex(crypto.hmacSha256(key, data))).toBe(expected)
  })

  it("derives the keys of RFC 5869 appendix A", () => {
    const short = crypto.hkdfSha256(filled(22, 0x0b), counting(0, 0x0c), counting(0xf0, 0xf9), 42)
    expect(bytesToHex(short)).toBe(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    const long = crypto.hkdfSha256(counting(0, 0x4f), counting(0x60, 0xaf), counting(0xb0, 0xff), 82)
    expect(bytesToHex(long)).toBe(
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )
    const bare = crypto.hkdfSha256(filled(22, 0x0b), new Uint8Array(0), new Uint8Array(0), 42)
    expect(bytesToHex(bare)).toBe(
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
  })
}

const curves = (crypto: Crypto): void => {
  it("multiplies as in the vectors of RFC 7748 §5.2", () => {
    const scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    const point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    expect(bytesToHex(crypto.x25519Shared(scalar, point)!)).toBe(
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    )
  })

  it("agrees on the secret of RFC 7748 §6.1", () => {
    const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    const alicePublic = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    expect(bytesToHex(crypto.x25519Public(bob))).toBe(
      "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    )
    expect(bytesToHex(crypto.x25519Shared(bob, alicePublic)!)).toBe(
      "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    )
  })

  it("agrees with itself: both ends compute the same secret", () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (a, b) => {
        const one = crypto.x25519Shared(a, crypto.x25519Public(b))
        expect(crypto.x25519Shared(b, crypto.x25519Public(a))).toEqual(one)
        expect(one?.length).toBe(32)
      }),
      { numRuns: 10 }
    )
  })

  it.each([
    ["zero", filled(32, 0)],
    ["one", Uint8Array.of(1, ...filled(31, 0))],
    ["order eight", hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")]
  ])("refuses the peer key of low order: %s", (_, key) => {
    expect(crypto.x25519Shared(filled(32, 7), key)).toBeUndefined()
  })
}

const signatures = (crypto: Crypto): void => {
  it.each([
    [
      "1",
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ],
    [
      "2",
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ],
    [
      "3",
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ]
  ])("signs as in RFC 8032 §7.1 test %s", (_, seed, key, message, signature) => {
    expect(bytesToHex(crypto.ed25519Public(hex(seed)))).toBe(key)
    expect(bytesToHex(crypto.ed25519Sign(hex(seed), hex(message)))).toBe(signature)
    expect(crypto.ed25519Verify(hex(key), hex(message), hex(signature))).toBe(true)
  })

  it("refuses a signature with any byte changed, another message and another key", () => {
    const seed = filled(32, 9)
    const key = crypto.ed25519Public(seed)
    const message = utf8ToBytes("horizon")
    const signature = crypto.ed25519Sign(seed, message)
    for (let i = 0; i < 64; i += 7) {
      const changed = signature.slice()
      changed[i] ^= 1
      expect(crypto.ed25519Verify(key, message, changed)).toBe(false)
    }
    expect(crypto.ed25519Verify(key, utf8ToBytes("Horizon"), signature)).toBe(false)
    expect(crypto.ed25519Verify(crypto.ed25519Public(filled(32, 8)), message, signature)).toBe(false)
  })

  it("says false to malformed keys and signatures instead of throwing", () => {
    const message = utf8ToBytes("horizon")
    expect(crypto.ed25519Verify(filled(31, 1), message, filled(64, 1))).toBe(false)
    expect(crypto.ed25519Verify(filled(32, 1), message, filled(63, 1))).toBe(false)
    expect(crypto.ed25519Verify(filled(32, 0xff), message, filled(64, 0xff))).toBe(false)
    fc.assert(
      fc.property(bytes(32), bytes(64), (key, signature) => !crypto.ed25519Verify(key, message, signature)),
      { numRuns: 20 }
    )
  })
}

const SUNSCREEN =
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."

const aeads = (crypto: Crypto): void => {
  it("seals as in RFC 8439 §2.8.2", () => {
    const aead = crypto.aead("chacha20-poly1305", counting(0x80, 0x9f))
    const plain = utf8ToBytes(SUNSCREEN)
    const sealed = new Uint8Array(plain.length + 16)
    aead.seal(hex("070000004041424344454647"), hex("50515253c0c1c2c3c4c5c6c7"), plain, 0, plain.length, sealed, 0)
    expect(bytesToHex(sealed)).toBe(
      bytesToHex(
        hex(`d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e06
          0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116
          1ae10b594f09e26a7e902ecbd0600691`)
      )
    )
  })

  it("seals as test case 16 of the GCM specification", () => {
    const aead = crypto.aead("aes-256-gcm", hex("feffe9928665731c6d6a8f9467308308".repeat(2)))
    const plain = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    const sealed = new Uint8Array(plain.length + 16)
    aead.seal(
      hex("cafebabefacedbaddecaf888"),
      hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
      plain,
      0,
      plain.length,
      sealed,
      0
    )
    expect(bytesToHex(sealed)).toBe(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
  })

  describe.each(AEADS)("%s", (name) => {
    it("opens what it sealed, in place, at any offset and length", () => {
      fc.assert(
        fc.property(
          bytes(32),
          bytes(12),
          fc.uint8Array({ maxLength: 40 }),
          fc.uint8Array({ maxLength: 1400 }),
          fc.nat(20),
          (key, nonce, associated, plain, at) => {
            const aead = crypto.aead(name, key)
            const slab = new Uint8Array(at + plain.length + 16 + 5).fill(0xee)
            slab.set(plain, at)
            aead.seal(nonce, associated, slab, at, plain.length, slab, at)
            expect(slab.subarray(0, at).every((byte) => byte === 0xee)).toBe(true)
            expect(slab.subarray(at + plain.length + 16).every((byte) => byte === 0xee)).toBe(true)
            expect(aead.open(nonce, associated, slab, at, plain.length + 16)).toBe(true)
            expect(slab.subarray(at, at + plain.length)).toEqual(plain)
          }
        ),
        { numRuns: 30 }
      )
    })

    it("seals messages longer than any datagram", () => {
      const aead = crypto.aead(name, filled(32, 1))
      const slab = filled(10_000 + 16, 5)
      aead.seal(filled(12, 2), filled(14, 3), slab, 0, 10_000, slab, 0)
      expect(aead.open(filled(12, 2), filled(14, 3), slab, 0, 10_016)).toBe(true)
      expect(slab.subarray(0, 10_000).every((byte) => byte === 5)).toBe(true)
    })

    it("refuses a change of any byte of ciphertext, tag, nonce, associated data and key", () => {
      const key = filled(32, 1)
      const nonce = filled(12, 2)
      const associated = filled(14, 3)
      const sealed = new Uint8Array(36)
      crypto.aead(name, key).seal(nonce, associated, filled(20, 4), 0, 20, sealed, 0)
      for (const [part, count] of [
        [0, 36],
        [1, 12],
        [2, 14],
        [3, 32]
      ]) {
        for (let i = 0; i < count; i++) {
          const parts = [sealed.slice(), nonce.slice(), associated.slice(), key.slice()]
          parts[part][i] ^= 0x10
          expect(crypto.aead(name, parts[3]).open(parts[1], parts[2], parts[0], 0, 36)).toBe(false)
        }
      }
    })

    it("refuses what is shorter than a tag, and seals and opens nothing at all", () => {
      const aead = crypto.aead(name, filled(32, 1))
      expect(aead.open(filled(12, 0), filled(0, 0), filled(15, 0), 0, 15)).toBe(false)
      const tag = new Uint8Array(16)
      aead.seal(filled(12, 0), filled(0, 0), tag, 0, 0, tag, 0)
      expect(aead.open(filled(12, 0), filled(0, 0), tag, 0, 16)).toBe(true)
    })

    it("copies the key it is given, and refuses to work after a wipe", () => {
      const key = filled(32, 1)
      const aead = crypto.aead(name, key)
      const before = new Uint8Array(20)
      aead.seal(filled(12, 0), filled(0, 0), filled(4, 1), 0, 4, before, 0)
      key.fill(0)
      expect(aead.open(filled(12, 0), filled(0, 0), before, 0, 20)).toBe(true)
      aead.wipe()
      expect(() => aead.seal(filled(12, 0), filled(0, 0), filled(4, 1), 0, 4, before, 0)).toThrow(/wiped/)
      expect(() => aead.open(filled(12, 0), filled(0, 0), before, 0, 20)).toThrow(/wiped/)
    })
  })
}

/** Both implementations give the same bytes for the same random inputs, and the same verdicts. */
export const sameBytes = (a: Crypto, b: Crypto): void => {
  it(`${a.name} and ${b.name} give the same bytes`, () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), bytes(12), fc.uint8Array({ maxLength: 300 }), (one, two, nonce, data) => {
        expect(a.sha256(data)).toEqual(b.sha256(data))
        expect(a.hmacSha256(one, data)).toEqual(b.hmacSha256(one, data))
        expect(a.hkdfSha256(one, two, data, 77)).toEqual(b.hkdfSha256(one, two, data, 77))
        expect(a.x25519Public(one)).toEqual(b.x25519Public(one))
        expect(a.x25519Shared(one, two)).toEqual(b.x25519Shared(one, two))
        expect(a.ed25519Public(one)).toEqual(b.ed25519Public(one))
        const signature = a.ed25519Sign(one, data)
        expect(signature).toEqual(b.ed25519Sign(one, data))
        expect(b.ed25519Verify(a.ed25519Public(one), data, signature)).toBe(true)
        for (const name of AEADS) {
          const sealed = [a, b].map((crypto) => {
            const slab = new Uint8Array(data.length + 16)
            crypto.aead(name, one).seal(nonce, two, data, 0, data.length, slab, 0)
            return slab
          })
          expect(sealed[0]).toEqual(sealed[1])
          expect(b.aead(name, one).open(nonce, two, sealed[0], 0, sealed[0].length)).toBe(true)
        }
      }),
      { numRuns: 15 }
    )
  })
}
