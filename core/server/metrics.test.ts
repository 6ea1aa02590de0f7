import { expect, test } from "vitest"
import type { SessionInfo } from "../machine/session/session.ts"
import { heartbeatMetrics } from "./metrics.ts"

const socket = {
  stats: () => ({ packetsIn: 1, bytesIn: 2, packetsOut: 3, bytesOut: 4, dropsIn: 5, dropsOut: 6 })
}

/** An endpoint whose sessions have these round-trip times; `undefined` = ended meanwhile. */
const withRtts = (...rttsNs: ReadonlyArray<number | undefined>) => ({
  sessions: () => [...rttsNs.keys()],
  info: (session: number): SessionInfo | undefined => {
    const rttNs = rttsNs[session]
    return rttNs === undefined ? undefined : ({ rttNs } as SessionInfo)
  }
})

const rttUs = (...rttsNs: ReadonlyArray<number | undefined>) =>
  heartbeatMetrics(3, 4, withRtts(...rttsNs), socket).rttUs

test("a heartbeat tells sessions, load and the socket's traffic, also while there is no endpoint yet", () => {
  expect(heartbeatMetrics(3, 4, undefined, socket)).toEqual({
    sessions: 3,
    loadPpm: 750_000,
    rttUs: null,
    bytesIn: 2,
    bytesOut: 4
  })
  expect(heartbeatMetrics(5, 4, undefined, socket).loadPpm).toBe(1_000_000)
})

test("its round-trip time is the lower median of the sessions that have one, in whole microseconds", () => {
  expect(rttUs()).toBeNull()
  expect(rttUs(0, undefined)).toBeNull()
  expect(rttUs(9_000_000, 0, 100_000_999, undefined, 10_000_000)).toBe(10_000)
  expect(rttUs(4_000, 1_000, 3_000, 2_999)).toBe(2)
})
