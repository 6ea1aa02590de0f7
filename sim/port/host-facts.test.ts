import { type HostFactsInstance, hostFactsContract } from "@horizon/core/port/host-facts.contract.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { Hardware, layerHostFacts } from "./host-facts.ts"

hostFactsContract({
  name: "simulated",
  open: (): HostFactsInstance => ({
    run: (effect) => Effect.runPromise(Effect.scoped(effect)),
    layer: layerHostFacts(new Hardware("host"))
  })
})

const values = (hardware: Hardware): ReadonlyArray<string> =>
  hardware.facts().map(({ kind, value }) => `${kind} ${value}`)
const kept = (before: ReadonlyArray<string>, hardware: Hardware): ReadonlyArray<string> => {
  const now = values(hardware)
  return before.filter((value) => now.includes(value))
}

test("a host's facts follow from its name, and two hosts share nothing that names a part", () => {
  expect(values(new Hardware("one"))).toEqual(values(new Hardware("one")))
  expect(kept(values(new Hardware("one")), new Hardware("two"))).toEqual(["memory 8 GiB"])
})

test("another network interface changes one fact, another board all but the system's number", () => {
  const hardware = new Hardware("one")
  const before = values(hardware)
  expect(before.map((value) => value.split(" ")[0])).toEqual(["board", "cpu", "machine-id", "memory", "nic", "nic"])
  hardware.swapNic()
  expect(kept(before, hardware)).toHaveLength(before.length - 1)
  const swapped = values(hardware)
  hardware.swapBoard()
  expect(kept(swapped, hardware).map((value) => value.split(" ")[0])).toEqual(["machine-id"])
  expect(values(hardware)).toHaveLength(before.length)
})
