import { expect, test } from "vitest"
import { HOST_FACT_CHARACTERS_MAX, HOST_FACTS_MAX, type HostFact, orderFacts } from "./host-facts.ts"

test("facts are trimmed, cut, sorted, and neither empty nor twice there, in whatever order they were found", () => {
  const found: ReadonlyArray<HostFact> = [
    { kind: "nic", value: "02:00:00:00:00:02" },
    { kind: "cpu", value: "x".repeat(1_000) },
    { kind: "nic", value: " 02:00:00:00:00:01\n" },
    { kind: "nic", value: "02:00:00:00:00:01" },
    { kind: "board", value: " \n" }
  ]
  const ordered: ReadonlyArray<HostFact> = [
    { kind: "cpu", value: "x".repeat(HOST_FACT_CHARACTERS_MAX) },
    { kind: "nic", value: "02:00:00:00:00:01" },
    { kind: "nic", value: "02:00:00:00:00:02" }
  ]
  expect(orderFacts(found)).toEqual(ordered)
  expect(orderFacts([...found].reverse())).toEqual(ordered)
})

test("of a host with very many interfaces only interfaces are left out", () => {
  const nics = Array.from({ length: 100 }, (_, i): HostFact => ({ kind: "nic", value: `nic ${i}` }))
  const facts = orderFacts([...nics, { kind: "machine-id", value: "m" }, { kind: "board", value: "b" }])
  expect(facts).toHaveLength(HOST_FACTS_MAX)
  expect(facts.filter(({ kind }) => kind !== "nic").map(({ value }) => value)).toEqual(["b", "m"])
})
