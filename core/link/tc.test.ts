import { describe, expect, it } from "vitest"
import { type LinkSpec, linkSpec, type QueueSpec } from "./spec.ts"
import { tcClear, tcPlan } from "./tc.ts"

/** The plan's commands as lines, without what all of them begin with. */
const lines = (change: Partial<LinkSpec>): ReadonlyArray<string> => {
  const plan = tcPlan(linkSpec(change), "veth0")
  if (!plan.ok) throw new Error(plan.refusals.map((refusal) => refusal.sentence).join("; "))
  return plan.qdiscs.map((words) => words.join(" ").replace("qdisc add dev veth0 ", ""))
}

const notes = (change: Partial<LinkSpec>): string => {
  const plan = tcPlan(linkSpec(change), "veth0")
  return plan.ok ? plan.notes.join("; ") : "refused"
}

const packets: QueueSpec = { kind: "droptail", packetsMax: 100, bytesMax: 1_000_000 }
const bytes: QueueSpec = { kind: "droptail", packetsMax: 100, bytesMax: 50_000 }
const codel: QueueSpec = { ...packets, kind: "codel", targetUs: 5_000, intervalUs: 100_000, ecn: true }
const burstLoss = { goodToBadPpm: 10_000, badToGoodPpm: 200_000, lossBadPpm: 900_001, lossGoodPpm: 1 }

describe("without a shaper one netem does all", () => {
  it("and its words are whole arguments", () => {
    expect(tcPlan(linkSpec({ delayUs: 20_000 }), "veth0")).toEqual({
      ok: true,
      qdiscs: [
        ["qdisc", "add", "dev", "veth0", "root", "handle", "1:", "netem", "limit", "1000000", "delay", "20000us"]
      ],
      notes: []
    })
    expect(tcClear("veth0")).toEqual(["qdisc", "del", "dev", "veth0", "root"])
  })

  it("in netem's words for each impairment", () => {
    const word = (change: Partial<LinkSpec>): string =>
      lines(change)[0].replace("root handle 1: netem limit 1000000", "")
    expect(word({})).toBe("")
    expect(word({ lossPpm: 12_345 })).toBe(" loss random 1.2345%")
    expect(word({ burstLoss })).toBe(" loss gemodel 1% 20% 90.0001% 0.0001%")
    expect(word({ corruptPpm: 1_000, duplicatePpm: 5_000 })).toBe(" corrupt 0.1% duplicate 0.5%")
    expect(word({ jitterUs: 500 })).toBe(" delay 1us 500us distribution normal")
    expect(word({ jitterUs: 500, distribution: "uniform" })).toBe(" delay 0us 500us")
    expect(word({ delayUs: 9, jitterUs: 5, distribution: "uniform" })).toBe(" delay 9us 5us")
    expect(word({ delayUs: 9, reorderGap: { gap: 5, ppm: 250_000 } })).toBe(" delay 9us reorder 25% gap 5")
  })

  it("with a rate of its own where packets must keep their order", () => {
    expect(lines({ delayUs: 9, jitterUs: 5, reordering: "forbidden" })[0]).toMatch(/normal rate 1000000000000bit$/)
    expect(lines({ delayUs: 9, reordering: "forbidden" })[0]).toMatch(/delay 9us$/)
  })

  it("noting that corruption may hit the Ethernet header", () => {
    expect(notes({ corruptPpm: 1 })).toMatch(/Ethernet header/)
  })
})

describe("with a rate before a queue bounded in packets", () => {
  it("one netem delays and a second one in it shapes, so that packets on their way take no room in the queue", () => {
    const change = { rateBps: 10_000_000, overheadBytes: 38, queue: packets, delayUs: 10_000, lossPpm: 10_000 }
    expect(lines(change)).toEqual([
      "root handle 1: netem limit 1000000 loss random 1% delay 10000us",
      "parent 1:1 handle 2: netem limit 101 rate 10000000bit 24"
    ])
    expect(notes(change)).toBe("queue: bytesMax is not enforced, only packetsMax")
    expect(lines({ rateBps: 10_000_000, queue: packets })).toEqual([
      "root handle 1: netem limit 101 rate 10000000bit -14"
    ])
  })

  it("what changes the order or the gaps of packets comes behind the shaper, and the plan says what kernels count in the queue", () => {
    const change = { rateBps: 10_000_000, queue: packets, delayUs: 10_000 }
    const shaper = "root handle 1: netem limit 101 rate 10000000bit -14"
    expect(lines({ ...change, jitterUs: 500 })).toEqual([
      shaper,
      "parent 1:1 handle 2: netem limit 1000000 delay 10000us 500us distribution normal"
    ])
    expect(lines({ ...change, reorderGap: { gap: 5, ppm: 250_000 } })).toEqual([
      shaper,
      "parent 1:1 handle 2: netem limit 1000000 delay 10000us reorder 25% gap 5"
    ])
    expect(notes({ ...change, jitterUs: 500 })).toMatch(/most kernels count the packets on their way/)
  })

  it("a duplicating netem stands alone, and the plan says what that changes", () => {
    const change = { rateBps: 10_000_000, queue: packets, delayUs: 10_000, jitterUs: 100, duplicatePpm: 10_000 }
    expect(lines(change)).toEqual([
      "root handle 1: netem limit 101 duplicate 1% delay 10000us 100us distribution normal rate 10000000bit -14"
    ])
    expect(notes(change)).toMatch(/duplicatePpm: .*; reordering: /)
    expect(notes({ ...change, reordering: "forbidden" })).not.toMatch(/reordering: /)
  })
})

describe("with a rate before CoDel or a queue bounded in bytes", () => {
  it("a token bucket stands in netem and CoDel in that", () => {
    const change = { rateBps: 10_000_000, overheadBytes: 38, queue: codel, delayUs: 10_000 }
    expect(lines(change)).toEqual([
      "root handle 1: stab overhead 24 linklayer ethernet netem limit 1000000 delay 10000us",
      "parent 1:1 handle 2: tbf rate 10000000bit burst 1552b limit 1000000b",
      "parent 2:1 handle 3: codel limit 100 target 5000us interval 100000us ecn"
    ])
    expect(notes(change)).toMatch(/first packet of a burst.*delayUs: .*bytesMax is not enforced/)
    expect(lines({ ...change, queue: { ...codel, ecn: false } })[2]).toMatch(/noecn$/)
  })

  it("the token bucket stands alone where nothing else is asked, with the size table that only a root may have", () => {
    expect(lines({ rateBps: 8_000_000, overheadBytes: 38, queue: { ...codel, ecn: false } })).toEqual([
      "root handle 1: stab overhead 24 linklayer ethernet tbf rate 8000000bit burst 1552b limit 1000000b",
      "parent 1:1 handle 2: codel limit 100 target 5000us interval 100000us noecn"
    ])
  })

  it("the token bucket's own limit bounds a queue in bytes, and the bucket holds a millisecond or a packet", () => {
    expect(lines({ rateBps: 1_000_000_000, queue: bytes, mtuBytes: 0 })).toEqual([
      "root handle 1: stab overhead -14 linklayer ethernet tbf rate 1000000000bit burst 125000b limit 65549b"
    ])
    expect(notes({ rateBps: 1_000_000, queue: bytes })).toMatch(/packetsMax is not enforced/)
  })
})

describe("what tc cannot do is refused", () => {
  const cases: ReadonlyArray<readonly [keyof LinkSpec, Partial<LinkSpec>]> = [
    ["dropList", { dropList: [1] }],
    ["delayUs", { delayUs: 270_000_001 }],
    ["truncatePpm", { truncatePpm: 1 }],
    ["deliveryTraceMs", { deliveryTraceMs: [1] }],
    ["burstLoss", { lossPpm: 1, burstLoss }],
    ["mtuBytes", { mtuBytes: 1400 }],
    ["reorderGap", { reorderGap: { gap: 2, ppm: 5 } }]
  ]

  it.each(cases)("by its field: %s", (field, change) => {
    const plan = tcPlan(linkSpec(change), "veth0")
    expect(plan).toMatchObject({ ok: false, refusals: [{ field }] })
    expect(plan.ok === false && plan.refusals.length).toBe(1)
  })

  it("all fields at once", () => {
    const plan = tcPlan(linkSpec({ dropList: [1], truncatePpm: 1, mtuBytes: 576 }), "veth0")
    expect(plan.ok === false && plan.refusals.map((refusal) => refusal.field)).toEqual([
      "dropList",
      "truncatePpm",
      "mtuBytes"
    ])
  })
})
