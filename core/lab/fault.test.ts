import { expect, test } from "vitest"
import { describeFault, type Fault } from "./fault.ts"

const SAID: ReadonlyArray<readonly [Fault, string]> = [
  [
    {
      kind: "link",
      atMs: 0,
      forMs: 20_000,
      interface: "ada",
      direction: "both",
      change: {
        burstLoss: { goodToBadPpm: 2_500, badToGoodPpm: 200_000, lossBadPpm: 800_000, lossGoodPpm: 0 },
        jitterUs: 4_000,
        distribution: "pareto"
      }
    },
    "the link of ada has a jitter of 4 ms (pareto), 0.99 % loss in bursts (bad spells of 5 packets) for 20 s"
  ],
  [
    {
      kind: "link",
      atMs: 0,
      forMs: 500,
      interface: "ben",
      direction: "up",
      change: { delayUs: 1_500, rateBps: 256_000, lossPpm: 10_000, duplicatePpm: 0, mtuBytes: 1_280 }
    },
    "the link of ben, outwards, has a delay of 1.5 ms, a rate of 0.256 Mbit/s, 1 % loss, mtuBytes 1280 for 0.5 s"
  ],
  [
    {
      kind: "link",
      atMs: 0,
      forMs: 1_000,
      interface: "ben",
      direction: "down",
      change: { burstLoss: null, rateBps: 0 }
    },
    "the link of ben, inwards, has no limit of its rate, no bursts of loss for 1 s"
  ],
  [
    { kind: "partition", atMs: 0, forMs: 1_000, a: ["a"], b: ["b", "c"], direction: "a-to-b" },
    "a cannot reach b, c (the other way works) for 1 s"
  ],
  [
    { kind: "partition", atMs: 0, forMs: 1_000, a: ["a"], b: ["b"], direction: "both" },
    "a cannot reach b, nor the other way, for 1 s"
  ],
  [{ kind: "nat-wipe", atMs: 0, router: "r" }, "NAT r forgets all its mappings"],
  [{ kind: "nat-rebind", atMs: 0, router: "r" }, "NAT r moves every flow to a new outside port"],
  [{ kind: "crash", atMs: 0, node: "gw", downMs: null }, "gw crashes and stays down"],
  [{ kind: "crash", atMs: 0, node: "gw", downMs: 3_000 }, "gw crashes and starts again after 3 s"],
  [{ kind: "pause", atMs: 0, forMs: 2_000, node: "gw" }, "gw is paused for 2 s"],
  [{ kind: "clock-step", atMs: 0, node: "gw", stepMs: -90_000 }, "the wall clock of gw jumps by -90 s"],
  [
    { kind: "clock-drift", atMs: 0, forMs: 1_000, node: "gw", driftPpm: 50 },
    "the wall clock of gw drifts by 50 ppm for 1 s"
  ],
  [
    { kind: "store", atMs: 0, forMs: 1_000, node: "broker", mode: "busy", ppm: 100_000, delayMs: 0 },
    "the store of broker is busy (10 % of statements) for 1 s"
  ],
  [{ kind: "outage", atMs: 0, forMs: 1_000, node: "broker", mode: "down" }, "broker refuses connections for 1 s"],
  [
    { kind: "outage", atMs: 0, forMs: 1_000, node: "broker", mode: "half" },
    "broker accepts connections and never answers for 1 s"
  ],
  [
    { kind: "slow-consumer", atMs: 0, forMs: 1_000, node: "gw", everyMs: 50 },
    "gw reads its sockets only every 50 ms for 1 s"
  ],
  [{ kind: "upgrade", atMs: 0, nodes: ["a", "b"], everyMs: 1_000 }, "a, b are restarted one after the other, 1 s apart"]
]

test.each(SAID)("%o is said in words", (fault, words) => {
  expect(describeFault(fault)).toBe(words)
})
