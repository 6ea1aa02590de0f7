import { describe, expect, it } from "vitest"
import { type AuditFinding, auditedCrypto } from "./audit.ts"
import { nobleCrypto } from "./noble.ts"
import { stubCrypto } from "./stub.ts"

const KEY = new Uint8Array(32).fill(1)
const NOTHING = new Uint8Array(0)

const watched = (inner = stubCrypto) => {
  const found: Array<AuditFinding> = []
  const crypto = auditedCrypto(inner, (finding) => found.push(finding))
  return { crypto, found }
}

const nonceOf = (sequence: number, connectionId = 7): Uint8Array => {
  const nonce = new Uint8Array(12)
  const view = new DataView(nonce.buffer)
  view.setUint32(0, connectionId, true)
  view.setUint32(4, sequence >>> 0, true)
  view.setUint32(8, Math.floor(sequence / 2 ** 32), true)
  return nonce
}

const sealer = (crypto: ReturnType<typeof auditedCrypto>, key = KEY) => {
  const aead = crypto.aead("chacha20-poly1305", key)
  return (sequence: number, connectionId?: number): Uint8Array => {
    const sealed = new Uint8Array(20)
    aead.seal(nonceOf(sequence, connectionId), NOTHING, new Uint8Array(4), 0, 4, sealed, 0)
    return sealed
  }
}

const opener = (crypto: ReturnType<typeof auditedCrypto>, key = KEY) => {
  const aead = crypto.aead("chacha20-poly1305", key)
  return (sequence: number, sealed: Uint8Array): boolean =>
    aead.open(nonceOf(sequence), NOTHING, sealed.slice(), 0, sealed.length)
}

describe("auditedCrypto", () => {
  it("passes everything through unchanged and counts it", () => {
    const { crypto, found } = watched(nobleCrypto)
    const sealed = sealer(crypto)(0)
    const bare = new Uint8Array(20)
    nobleCrypto.aead("chacha20-poly1305", KEY).seal(nonceOf(0), NOTHING, new Uint8Array(4), 0, 4, bare, 0)
    expect(sealed).toEqual(bare)
    expect(opener(crypto)(0, sealed)).toBe(true)
    expect(crypto.sha256(KEY)).toEqual(nobleCrypto.sha256(KEY))
    expect(crypto.audit).toMatchObject({ sealed: 1, opened: 1, refused: 0, keys: 1, nonceReuses: 0, replays: 0 })
    expect(crypto.name).toBe("noble (audited)")
    expect(found).toEqual([])
  })

  it("reports a nonce that seals twice under one key, through whichever object", () => {
    const { crypto, found } = watched()
    sealer(crypto)(5)
    sealer(crypto)(5)
    expect(found).toEqual(["nonce-reused"])
    expect(crypto.audit.nonceReuses).toBe(1)
  })

  it("takes the same nonce under two keys for what it is: harmless", () => {
    const { crypto, found } = watched()
    sealer(crypto)(5)
    sealer(crypto, new Uint8Array(32).fill(2))(5)
    expect(found).toEqual([])
    expect(crypto.audit.keys).toBe(2)
  })

  it("reports a packet that is opened twice, early, late or after reordering", () => {
    const { crypto, found } = watched()
    const seal = sealer(crypto)
    const open = opener(crypto)
    const packets = Array.from({ length: 10 }, (_, i) => seal(i))
    for (const i of [3, 0, 9, 1]) expect(open(i, packets[i])).toBe(true)
    expect(found).toEqual([])
    for (const i of [9, 0, 1]) open(i, packets[i])
    expect(found).toEqual(["replay-opened", "replay-opened", "replay-opened"])
    expect(open(2, packets[2])).toBe(true)
    expect(crypto.audit).toMatchObject({ opened: 8, replays: 3 })
  })

  it("counts a packet that fails its tag as refused, not as opened", () => {
    const { crypto } = watched()
    const sealed = sealer(crypto)(1)
    sealed[0] ^= 1
    expect(opener(crypto)(1, sealed)).toBe(false)
    expect(crypto.audit).toMatchObject({ refused: 1, opened: 0 })
  })

  it("says unjudged, not clean, of what it cannot remember", () => {
    const { crypto, found } = watched()
    const seal = sealer(crypto)
    seal(0)
    seal(1_000_000)
    seal(10)
    seal(2 ** 53 + 2)
    seal(3, 99)
    expect(crypto.audit).toMatchObject({ sealed: 2, unjudged: 3 })
    seal(999_999)
    seal(999_999)
    expect(found).toEqual(["nonce-reused"])
  })

  it("keeps a bounded number of skipped sequences and still finds recent repetitions", () => {
    const { crypto, found } = watched()
    const seal = sealer(crypto)
    for (let i = 0; i < 20_000; i += 2) seal(i)
    seal(1)
    expect(crypto.audit.unjudged).toBe(1)
    seal(19_997)
    seal(19_997)
    expect(found).toEqual(["nonce-reused"])
  })

  it("forgets the key unused for longest when there are too many, and says so", () => {
    const { crypto, found } = watched()
    const key = new Uint8Array(32)
    sealer(crypto)(1)
    for (let i = 0; i < 65_536; i++) {
      new DataView(key.buffer).setUint32(0, i, true)
      crypto.aead("chacha20-poly1305", key)
    }
    expect(crypto.audit.keysForgotten).toBe(1)
    sealer(crypto)(1)
    expect(found).toEqual([])
  })

  it("wipes the inner key", () => {
    const { crypto } = watched(nobleCrypto)
    const aead = crypto.aead("chacha20-poly1305", KEY)
    aead.wipe()
    expect(() => aead.open(nonceOf(0), NOTHING, new Uint8Array(16), 0, 16)).toThrow(/wiped/)
  })
})
