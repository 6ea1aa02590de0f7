import fc from "fast-check"
import { expect, test } from "vitest"
import { isProbe, PROBE_BYTES_MIN, probeSentNs, probeSequence, writeProbe } from "./probe-datagram.ts"

test("what is written is read again, up to the last nanosecond that a number holds, and bytes around it stay", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      fc.integer({ min: PROBE_BYTES_MIN, max: 60 }),
      (stream, sequence, sentNs, length) => {
        const bytes = new Uint8Array(80).fill(7)
        writeProbe(bytes, 8, length, stream, sequence, sentNs)
        expect(isProbe(bytes, 8, length, stream)).toBe(true)
        expect([probeSequence(bytes, 8), probeSentNs(bytes, 8)]).toEqual([sequence, sentNs])
        expect([bytes[7], bytes[8 + length]]).toEqual([7, 7])
        expect(bytes.subarray(8 + PROBE_BYTES_MIN, 8 + length).every((byte) => byte === 0)).toBe(true)
      }
    )
  )
})

test("another stream's, a short one and other bytes are no datagrams of the stream", () => {
  const bytes = new Uint8Array(64)
  expect(isProbe(bytes, 0, 64, 0)).toBe(false)
  writeProbe(bytes, 0, 40, 3, 1, 1)
  expect(isProbe(bytes, 0, 40, 4)).toBe(false)
  expect(isProbe(bytes, 0, PROBE_BYTES_MIN - 1, 3)).toBe(false)
})
