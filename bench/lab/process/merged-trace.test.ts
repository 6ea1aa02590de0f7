import fc from "fast-check"
import { expect, test } from "vitest"
import { MergedTrace } from "./merged-trace.ts"

test("streams that are each in order come out as one in order, ids included, whatever arrives first", () => {
  const stream = fc.array(fc.nat(50), { maxLength: 30 }).map((times) => times.sort((a, b) => a - b))
  fc.assert(
    fc.property(fc.array(stream, { minLength: 1, maxLength: 4 }), fc.infiniteStream(fc.nat()), (streams, choices) => {
      const trace = new MergedTrace()
      const rest = streams.map((times, node) => ({ node: String(node), times: [...times] }))
      for (;;) {
        const open = rest.filter(({ times }) => times.length > 0)
        if (open.length === 0) break
        const { node, times } = open[choices.next().value! % open.length]
        trace.write(times.shift()!, node, "fact", { name: "n", value: times.length })
      }
      trace.settle()
      expect(trace.events.map((event) => event.id)).toEqual(trace.events.map((_, index) => index))
      expect(trace.events.map((event) => event.atNs)).toEqual(streams.flat().sort((a, b) => a - b))
      // Within one stream nothing is turned round.
      for (const [node, times] of streams.entries()) {
        const own = trace.events.filter((event) => event.node === String(node))
        expect(own.map((event) => event.kind === "fact" && event.fields.value)).toEqual(
          times.map((_, index) => times.length - 1 - index)
        )
      }
    })
  )
})

test("what is over the bound is counted and not kept", () => {
  const trace = new MergedTrace(2)
  for (const at of [3, 1, 2]) trace.write(at, "world", "phase.liveness", {})
  expect([trace.events.map((event) => event.atNs), trace.dropped]).toEqual([[1, 3], 1])
})
