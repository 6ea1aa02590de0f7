import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { DROP, DROP_NAMES, dropCounters, namedDrops } from "./drop.ts"
import {
  channelAt,
  checkHeader,
  connectionIdAt,
  connectionIdOf,
  epochAt,
  FLAG,
  generationOf,
  HEADER_BYTES,
  isSealed,
  putHeader,
  putNonce,
  sealedFlags,
  sequenceHighAt,
  sequenceLowAt,
  slotOf,
  workerOf
} from "./header.ts"

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const headerOf = (channel: number, flags: number, low = 0): Uint8Array => {
  const bytes = new Uint8Array(64)
  putHeader(bytes, 0, 7, channel, flags, 0, low)
  return bytes
}

describe("header", () => {
  it("gives back what was written, at any offset, and touches only its 14 bytes", () => {
    fc.assert(
      fc.property(u32, fc.nat(4), fc.nat(3), u32, u32, fc.nat(9), (id, channel, epoch, high, low, at) => {
        const slab = new Uint8Array(64).fill(0xcc)
        putHeader(slab, at, id, channel, sealedFlags(epoch), high, low)
        expect(connectionIdAt(slab, at)).toBe(id)
        expect(channelAt(slab, at)).toBe(channel)
        expect(epochAt(slab, at)).toBe(epoch)
        expect(sequenceHighAt(slab, at)).toBe(high)
        expect(sequenceLowAt(slab, at)).toBe(low)
        expect(isSealed(slab, at)).toBe(true)
        expect(checkHeader(slab, at, 64 - at)).toBe(DROP.none)
        expect(slab.filter((byte, i) => byte !== 0xcc && (i < at || i >= at + HEADER_BYTES)).length).toBe(0)
      })
    )
  })

  it("is little-endian: connection id, channel, flags, sequence low word first", () => {
    const bytes = new Uint8Array(14)
    putHeader(bytes, 0, 0x04030201, 4, sealedFlags(2), 0x0c0b0a09, 0x08070605)
    expect([...bytes]).toEqual([1, 2, 3, 4, 4, 0x43, 5, 6, 7, 8, 9, 10, 11, 12])
    const nonce = new Uint8Array(12)
    putNonce(nonce, 0x04030201, 0x0c0b0a09, 0x08070605)
    expect([...nonce]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  })

  it.each([
    ["13 bytes", headerOf(3, 0), 13, DROP.short],
    ["a sealed body without room for its tag", headerOf(4, sealedFlags(0)), 29, DROP.short],
    ["a high channel bit", headerOf(0x14, sealedFlags(0)), 64, DROP.reserved],
    ["channel 5", headerOf(5, sealedFlags(0)), 64, DROP.reserved],
    ["flag bit 7", headerOf(4, sealedFlags(0) | 0x80), 64, DROP.reserved],
    ["encrypted without AEAD", headerOf(4, FLAG.encrypted), 64, DROP.reserved],
    ["AEAD without encrypted", headerOf(4, FLAG.aead), 64, DROP.reserved],
    ["a compressed body", headerOf(0, sealedFlags(0) | FLAG.compressed), 64, DROP.unsupported],
    ["a fragment flag", headerOf(0, sealedFlags(0) | FLAG.fragment), 64, DROP.unsupported],
    ["a rekey flag", headerOf(0, sealedFlags(0) | FLAG.rekey), 64, DROP.unsupported],
    ["a handshake on a data channel", headerOf(0, 0), 64, DROP.reserved],
    ["a handshake with a sequence", headerOf(3, 0, 1), 64, DROP.reserved],
    ["a handshake with an epoch", headerOf(3, 0x20), 64, DROP.reserved]
  ])("refuses %s", (_, bytes, length, drop) => {
    expect(checkHeader(bytes, 0, length)).toBe(drop)
  })

  it("splits connection ids into worker, slot and generation", () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(65535), fc.integer({ min: 1, max: 255 }), (worker, slot, generation) => {
        const id = connectionIdOf(worker, slot, generation)
        expect(id).toBeGreaterThan(0)
        expect([workerOf(id), slotOf(id), generationOf(id)]).toEqual([worker, slot, generation])
      })
    )
  })
})

describe("drop codes", () => {
  it("have a name each, at their own number", () => {
    for (const [name, code] of Object.entries(DROP)) expect(DROP_NAMES[code]).toBe(name)
    expect(DROP_NAMES.length).toBe(Object.keys(DROP).length)
  })

  it("name the counters that are not zero", () => {
    const drops = dropCounters()
    drops[DROP.forged] = 2
    expect(namedDrops(drops)).toEqual({ forged: 2 })
  })
})
