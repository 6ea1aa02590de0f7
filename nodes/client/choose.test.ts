import fc from "fast-check"
import { expect, test } from "vitest"
import { type Candidate, chooseServer } from "./choose.ts"

const at = (serverId: string, rttUs: number, loadPpm = 0): Candidate => ({ serverId, rttUs, loadPpm })

test("the nearest gateway is chosen, whatever its load", () => {
  expect(chooseServer([at("a", 30_000), at("b", 9_000, 900_000), at("c", 50_000)], undefined)?.serverId).toBe("b")
})

test("gateways within a millisecond or a tenth of the nearest count as equal: the less loaded one is chosen, then the lower id", () => {
  expect(chooseServer([at("a", 9_000, 500), at("b", 9_900, 100)], undefined)?.serverId).toBe("b")
  expect(chooseServer([at("a", 100_000, 500), at("b", 110_000, 100)], undefined)?.serverId).toBe("b")
  expect(chooseServer([at("a", 100_000, 500), at("b", 110_001, 100)], undefined)?.serverId).toBe("a")
  expect(chooseServer([at("z", 9_000, 7), at("b", 9_500, 7)], undefined)?.serverId).toBe("b")
})

test("the gateway used last is kept while it answers, because the member has its address there", () => {
  expect(chooseServer([at("a", 1_000), at("home", 80_000, 900_000)], "home")?.serverId).toBe("home")
  expect(chooseServer([at("a", 1_000), at("b", 80_000)], "home")?.serverId).toBe("a")
})

test("without candidates there is no choice, and with some there always is one, whatever their order", () => {
  expect(chooseServer([], "home")).toBeUndefined()
  const candidate = fc.record({
    serverId: fc.stringMatching(/^[a-f]{1,4}$/),
    rttUs: fc.nat(200_000),
    loadPpm: fc.nat(1_000_000)
  })
  fc.assert(
    fc.property(fc.uniqueArray(candidate, { selector: (each) => each.serverId, minLength: 1 }), (candidates) => {
      const chosen = chooseServer(candidates, undefined)
      expect(chosen).toBeDefined()
      expect(chooseServer([...candidates].reverse(), undefined)).toEqual(chosen)
    })
  )
})
