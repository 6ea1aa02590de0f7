import { expect, test } from "vitest"
import type { SessionInfo } from "../machine/session/session.ts"
import type { TraceWriter } from "../port/trace.ts"
import { heartbeatMetrics, traceFigures, traceTraffic } from "./metrics.ts"

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

test("what passed a socket and the figures that only its implementation has go into the trace, zero drops do not", () => {
  const samples: Array<unknown> = []
  const trace: TraceWriter = (kind, fields) => samples.push([kind, fields])
  const stats = () => ({ packetsIn: 9, packetsOut: 2, dropsIn: 0, dropsOut: 7 })
  traceFigures("gateway.udp", { stats, figures: () => ({ sendCalls: 3, gsoOn: 1 }) }, trace)
  expect(samples).toEqual([
    ["sample", { name: "gateway.udp.packets-in", value: 9, unit: "packets" }],
    ["sample", { name: "gateway.udp.packets-out", value: 2, unit: "packets" }],
    ["sample", { name: "gateway.udp.drops-out", value: 7, unit: "packets" }],
    ["sample", { name: "gateway.udp.send-calls", value: 3, unit: "" }],
    ["sample", { name: "gateway.udp.gso-on", value: 1, unit: "" }]
  ])
})

test("what an endpoint has taken and made goes into the trace by kind, with what came while there was none", () => {
  const samples: Array<unknown> = []
  const trace: TraceWriter = (_, fields) => samples.push([fields["name" as never], fields["value" as never]])
  const traffic = { packetsIn: 7, packetsOut: 5, controlIn: 3, controlOut: 2, handshakesIn: 6, handshakesOut: 4 }
  traceTraffic("gateway", { ...traffic, discarded: 0 }, 0, trace)
  const always = [
    ["gateway.session.packets-in", 7],
    ["gateway.session.packets-out", 5],
    ["gateway.session.control-in", 3],
    ["gateway.session.control-out", 2],
    ["gateway.handshake.packets-in", 6],
    ["gateway.handshake.packets-out", 4]
  ]
  expect(samples.splice(0)).toEqual(always)
  traceTraffic("gateway", { ...traffic, discarded: 1 }, 9, trace)
  expect(samples).toEqual([
    ...always.slice(0, 4),
    ["gateway.session.discarded", 1],
    ...always.slice(4),
    ["gateway.datagram-dropped.unattended", 9]
  ])
})
