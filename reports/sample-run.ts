/** A run document as a runner would write it, small but with something in every part: what the report's tests start from. */

import type { RunDocument } from "@horizon/core/measure/document.ts"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import { EXIT } from "@horizon/core/measure/run.ts"

export const sampleRun = (change: Partial<Run> = {}): Run => ({
  scenario: "two-links",
  world: "simulated",
  seed: 7,
  verdict: "pass",
  exitCode: EXIT[change.verdict ?? "pass"],
  digest: "0123456789abcdef",
  events: 120_345,
  packets: 40_210,
  simulatedSeconds: 60,
  wallSeconds: 1.25,
  commit: "abcdef012345",
  nodeVersion: "v24.21.0",
  failures: [],
  repro: "npx horizon scenario run two-links --world simulated --seed 7",
  reached: [],
  drawn: { "client.reconnectMs": 250, shuffled: true },
  timelineHash: "fedcba9876543210",
  ...change
})

const SECONDS = Array.from({ length: 60 }, (_, index) => index + 1)

/** Twelve links of which some are idle, so that the report has to choose. */
const links = (name: string, unit: string, group: "throughput" | "queue"): RunDocument["series"] =>
  Array.from({ length: 12 }, (_, link) => ({
    name: `${name} host-${link}/up`,
    unit,
    group,
    seconds: SECONDS,
    values: SECONDS.map((second) =>
      link < 8 ? (second % (link + 2)) * (link + 1) * (unit === "bytes" ? 900 : 0.4) : 0
    )
  }))

const pings = (): { readonly indices: ReadonlyArray<number>; readonly counts: ReadonlyArray<number> } => {
  const histogram = new Histogram()
  for (let value = 1; value <= 2_000; value++) histogram.record(10e6 + value * value * 10)
  return histogram.sparse()
}

export const sampleDocument = (change: Partial<RunDocument> = {}): RunDocument => ({
  format: "horizon-run/1",
  run: sampleRun(),
  summary: "Two hosts talk while their link loses packets and the broker is away.",
  fidelity: "simulated",
  madeAt: "2026-01-02T03:04:05.678Z",
  environment: {
    node: "v24.21.0",
    platform: "linux x64",
    kernel: "6.1",
    cpu: "Some Processor",
    cores: 4,
    memoryGiB: 16
  },
  nodes: [
    { name: "broker", kind: "broker", host: "broker" },
    { name: "client-a", kind: "client", host: "host-a" }
  ],
  actors: Array.from({ length: 20 }, (_, index) => ({ name: `player-${index}`, kind: "player", host: "arcade" })),
  durationMs: 60_000,
  livenessFromMs: 50_000,
  faults: [
    { atMs: 10_000, untilMs: 20_000, kind: "link", words: "the link of host-a has 5 % loss for 10 s" },
    { atMs: 10_000, untilMs: 20_000, kind: "link", words: "the link of host-b has 5 % loss for 10 s" },
    { atMs: 30_000, untilMs: null, kind: "nat-rebind", words: "NAT router moves every flow to a new outside port" }
  ],
  timeline: [{ kind: "link" }, { kind: "link" }, { kind: "nat-rebind" }],
  checks: [
    { id: "no-node-failed", phase: "safety", sentence: "no node stopped by itself", checked: 2, failures: [] },
    { id: "clients-are", phase: "liveness", sentence: "every client is connected", checked: 1, failures: [] }
  ],
  watched: [{ id: "nonce-reuse", sentence: "no nonce seals twice under one key", checked: 12_345, broken: 0 }],
  latencies: [
    { op: "ping", actors: 2, outcomes: { ok: 2_000, lost: 12 }, ...pings() },
    { op: "never", actors: 1, outcomes: { refused: 3 }, indices: [], counts: [] }
  ],
  series: [
    ...links("throughput", "Mbit/s", "throughput"),
    ...links("queue", "bytes", "queue"),
    {
      name: "ping p50",
      unit: "ms",
      group: "latency",
      seconds: [1, 2, 3, 8, 9],
      values: [10, 11, 12, 30, 12]
    },
    { name: "broker sessions", unit: "sessions", group: "control", seconds: [15, 30, 45, 60], values: [1, 2, null, 2] }
  ],
  moments: [
    {
      title: "the link of host-a has 5 % loss for 10 s",
      atNs: 10e9,
      participants: ["world", "client-a", "broker"],
      steps: [
        { atNs: 10e9, from: "world", to: "world", label: "the link of host-a has 5 % loss", lost: "" },
        { atNs: 10.1e9, from: "client-a", to: "broker", label: "heartbeat", lost: "unreachable" },
        { atNs: 12e9, from: "client-a", to: "broker", label: "heartbeat", lost: "" }
      ]
    }
  ],
  log: Array.from({ length: 250 }, (_, index) => ({
    id: index * 3,
    atNs: index * 200e6,
    node: index % 2 === 0 ? "broker" : "client-a",
    kind: index % 5 === 0 ? "client.status" : "session.established",
    words: `line ${index}`
  })),
  ...change
})

/** A run in which a check failed at an event that the log shows. */
export const failedDocument = (): RunDocument => {
  const failure = {
    id: "no-node-failed",
    verdict: "safety",
    sentence: "broker stopped: Error: no space\n    at write",
    events: [600, 601]
  } as const
  return sampleDocument({
    run: sampleRun({ seed: 8, verdict: "safety", exitCode: EXIT.safety, failures: [failure] }),
    checks: [
      { id: "no-node-failed", phase: "safety", sentence: "no node stopped by itself", checked: 2, failures: [failure] },
      {
        id: "clients-are",
        phase: "liveness",
        sentence: "every client is connected",
        checked: 0,
        failures: [{ id: "clients-are", verdict: "unknown", sentence: "nothing to check", events: [] }]
      }
    ]
  })
}
