import { describe, expect, it } from "vitest"
import { Link, type LinkSink } from "./link.ts"
import { seededStreams } from "./recording-sink.ts"
import { type LinkSpec, linkSpec } from "./spec.ts"

// In a file of its own: other tests in one process would make V8 forget what it has optimised.
describe("the packet path", () => {
  it.each<readonly [string, Partial<LinkSpec>]>([
    ["only delays", { delayUs: 20_000 }],
    ["shapes and delays", { delayUs: 20_000, rateBps: 100_000_000, overheadBytes: 38 }]
  ])(
    "allocates no object once it is warm in a link that %s, because a simulated second is millions of packets",
    (_, change) => {
      const silent: LinkSink = {
        deliver() {},
        drop() {},
        copy: (packet) => packet,
        flipBit() {},
        truncate() {},
        markCe() {},
        tooBig() {}
      }
      const spec = linkSpec(change)
      const link = new Link(spec, seededStreams(1), silent)
      let nowNs = 0
      const window = 2_000
      const bytesPerPacket = (): number => {
        const before = process.memoryUsage().heapUsed
        for (let i = 0; i < window; i++) link.offer((nowNs += 90_000), i, 1200, false)
        return (process.memoryUsage().heapUsed - before) / window
      }
      for (let i = 0; i < 100; i++) bytesPerPacket()
      // Windows are small so that few see a collection; the median is then what a packet costs.
      const windows = Array.from({ length: 51 }, bytesPerPacket).sort((x, y) => x - y)
      // V8 may box the two times that cross the interface, 16 bytes each; the smallest object beside them would show.
      expect(windows[25]).toBeLessThan(40)
    }
  )
})
