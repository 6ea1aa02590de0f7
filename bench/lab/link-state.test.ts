import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import { expect, test } from "vitest"
import type { LinkCount } from "./link-driver.ts"
import { LinkState, unshown } from "./link-state.ts"

const none: LinkCount = { packets: 0, bytes: 0, dropped: 0 }
const findings = (change: Partial<LinkSpec>, count: Partial<LinkCount>): ReadonlyArray<string> =>
  unshown(linkSpec(change), none, { ...none, ...count })

test("changes lie over each other, and each is taken away by itself", () => {
  const state = new LinkState(linkSpec({ delayUs: 5 }), none)
  const first = state.change({ delayUs: 7, lossPpm: 1 })
  const second = state.change({ delayUs: 9 })
  expect(state.spec).toMatchObject({ delayUs: 9, lossPpm: 1 })
  first()
  expect(state.spec).toMatchObject({ delayUs: 9, lossPpm: 0 })
  second()
  expect(state.spec).toEqual(linkSpec({ delayUs: 5 }))
})

test("a setting that should have shown by now and has not is found", () => {
  const gemodel = { goodToBadPpm: 10_000, badToGoodPpm: 200_000, lossBadPpm: 900_000, lossGoodPpm: 0 }
  expect(findings({ lossPpm: 10_000 }, { packets: 5_000 })[0]).toMatch(/lossPpm asks for about 50 of 5000 packets/)
  expect(findings({ burstLoss: gemodel }, { packets: 10_000 })).toHaveLength(1)
  expect(findings({ duplicatePpm: 10_000 }, { packets: 5_000, duplicated: 0 })).toHaveLength(1)
  expect(findings({ corruptPpm: 10_000 }, { packets: 5_000, corrupted: 0 })).toHaveLength(1)
  expect(findings({ reorderGap: { gap: 10, ppm: 1_000_000 } }, { packets: 500, reordered: 0 })).toHaveLength(1)
})

test("too few packets, one event, or a count that the means cannot give find nothing", () => {
  expect(findings({ lossPpm: 10_000 }, { packets: 3_900 })).toEqual([])
  expect(findings({ lossPpm: 10_000 }, { packets: 50_000, dropped: 1 })).toEqual([])
  expect(findings({ duplicatePpm: 10_000 }, { packets: 50_000 })).toEqual([])
  expect(findings({}, { packets: 1_000_000, duplicated: 0, corrupted: 0, reordered: 0 })).toEqual([])
})

test("only what happened since the spec came into force is judged", () => {
  const state = new LinkState(linkSpec(), none)
  state.change({ lossPpm: 100_000 })
  const before: LinkCount = { packets: 10_000, bytes: 0, dropped: 0 }
  expect(state.findings(before)).toEqual([])
  state.enter(before)
  expect(state.findings({ ...before, packets: 10_300 })).toEqual([])
  expect(state.findings({ ...before, packets: 11_000 })).toHaveLength(1)
  expect(state.findings({ ...before, packets: 11_000, dropped: 90 })).toEqual([])
})
