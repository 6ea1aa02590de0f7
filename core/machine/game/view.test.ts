import fc from "fast-check"
import { expect, test } from "vitest"
import { Snapshot } from "../../wire/game/snapshot.ts"
import { PlayerSight } from "./player-sight.ts"
import { ACK, PlayerView } from "./view.ts"

const CAPACITY = 12

/** Sends one snapshot of the given entities and leaves through the model, and gives what the player would get. */
const send = (
  view: PlayerView,
  entities: ReadonlyArray<readonly [number, number]>,
  leaves: ReadonlyArray<number>
): Snapshot => {
  const snapshot = new Snapshot()
  snapshot.epoch = view.epoch
  snapshot.ordinal = view.begin(11, 0, 0, 0, 0)
  snapshot.tick = snapshot.ordinal * 2
  for (const [id, x] of entities) {
    snapshot.id[snapshot.count] = id
    snapshot.gridX[snapshot.count++] = x
    view.noteEntity(id, x, 0, 0, 0, 0)
  }
  for (const id of leaves) {
    snapshot.leave[snapshot.leaves++] = id
    view.noteLeave(id)
  }
  return snapshot
}

const acknowledge = (view: PlayerView, sight: PlayerSight): number =>
  view.acknowledge(sight.ordinal, sight.mask, sight.hash)

const step = fc.record({
  entities: fc.uniqueArray(fc.tuple(fc.nat(9), fc.integer({ min: -1000, max: 1000 })), {
    maxLength: 6,
    selector: ([id]) => id
  }),
  gone: fc.uniqueArray(fc.nat(9), { maxLength: 3 }),
  arrives: fc.boolean(),
  answered: fc.boolean()
})

test("whatever is lost in either direction, the model is the player's view at each acknowledged snapshot", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const view = new PlayerView(CAPACITY)
      const sight = new PlayerSight(CAPACITY)
      view.reset()
      for (const { entities, gone, arrives, answered } of steps) {
        const leaves = gone.filter((id) => !entities.some(([present]) => present === id))
        const snapshot = send(view, entities, leaves)
        if (arrives) expect(sight.take(0, 11, snapshot)).toBe(true)
        if (!answered || sight.ordinal === 0) continue
        const ack = acknowledge(view, sight)
        expect(ack).not.toBe(ACK.unequal)
        if (ack === ACK.equal) {
          const held = (set: { readonly dense: Uint16Array; readonly size: number }) =>
            [...set.dense.subarray(0, set.size)].sort()
          expect(held(view.known)).toEqual(held(sight.held))
        }
      }
    }),
    { numRuns: 300 }
  )
})

test("a hole in the acknowledgements that is wider than they speak of starts a new epoch, which the player follows", () => {
  const view = new PlayerView(CAPACITY)
  const sight = new PlayerSight(CAPACITY)
  sight.take(0, 11, send(view, [[1, 5]], []))
  expect(acknowledge(view, sight)).toBe(ACK.equal)
  for (let i = 0; i < 34; i++) sight.take(0, 11, send(view, [[2, i]], []))
  expect(acknowledge(view, sight)).toBe(ACK.restarted)
  expect(acknowledge(view, sight)).toBe(ACK.old)
  expect(view.epoch).toBe(1)
  expect(view.known.size).toBe(0)
  sight.take(0, 11, send(view, [[3, 9]], []))
  expect(acknowledge(view, sight)).toBe(ACK.equal)
  expect([...sight.held.dense.subarray(0, sight.held.size)]).toEqual([3])
})

test("thirty-three snapshots in one acknowledgement are no hole", () => {
  const view = new PlayerView(CAPACITY)
  const sight = new PlayerSight(CAPACITY)
  for (let i = 0; i < 33; i++) sight.take(0, 11, send(view, [[i % 7, i]], []))
  expect(acknowledge(view, sight)).toBe(ACK.equal)
  expect(view.epoch).toBe(0)
})

test("an acknowledgement of a snapshot that is no longer remembered starts a new epoch", () => {
  const view = new PlayerView(CAPACITY)
  const sight = new PlayerSight(CAPACITY)
  sight.take(0, 11, send(view, [[1, 5]], []))
  for (let i = 0; i < 64; i++) send(view, [[2, i]], [])
  expect(acknowledge(view, sight)).toBe(ACK.restarted)
})

test("an acknowledgement of what was never sent is known as such", () => {
  const view = new PlayerView(CAPACITY)
  send(view, [], [])
  expect(view.acknowledge(2, 0, 0)).toBe(ACK.future)
})

test("an id that another entity has now is told from the one that the player holds", () => {
  const view = new PlayerView(CAPACITY)
  const sight = new PlayerSight(CAPACITY)
  sight.take(0, 11, send(view, [[4, 100]], []))
  acknowledge(view, sight)
  expect(view.isOther(4, 0)).toBe(false)
  expect(view.isOther(4, 1)).toBe(true)
  expect(view.isOther(5, 1)).toBe(false)
})

test("a fresh entity is shown at its place at once, not on the way from the other's", () => {
  const sight = new PlayerSight(CAPACITY)
  const view = new PlayerView(CAPACITY)
  sight.take(0, 11, send(view, [[4, 100]], []))
  const jump = send(view, [[4, 900]], [])
  jump.fresh[0] = 1
  sight.take(33_000_000, 11, jump)
  expect(sight.shownX(4, 33_000_000, 60)).toBe(900 * 8000)
})

test("a snapshot that names an entity beyond the capacity is refused as a whole", () => {
  const sight = new PlayerSight(CAPACITY)
  const view = new PlayerView(100)
  expect(
    sight.take(
      0,
      11,
      send(
        view,
        [
          [1, 1],
          [50, 1]
        ],
        []
      )
    )
  ).toBe(false)
  expect(sight.take(0, 11, send(view, [[1, 1]], [50]))).toBe(false)
  expect([sight.held.size, sight.ordinal, sight.hash]).toEqual([0, 0, 0])
})
