import fc from "fast-check"
import { expect, test } from "vitest"
import { decodeParameters, encodeParameters, type TunnelParameters } from "./parameters.ts"

const sample: TunnelParameters = {
  address: 0x0a4d0205,
  prefixLength: 16,
  gateway: 0x0a4d0001,
  mtuBytes: 1170,
  leaseSeconds: 3600
}

test("the encoding of parameters is these sixteen bytes", () => {
  expect([...encodeParameters(sample)]).toEqual([1, 16, 0x92, 0x04, 10, 77, 2, 5, 10, 77, 0, 1, 0x10, 0x0e, 0, 0])
})

test("parameters come back as they were", () => {
  const bytes = encodeParameters(sample)
  expect(decodeParameters(bytes)).toEqual(sample)
  const inside = new Uint8Array(40)
  inside.set(bytes, 11)
  expect(decodeParameters(inside.subarray(11, 27))).toEqual(sample)
})

test("whatever decodes encodes to the same bytes again", () => {
  const near = fc.tuple(fc.nat(15), fc.nat(255)).map(([at, value]) => {
    const bytes = encodeParameters(sample)
    bytes[at] = value
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(near, fc.uint8Array({ minLength: 15, maxLength: 17 })), (bytes) => {
      const decoded = decodeParameters(bytes)
      if (decoded !== undefined) expect([...encodeParameters(decoded)]).toEqual([...bytes])
    }),
    { numRuns: 500 }
  )
})

test("unusable parameters are refused", () => {
  const refused: ReadonlyArray<Partial<TunnelParameters>> = [
    { prefixLength: 15 },
    { prefixLength: 30 },
    { mtuBytes: 575 },
    { mtuBytes: 9001 },
    { address: sample.gateway },
    { address: 0x0a4d0000 },
    { address: 0x0a4dffff },
    { gateway: 0x0a4e0001 }
  ]
  for (const change of refused) expect(decodeParameters(encodeParameters({ ...sample, ...change }))).toBeUndefined()
  expect(decodeParameters(encodeParameters(sample).subarray(0, 15))).toBeUndefined()
})
