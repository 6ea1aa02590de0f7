import fc from "fast-check"
import { expect, test } from "vitest"
import { InputCredit } from "./credit.ts"
import { InputQueues } from "./inputs.ts"
import { DIRECTIONS, directionTo, movedX, movedY, stepUm } from "./movement.ts"

const FAR_UM = 1e12
const INPUT_NS = 1e9 / 60

test("sixty inputs at full speed cover one second's distance in every direction", () => {
  for (let direction = 0; direction < DIRECTIONS; direction++) {
    let x = 0
    let y = 0
    for (let i = 0; i < 60; i++) {
      x = movedX(x, direction, stepUm(6000, 100, 60), FAR_UM)
      y = movedY(y, direction, stepUm(6000, 100, 60), FAR_UM)
    }
    expect(Math.abs(Math.hypot(x, y) - 6_000_000)).toBeLessThan(200)
    expect(directionTo(x, y)).toBe(direction)
  }
})

test("the table of directions is the same on every machine", () => {
  let sum = 0
  for (let direction = 0; direction < DIRECTIONS; direction++) {
    sum = (Math.imul(sum, 31) + movedX(0, direction, 1 << 20, FAR_UM) * 7 + movedY(0, direction, 1 << 20, FAR_UM)) | 0
  }
  expect(sum).toBe(TABLE_SUM)
})
const TABLE_SUM = 1_528_438_784

test("nobody leaves the world", () => {
  expect(movedX(990, 0, 100, 1000)).toBe(1000)
  expect(movedX(-990, 128, 100, 1000)).toBe(-1000)
  expect(movedY(990, 64, 100, 1000)).toBe(1000)
  expect(movedY(-990, 192, 100, 1000)).toBe(-1000)
})

const account = (limitNs = 5e8) => {
  const credit = new InputCredit({ players: 2, limitNs, inputNs: INPUT_NS })
  credit.open(1, 0)
  return credit
}

test("however inputs are timed, the purse pays for no more than real time, one percent and the limit", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2_000_000_000), fc.nat(200)), { maxLength: 50 }), (bursts) => {
      const credit = account()
      let nowNs = 0
      let paid = 0
      for (const [waitNs, inputs] of bursts) {
        nowNs += waitNs
        credit.refill(1, nowNs)
        for (let i = 0; i < inputs; i++) if (credit.spend(1)) paid++
        expect(paid * INPUT_NS).toBeLessThanOrEqual(nowNs * 1.01 + 5e8 + 1)
      }
    })
  )
})

test("one who sends 60 inputs a second is never accused, through any stalls and the bursts after them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.nat(10_000_000_000)), { maxLength: 40 }),
      (stalls) => {
        const credit = account()
        let dueNs = 0
        let pathNs = 0
        for (const [inputs, stallNs] of stalls) {
          const heldUntilNs = Math.max(pathNs, dueNs + stallNs)
          for (let i = 0; i < inputs; i++, dueNs += INPUT_NS) {
            pathNs = Math.max(heldUntilNs, dueNs)
            expect(credit.claim(1, pathNs)).toBe(false)
          }
        }
      }
    )
  )
})

test("one whose clock runs half a percent fast is not accused in an hour", () => {
  const credit = account()
  for (let i = 0; i < 60 * 3600; i++) expect(credit.claim(1, i * INPUT_NS * 0.995)).toBe(false)
})

test("one who sends two inputs for each is accused within half a second's worth, and never before it gained anything", () => {
  const credit = account()
  let accusedAt = -1
  for (let i = 0; i < 600 && accusedAt < 0; i++) if (credit.claim(1, (i * INPUT_NS) / 2)) accusedAt = i
  expect(accusedAt).toBeGreaterThan(30)
  expect(accusedAt).toBeLessThanOrEqual(62)
})

test("inputs leave a queue in the order and with the values in which they came, and a full queue refuses", () => {
  const queues = new InputQueues(3)
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 100; i++) expect(queues.put(1, round * 1000 + i, i, i + 1, round * 10 + i)).toBe(true)
    for (let i = 0; i < 100; i++) {
      expect(queues.take(1)).toBe(true)
      const { takenSequence, takenDirection, takenSpeed, takenArrivalNs } = queues
      expect([takenSequence, takenDirection, takenSpeed, takenArrivalNs]).toEqual([
        round * 1000 + i,
        i,
        i + 1,
        round * 10 + i
      ])
    }
  }
  expect(queues.take(1)).toBe(false)
  for (let i = 0; i < 128; i++) expect(queues.put(2, i + 1, 0, 0, 0)).toBe(true)
  expect(queues.put(2, 129, 0, 0, 0)).toBe(false)
  expect(queues.newest[2]).toBe(129)
  queues.reset(2)
  expect(queues.take(2)).toBe(false)
})
