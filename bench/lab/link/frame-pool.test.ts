import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import fc from "fast-check"
import { expect, test } from "vitest"
import { FramePool } from "./frame-pool.ts"

const poolOf = (frames: number, bytes = 64): FramePool => new FramePool(new DatagramBatch(frames, bytes))

test("a frame is given out once until it comes back, and when all are out there is none", () => {
  const pool = poolOf(3)
  const frames = [pool.take(10), pool.take(10), pool.take(10)]
  expect(new Set(frames).size).toBe(3)
  expect([pool.take(10), pool.used]).toEqual([-1, 3])
  pool.give(frames[1])
  expect([pool.take(10), pool.used]).toEqual([frames[1], 3])
})

test("a frame that is longer than a slot is not taken", () => {
  const pool = poolOf(2, 64)
  expect(pool.take(65)).toBe(-1)
  expect(pool.copyIn(new Uint8Array(100), 0, 65)).toBe(-1)
  expect(pool.used).toBe(0)
})

test("copies hold the bytes, from another slab and from its own", () => {
  const pool = poolOf(3, 64)
  const bytes = Uint8Array.from({ length: 80 }, (_, i) => i)
  const frame = pool.copyIn(bytes, 7, 60)
  const twin = pool.copyIn(pool.slab, pool.offset(frame), pool.length[frame])
  for (const one of [frame, twin]) {
    const at = pool.offset(one)
    expect(pool.slab.subarray(at, at + 64)).toEqual(Uint8Array.from([...bytes.subarray(7, 67), 0, 0, 0, 0]))
  }
})

test("no two frames that are out share a byte, whatever was taken and given before", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (steps) => {
      const pool = poolOf(8, 16)
      const out: Array<number> = []
      for (const take of steps) {
        if (take) {
          const frame = pool.take(16)
          if (frame >= 0) out.push(frame)
        } else if (out.length > 0) pool.give(out.shift()!)
      }
      expect(new Set(out).size).toBe(out.length)
      expect(pool.used).toBe(out.length)
    })
  )
})
