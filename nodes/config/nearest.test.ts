import { expect, test } from "vitest"
import { didYouMean, editDistance, nearest } from "./nearest.ts"

const names = ["steady-state", "lossy-wifi", "broker-outage", "broker-half-outage", "lan-party", "swarm"]

test("the edit distance counts insertions, deletions, replacements and swaps", () => {
  expect(editDistance("swarm", "swarm")).toBe(0)
  expect(editDistance("swram", "swarm")).toBe(1)
  expect(editDistance("kitten", "sitting")).toBe(3)
  expect(editDistance("", "abc")).toBe(3)
})

test("typing errors and beginnings find the name that was meant, nonsense finds none", () => {
  expect(nearest("lossy-wfi", names)).toEqual(["lossy-wifi"])
  expect(nearest("broker", names)).toEqual(["broker-outage", "broker-half-outage"])
  expect(nearest("LAN-PARTY", names)).toEqual(["lan-party"])
  expect(nearest("quantum", names)).toEqual([])
  expect(didYouMean("swrm", names)).toBe("; did you mean swarm?")
  expect(didYouMean("quantum", names)).toBe("")
})
