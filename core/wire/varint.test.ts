import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { putVarint, VARINT_BYTES_MAX, VARINT_MAX, VarintReader, varintBytes } from "./varint.ts"

const read = (bytes: ReadonlyArray<number>): number => {
  const reader = new VarintReader()
  reader.start(Uint8Array.from(bytes), 0, bytes.length)
  return reader.next()
}

describe("VarInt", () => {
  it("gives back every value from 0 to 2^53-1 and has the length that was foretold", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(52), (wide, shift) => {
        const value = Math.floor(wide / 2 ** shift)
        const bytes = new Uint8Array(VARINT_BYTES_MAX + 1)
        const end = putVarint(bytes, 1, value)
        expect(end - 1).toBe(varintBytes(value))
        const reader = new VarintReader()
        reader.start(bytes, 1, end)
        expect(reader.next()).toBe(value)
        expect(reader.at).toBe(end)
        expect(reader.next()).toBe(-1)
      }),
      { numRuns: 300 }
    )
  })

  it("is canonical: whatever is read back writes the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), (bytes) => {
        const reader = new VarintReader()
        reader.start(bytes, 0, bytes.length)
        const value = reader.next()
        if (value < 0) return
        const again = new Uint8Array(9)
        expect(again.subarray(0, putVarint(again, 0, value))).toEqual(bytes.subarray(0, reader.at))
      }),
      { numRuns: 1000 }
    )
  })

  it.each([
    ["nothing", []],
    ["a value cut off", [0x80]],
    ["zero in two bytes", [0x80, 0x00]],
    ["one in three bytes", [0x81, 0x80, 0x00]],
    ["2^53", [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ["nine bytes", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]
  ])("refuses %s", (_, bytes) => {
    expect(read(bytes)).toBe(-1)
  })

  it("takes the largest value", () => {
    expect(read([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])).toBe(VARINT_MAX)
  })
})
