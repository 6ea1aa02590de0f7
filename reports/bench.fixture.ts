/** A bench document as the benchmarks would write it, small but with something in every part. */

import type { BenchDocument, BenchSection } from "@horizon/core/measure/bench.ts"

const SECONDS = Array.from({ length: 60 }, (_, index) => index * 5)

const udp: BenchSection = {
  name: "udp",
  title: "UDP",
  summary: "Datagrams a second between two processes.",
  rounds: 3,
  wallSeconds: 12.5,
  idleRatio: 0.4,
  tables: [
    {
      name: "receive",
      title: "Receiving over loopback",
      rowTitle: "receiver",
      columns: [
        { name: "rate", title: "received", unit: "packets/s", better: "more", chart: true },
        { name: "lost", title: "lost", unit: "%", better: "less", chart: false }
      ],
      rows: [
        {
          name: "c",
          title: "C, recvmmsg",
          kind: "floor",
          figures: {
            rate: { median: 1_710_000, rounds: [1_700_000, 1_710_000, 1_750_000] },
            lost: { median: 0, rounds: [0, 0, 0] }
          }
        },
        {
          name: "ours",
          title: "Horizon",
          kind: "ours",
          about: "MTU 1420",
          figures: {
            rate: {
              median: 1_200_000,
              rounds: [1_100_000, 1_200_000, 1_250_000],
              ratio: { to: "C, recvmmsg", value: 0.702 }
            }
          }
        },
        { name: "absent", title: "boringtun", kind: "other", figures: {}, missing: "cargo is not installed" }
      ]
    }
  ],
  musts: [
    {
      name: "floor",
      sentence: "Horizon by the rate of C",
      value: 0.702,
      bound: 0.8,
      relation: "at least",
      unit: "×",
      met: false,
      at: { table: "receive", row: "ours", column: "rate" }
    },
    {
      name: "rate",
      sentence: "Horizon in memory",
      value: 1_200_000,
      bound: 600_000,
      relation: "at least",
      unit: "packets/s",
      met: true
    }
  ],
  series: [],
  missing: { veth: "network namespaces need root; run as root" },
  notes: ["round 2, c-gso to c-gro: it fell over"]
}

const soak: BenchSection = {
  name: "soak",
  title: "Soak",
  summary: "Minutes at full rate.",
  rounds: 1,
  wallSeconds: 300,
  idleRatio: 0.4,
  tables: [],
  musts: [
    {
      name: "memory",
      sentence: "memory of the gateway",
      value: null,
      bound: 5,
      relation: "at most",
      unit: "%",
      met: false
    }
  ],
  series: [
    { name: "gateway", unit: "bytes", group: "memory", seconds: SECONDS, values: SECONDS.map((s) => 2e8 + s * 1000) },
    { name: "client", unit: "bytes", group: "memory", seconds: SECONDS, values: SECONDS.map(() => 1.9e8) }
  ],
  missing: {},
  notes: []
}

export const sampleBench = (change: Partial<BenchDocument> = {}): BenchDocument => ({
  format: "horizon-bench/1",
  madeAt: "2026-01-02T03:04:05.678Z",
  commit: "abcdef012345",
  command: "npx horizon bench udp soak",
  fidelity: "measured on 2 × Some Processor, linux 6.1",
  environment: { node: "v24.21.0", cpu: "Some Processor", cores: 2 },
  effort: "record",
  interrupted: false,
  wallSeconds: 312.5,
  sections: [udp, soak],
  ...change
})
