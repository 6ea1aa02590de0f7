import { describe, expect, it } from "vitest"
import { linkSpec, PERFECT_LINK } from "./spec.ts"
import { LINK_LIMITS, linkFieldProblems, linkSpecProblems } from "./validate.ts"

const codel = { kind: "codel", packetsMax: 10, bytesMax: 10, targetUs: 1, intervalUs: 1, ecn: true }

describe("what is valid", () => {
  it("the perfect link, nothing at all, and each field at its bounds", () => {
    for (const data of [
      PERFECT_LINK,
      linkSpec(),
      {},
      { delayUs: LINK_LIMITS.delayUs, jitterUs: LINK_LIMITS.jitterUs, lossPpm: 1_000_000 },
      { rateBps: LINK_LIMITS.rateBpsMin, overheadBytes: LINK_LIMITS.overheadBytes, mtuBytes: 0 },
      { rateBps: LINK_LIMITS.rateBps, queue: codel },
      { deliveryTraceMs: [0, 0, 5], dropList: [Number.MAX_SAFE_INTEGER, 0] },
      { reorderGap: { gap: 1, ppm: 0 }, burstLoss: null }
    ])
      expect(linkSpecProblems(data)).toEqual([])
  })
})

describe("what is not valid is told in words, each with its field", () => {
  const cases: ReadonlyArray<readonly [unknown, string]> = [
    [null, "a link is an object with fields such as delayUs, not null"],
    [[1], "a link is an object with fields such as delayUs, not [1]"],
    ["fast", "a link is an object with fields such as delayUs, not fast"],
    [{ delayMs: 5 }, "delayMs: not a field of a link (they are delayUs, jitterUs,"],
    [{ toString: 5 }, "toString: not a field of a link"],
    [{ delayUs: undefined }, "delayUs: undefined; leave the field out to have its default"],
    [{ delayUs: -1 }, "delayUs: -1 is not an integer from 0 to 3600000000"],
    [{ delayUs: 0.5 }, "delayUs: 0.5 is not an integer"],
    [{ delayUs: "20" }, "delayUs: 20 is not an integer"],
    [{ jitterUs: Number.NaN }, "jitterUs: NaN is not an integer"],
    [{ lossPpm: 1_000_001 }, "lossPpm: 1000001 is not an integer from 0 to 1000000"],
    [{ corruptPpm: null }, "corruptPpm: null is not an integer"],
    [{ distribution: "gauss" }, "distribution: gauss is not one of uniform, normal, pareto, paretonormal"],
    [{ reordering: true }, "reordering: true is not one of allowed, forbidden"],
    [{ reorderGap: { gap: 0, ppm: 5 } }, "reorderGap.gap: 0 is not an integer from 1"],
    [{ reorderGap: { gap: 2 } }, "reorderGap.ppm: missing"],
    [{ reorderGap: { gap: 2, ppm: 1, percent: 3 } }, "reorderGap.percent: not a field here"],
    [{ reorderGap: 5 }, "reorderGap: 5 is not an object with gap, ppm"],
    [{ burstLoss: { goodToBadPpm: 1, badToGoodPpm: 1, lossBadPpm: -3, lossGoodPpm: 0 } }, "burstLoss.lossBadPpm: -3"],
    [{ dropList: 7 }, "dropList: 7 is not a list"],
    [{ dropList: [1, -2] }, "dropList[1]: -2 is not an integer"],
    [
      { dropList: new Array(LINK_LIMITS.dropList + 1).fill(0) },
      "dropList: 1000001 entries, at most 1000000 are allowed"
    ],
    [{ rateBps: 999 }, "rateBps (0 = unlimited): 999 is not an integer from 1000"],
    [{ mtuAnswer: 1 }, "mtuAnswer: 1 is neither true nor false"],
    [{ queue: { kind: "red" } }, 'queue: {"kind":"red"} is not an object whose kind is droptail or codel'],
    [{ queue: "codel" }, "queue: codel is not an object whose kind is droptail or codel"],
    [{ queue: { ...codel, targetUs: 0 } }, "queue.targetUs: 0 is not an integer from 1"],
    [{ queue: { kind: "droptail", packetsMax: 1, bytesMax: 2, ecn: true } }, "queue.ecn: not a field here"],
    [
      { deliveryTraceMs: [5], rateBps: 1_000_000 },
      "deliveryTraceMs: a link has a delivery trace or a rateBps, not both"
    ],
    [{ deliveryTraceMs: [5, 4] }, "deliveryTraceMs[1]: 4 comes after 5; times never fall"],
    [{ deliveryTraceMs: [0] }, "deliveryTraceMs: the last time is the length of one repetition and must be above 0"],
    [
      { reorderGap: { gap: 2, ppm: 1 }, reordering: "forbidden" },
      'reorderGap: lets packets overtake, which reordering "forbidden" rules out'
    ]
  ]

  it.each(cases)("%j", (data, words) => {
    const problems = linkSpecProblems(data)
    expect(problems.length).toBe(1)
    expect(problems[0]).toContain(words)
  })

  it("fields at odds with each other are no problem of a single field", () => {
    expect(linkFieldProblems({ deliveryTraceMs: [5], rateBps: 1_000_000 })).toEqual([])
    expect(linkFieldProblems({ deliveryTraceMs: [0], rateBps: -1 }).length).toBe(2)
  })

  it("all problems at once, and long values shortened", () => {
    const problems = linkSpecProblems({ delayUs: -1, lossPpm: -1, distribution: "x".repeat(500) })
    expect(problems.length).toBe(3)
    expect(Math.max(...problems.map((problem) => problem.length))).toBeLessThan(150)
  })
})
