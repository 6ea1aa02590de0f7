import { readFileSync } from "node:fs"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  ACK_RANGES_MAX,
  FRAME,
  FrameReader,
  PATH_CHALLENGE,
  PATH_RESPONSE,
  putBye,
  putPath,
  putPing,
  putPong,
  putReady,
  READ
} from "./frame.ts"
import { putVarint } from "./varint.ts"

interface GoldenFrame {
  readonly name: string
  readonly hex: string
  readonly type: number
  readonly value: number
  readonly second: number
  readonly third: number
  readonly data: string
}

const GOLDEN: ReadonlyArray<GoldenFrame> = JSON.parse(
  readFileSync(new URL("./golden/frames.json", import.meta.url), "utf8")
).frames

/** All frames of a body as one object each; `undefined` if it is malformed. */
const framesOf = (body: Uint8Array): Array<{ type: number; value: number; data: string }> | undefined => {
  const reader = new FrameReader()
  const slab = new Uint8Array(body.length + 6).fill(0xff)
  slab.set(body, 3)
  reader.start(slab, 3, body.length)
  const frames: Array<{ type: number; value: number; data: string }> = []
  for (;;) {
    const read = reader.next()
    if (read === READ.end) return frames
    if (read === READ.malformed) return undefined
    const data = bytesToHex(slab.subarray(reader.dataAt, reader.dataAt + reader.dataBytes))
    frames.push({ type: reader.type, value: reader.value, data })
  }
}

const join = (...parts: ReadonlyArray<ReadonlyArray<number> | Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]))
const varint = (value: number): Uint8Array => {
  const bytes = new Uint8Array(9)
  return bytes.slice(0, putVarint(bytes, 0, value))
}
const written = (write: (slab: Uint8Array) => number): Uint8Array => {
  const slab = new Uint8Array(300)
  return slab.slice(0, write(slab))
}

describe("frames", () => {
  it.each(GOLDEN)("reads the golden $name", ({ hex, type, value, second, third, data }) => {
    const bytes = hexToBytes(hex)
    const reader = new FrameReader()
    reader.start(bytes, 0, bytes.length)
    expect(reader.next()).toBe(READ.frame)
    expect(reader.type).toBe(type)
    if (value >= 0) expect(reader.value).toBe(value)
    if (second >= 0) expect(reader.second).toBe(second)
    if (third >= 0) expect(reader.third).toBe(third)
    expect(bytesToHex(bytes.subarray(reader.dataAt, reader.dataAt + reader.dataBytes))).toBe(data)
    expect(reader.next()).toBe(READ.end)
  })

  it("has a golden frame of every type", () => {
    expect([...new Set(GOLDEN.map(({ type }) => type))].sort((a, b) => a - b)).toEqual(
      Object.values(FRAME).sort((a, b) => a - b)
    )
  })

  it.each(GOLDEN.filter(({ type }) => type < FRAME.application))(
    "refuses the golden $name cut anywhere",
    ({ hex, type }) => {
      const bytes = hexToBytes(hex)
      for (let length = 1; length < bytes.length; length++) {
        // The data of a FRAGMENT goes to the end of the body, so it may be shorter.
        if (type !== FRAME.fragment || length < 4) expect(framesOf(bytes.subarray(0, length))).toBeUndefined()
      }
    }
  )

  it("writes what it reads", () => {
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const golden = (name: string): string => GOLDEN.find((frame) => frame.name === name)!.hex
    expect(bytesToHex(written((slab) => putPing(slab, 0, 0xdeadbeef)))).toBe(golden("PING"))
    expect(bytesToHex(written((slab) => putPong(slab, 0, 0xdeadbeef)))).toBe(golden("PONG"))
    expect(bytesToHex(written((slab) => putBye(slab, 0, 10)))).toBe(golden("BYE"))
    expect(bytesToHex(written((slab) => putPath(slab, 0, PATH_CHALLENGE, data, 0)))).toBe(golden("PATH challenge"))
    expect(bytesToHex(written((slab) => putPath(slab, 0, PATH_RESPONSE, data, 0)))).toBe(golden("PATH response"))
    expect(bytesToHex(written((slab) => putReady(slab, 0, new Uint8Array(0))))).toBe(golden("READY without parameters"))
    expect(bytesToHex(written((slab) => putReady(slab, 0, data)))).toBe(golden("READY"))
    expect(written((slab) => putReady(slab, 0, new Uint8Array(256))).length).toBe(259)
  })

  it("walks over frames of every kind in one body, the application's last and whole", () => {
    const own = GOLDEN.filter(({ type }) => type < FRAME.application && type !== FRAME.fragment)
    const body = join(...own.map(({ hex }) => hexToBytes(hex)), [16, 4, 99, 17, 5])
    const frames = framesOf(body)
    expect(frames?.map(({ type }) => type)).toEqual([...own.map(({ type }) => type), 16])
    expect(frames?.at(-1)?.data).toBe("1004631105")
  })

  it("takes an empty body for what it is", () => {
    expect(framesOf(new Uint8Array(0))).toEqual([])
  })

  it.each([
    ["type 0", [0]],
    ["a reserved type", [11, 0, 0]],
    ["PATH of a third kind", [9, 2, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["MSG longer than the body", [2, 1, 5, 1, 2, 3, 4]],
    ["MSG with an overlong length", [2, 1, 0x81, 0x00, 9]],
    ["FRAGMENT 3 of 3", [3, 1, 3, 2, 9]],
    ["FRAGMENT of 257", [3, 1, 0, 0x80, 0x02, 9]],
    ["ACK whose first range is below zero", [1, 5, 0, 0, 6]],
    ["ACK whose second range is below zero", [1, 5, 0, 1, 2, 0, 2]],
    ["ACK with too many ranges", [1, 200, 1, 0, ACK_RANGES_MAX + 1, 0]],
    ["READY of 257 bytes", join([10], varint(257), new Uint8Array(257))]
  ])("refuses %s", (_, bytes) => {
    expect(framesOf(Uint8Array.from(bytes))).toBeUndefined()
  })

  it("takes an ACK that reaches exactly to zero", () => {
    expect(framesOf(Uint8Array.from([1, 5, 0, 1, 2, 0, 1]))).toHaveLength(1)
  })

  it("never reads outside the body and always ends, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        const reader = new FrameReader()
        reader.start(body, 0, body.length)
        for (let count = 0; count <= body.length; count++) {
          if (reader.next() !== READ.frame) return
          expect(reader.dataAt + reader.dataBytes).toBeLessThanOrEqual(body.length)
        }
        expect.unreachable("More frames than bytes.")
      }),
      { numRuns: 3000 }
    )
  })
})
