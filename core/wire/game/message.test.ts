import { readFileSync } from "node:fs"
import fc from "fast-check"
import { expect, test } from "vitest"
import { INPUTS_MAX, Input, readInput, writeInput } from "./input.ts"
import { readJoin, readWelcome, Welcome, writeJoin, writeWelcome } from "./join.ts"
import { GAME_DROP, MESSAGE_BYTES_MAX } from "./message.ts"
import { GRID_ERROR_UM, GRID_MAX, GRID_UM, quadrantCentre, quadrantOf, RELATIVE_STEPS_MAX, toGrid } from "./quantise.ts"
import {
  entityRoom,
  readSnapshot,
  SNAPSHOT_ENTITIES_MAX,
  SNAPSHOT_LEAVES_MAX,
  Snapshot,
  writeSnapshot
} from "./snapshot.ts"

const golden: Record<string, string> = JSON.parse(
  readFileSync(new URL("../golden/game.json", import.meta.url), "utf8")
).messages

const hex = (bytes: Uint8Array, length: number): string => Buffer.from(bytes.subarray(0, length)).toString("hex")

const slot = () => new Uint8Array(MESSAGE_BYTES_MAX + 16)

const u8 = fc.integer({ min: 0, max: 255 })
const u16 = fc.integer({ min: 0, max: 65_535 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const positionUm = fc.integer({ min: -60_000_000_000, max: 60_000_000_000 })

const exampleWelcome = (): Welcome =>
  Object.assign(new Welcome(), {
    player: 0x1234,
    capacity: 0x2000,
    tick: 0x01020304,
    tickRateHz: 60,
    snapshotEvery: 2,
    maxSpeedMmS: 6000,
    worldHalfM: 500,
    radiusM: 100,
    xUm: 12_345_678,
    yUm: -12_345_678
  })

const exampleInput = (): Input => {
  const input = Object.assign(new Input(), {
    sequence: 0x0a0b0c0d,
    ackOrdinal: 77,
    ackMask: 0xf0f0f0f0,
    viewHash: 0xdeadbeef,
    count: 3
  })
  input.direction.set([1, 128, 255])
  input.speed.set([100, 0, 200])
  return input
}

const exampleSnapshot = (): Snapshot => {
  const snapshot = Object.assign(new Snapshot(), {
    epoch: 3,
    tick: 1000,
    ordinal: 500,
    inputSequence: 990,
    inputMask: 0xfffffffd,
    dwellUs: 8333,
    xUm: 131_071_999,
    yUm: -131_072_000,
    direction: 64,
    speed: 100,
    visible: 9,
    count: 2,
    leaves: 1
  })
  snapshot.id.set([7, 300])
  snapshot.gridX.set([16_384 + 16_383, 5])
  snapshot.gridY.set([-16_384 - 16_383, -5])
  snapshot.entityDirection.set([10, 20])
  snapshot.entitySpeed.set([127, 50])
  snapshot.fresh.set([0, 1])
  snapshot.leave.set([65_534])
  return snapshot
}

const pictured = (snapshot: Snapshot) => ({
  ...snapshot,
  id: [...snapshot.id.subarray(0, snapshot.count)],
  gridX: [...snapshot.gridX.subarray(0, snapshot.count)],
  gridY: [...snapshot.gridY.subarray(0, snapshot.count)],
  entityDirection: [...snapshot.entityDirection.subarray(0, snapshot.count)],
  entitySpeed: [...snapshot.entitySpeed.subarray(0, snapshot.count)],
  fresh: [...snapshot.fresh.subarray(0, snapshot.count)],
  leave: [...snapshot.leave.subarray(0, snapshot.leaves)]
})

const examples: Record<string, (bytes: Uint8Array) => number> = {
  join: (bytes) => writeJoin(bytes, 0),
  welcome: (bytes) => writeWelcome(exampleWelcome(), bytes, 0),
  input: (bytes) => writeInput(exampleInput(), bytes, 0),
  snapshot: (bytes) => writeSnapshot(exampleSnapshot(), bytes, 0)
}

test("every message has the golden bytes", () => {
  const written = Object.fromEntries(
    Object.entries(examples).map(([name, write]) => {
      const bytes = slot()
      return [name, hex(bytes, write(bytes))]
    })
  )
  expect(written).toEqual(golden)
})

test("golden bytes are read back as the fields that they were written from", () => {
  const welcome = new Welcome()
  const input = new Input()
  const snapshot = new Snapshot()
  const bytes = (name: string) => new Uint8Array(Buffer.from(golden[name], "hex"))
  expect(readJoin(bytes("join"), 0, 2)).toBe(0)
  expect(readWelcome(welcome, bytes("welcome"), 0, bytes("welcome").length)).toBe(0)
  expect(welcome).toEqual(exampleWelcome())
  expect(readInput(input, bytes("input"), 0, bytes("input").length)).toBe(0)
  expect(input).toEqual(exampleInput())
  expect(readSnapshot(snapshot, bytes("snapshot"), 0, bytes("snapshot").length)).toBe(0)
  expect(pictured(snapshot)).toEqual(pictured(exampleSnapshot()))
})

test("any WELCOME of a possible world survives the wire exactly", () => {
  fc.assert(
    fc.property(
      fc.record({
        player: fc.integer({ min: 0, max: 99 }),
        capacity: fc.integer({ min: 100, max: 65_535 }),
        tick: u32,
        tickRateHz: fc.integer({ min: 1, max: 1000 }),
        snapshotEvery: fc.integer({ min: 1, max: 255 }),
        maxSpeedMmS: u32,
        worldHalfM: u32,
        radiusM: u16,
        xUm: positionUm,
        yUm: positionUm
      }),
      fc.integer({ min: 0, max: 9 }),
      (fields, at) => {
        const bytes = slot()
        const written = Object.assign(new Welcome(), fields)
        const read = new Welcome()
        expect(readWelcome(read, bytes, at, writeWelcome(written, bytes, at))).toBe(GAME_DROP.none)
        expect(read).toEqual(written)
      }
    )
  )
})

test("any INPUT survives the wire exactly", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(u8, u8), { minLength: 1, maxLength: INPUTS_MAX }),
      fc.integer({ min: INPUTS_MAX, max: 0xffff_ffff }),
      u32,
      u32,
      u32,
      (entries, sequence, ackOrdinal, ackMask, viewHash) => {
        const bytes = slot()
        const written = Object.assign(new Input(), { sequence, ackOrdinal, ackMask, viewHash, count: entries.length })
        written.direction.set(entries.map(([direction]) => direction))
        written.speed.set(entries.map(([, speed]) => speed))
        const read = new Input()
        expect(readInput(read, bytes, 3, writeInput(written, bytes, 3))).toBe(GAME_DROP.none)
        expect(read).toEqual(written)
      }
    )
  )
})

const relative = fc.integer({ min: -RELATIVE_STEPS_MAX, max: RELATIVE_STEPS_MAX })

test("any SNAPSHOT survives the wire exactly, wherever in its quadrant the player stands", () => {
  fc.assert(
    fc.property(
      positionUm,
      positionUm,
      fc.array(
        fc.tuple(u16, relative, relative, u8, fc.integer({ min: 0, max: 127 }), fc.integer({ min: 0, max: 1 })),
        {
          maxLength: entityRoom(SNAPSHOT_LEAVES_MAX)
        }
      ),
      fc.array(u16, { maxLength: SNAPSHOT_LEAVES_MAX }),
      u32,
      (xUm, yUm, entities, leaves, number) => {
        const written = new Snapshot()
        Object.assign(written, {
          xUm,
          yUm,
          count: entities.length,
          leaves: leaves.length,
          tick: number,
          inputMask: number
        })
        for (const [i, [id, dx, dy, direction, speed, fresh]] of entities.entries()) {
          written.id[i] = id
          written.gridX[i] = toGrid(xUm) + dx
          written.gridY[i] = toGrid(yUm) + dy
          written.entityDirection[i] = direction
          written.entitySpeed[i] = speed
          written.fresh[i] = fresh
        }
        written.leave.set(leaves)
        const bytes = slot()
        const length = writeSnapshot(written, bytes, 5)
        const read = new Snapshot()
        expect(length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX)
        expect(readSnapshot(read, bytes, 5, length)).toBe(GAME_DROP.none)
        expect(pictured(read)).toEqual(pictured(written))
      }
    )
  )
})

test("the fullest snapshot fits one datagram of 1,200 bytes with header and tag", () => {
  expect(entityRoom(0)).toBe(SNAPSHOT_ENTITIES_MAX)
  for (let leaves = 0; leaves <= SNAPSHOT_LEAVES_MAX; leaves++) {
    const full = Object.assign(new Snapshot(), { count: entityRoom(leaves), leaves })
    expect(14 + writeSnapshot(full, slot(), 0) + 16).toBeLessThanOrEqual(1200)
  }
})

test("a grid point is never farther than four millimetres from its position on each axis", () => {
  fc.assert(
    fc.property(positionUm, (um) => {
      const error = um - toGrid(um) * GRID_UM
      expect(error).toBeGreaterThanOrEqual(-GRID_ERROR_UM)
      expect(error).toBeLessThan(GRID_ERROR_UM)
    }),
    { numRuns: 2000 }
  )
})

test("everything within 131 metres of a viewer fits int16 relative to the centre of the viewer's quadrant", () => {
  expect(RELATIVE_STEPS_MAX * GRID_UM).toBeGreaterThan(131_000_000)
  fc.assert(
    fc.property(fc.integer({ min: -GRID_MAX, max: GRID_MAX }), relative, (viewer, offset) => {
      const fromCentre = viewer + offset - quadrantCentre(quadrantOf(viewer))
      expect(fromCentre).toBeGreaterThanOrEqual(-32_768)
      expect(fromCentre).toBeLessThanOrEqual(32_767)
    }),
    { numRuns: 2000 }
  )
})

const readers: Record<string, (bytes: Uint8Array, at: number, length: number) => number> = {
  join: readJoin,
  welcome: (bytes, at, length) => readWelcome(new Welcome(), bytes, at, length),
  input: (bytes, at, length) => readInput(new Input(), bytes, at, length),
  snapshot: (bytes, at, length) => readSnapshot(new Snapshot(), bytes, at, length)
}

test("no bytes whatever make a reader throw or answer outside the drop codes", () => {
  const codes: ReadonlyArray<number> = Object.values(GAME_DROP)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200 }), fc.integer({ min: 16, max: 19 }), (bytes, type) => {
      if (bytes.length > 0 && (bytes.length & 1) === 0) bytes[0] = type
      for (const read of Object.values(readers)) expect(codes).toContain(read(bytes, 0, bytes.length))
    }),
    { numRuns: 500 }
  )
})

test("every cut and every lengthening of a message is refused", () => {
  for (const [name, text] of Object.entries(golden)) {
    const bytes = new Uint8Array([...Buffer.from(text, "hex"), 0, 0, 0])
    const length = text.length / 2
    for (let cut = 0; cut < length; cut++) expect([name, cut, readers[name](bytes, 0, cut)]).not.toEqual([name, cut, 0])
    expect(readers[name](bytes, 0, length + 1)).toBe(GAME_DROP.malformed)
  }
})

test("fields out of range are refused", () => {
  const change = (name: string, at: number, value: number): number => {
    const bytes = new Uint8Array(Buffer.from(golden[name], "hex"))
    bytes[at] = value
    return readers[name](bytes, 0, bytes.length)
  }
  expect(change("join", 1, 2)).toBe(GAME_DROP.unknownVersion)
  expect(change("welcome", 1, 2)).toBe(GAME_DROP.unknownVersion)
  expect(change("welcome", 12, 0)).toBe(GAME_DROP.malformed)
  expect(change("welcome", 13, 1)).toBe(GAME_DROP.malformed)
  expect(change("welcome", 3, 0xff)).toBe(GAME_DROP.malformed)
  expect(change("welcome", 27, 0x7f)).toBe(GAME_DROP.malformed)
  expect(change("welcome", 33, 0x7f)).toBe(GAME_DROP.malformed)
  expect(change("input", 1, 0)).toBe(GAME_DROP.malformed)
  expect(change("snapshot", 35, 128)).toBe(GAME_DROP.malformed)
  expect(change("snapshot", 31, 0x7f)).toBe(GAME_DROP.malformed)
  expect(change("snapshot", 39, SNAPSHOT_LEAVES_MAX + 1)).toBe(GAME_DROP.malformed)
  const first = Object.assign(new Input(), { sequence: 2, count: 3 })
  const bytes = slot()
  expect(readInput(new Input(), bytes, 0, writeInput(first, bytes, 0))).toBe(GAME_DROP.malformed)
})
