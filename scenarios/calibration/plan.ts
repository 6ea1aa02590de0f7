/**
 * Rows of links as one scenario: a host for each row at the end of the row's link, and one host with a perfect link that all of them talk
 * to. Group after group the streams run, and each reports by itself, so one run measures the whole table.
 */

import type { Topology } from "@horizon/core/lab/topology.ts"
import { type LinkSpec, linkSpec } from "@horizon/core/link/spec.ts"
import type { LinkMeterParams } from "../actor/link-meter.ts"
import type { LinkProbeParams } from "../actor/link-probe.ts"
import type { ActorSpec, Scenario } from "../scenario.ts"
import type { CalibrationRow, CalibrationStream } from "./links.ts"

/** The host at the other end of every row's link. */
export const METER_HOST = "meter"

const SUBNET = "wire"
const FIRST_PORT = 20_000
/** Meters listen before the first datagram leaves. */
const LISTEN_MS = 400
/** Streams of a group start apart, so that their datagrams do not always meet. */
const STAGGER_MS = 7
/** From the last datagram that a link may still hold to the meter's report. */
const LATE_MS = 150
/** Quiet between groups. */
const PAUSE_MS = 250

/** Name of the actors of a stream in the trace. */
export const probeOf = (row: CalibrationRow, { way }: CalibrationStream): string => `${row.name}-${way}-probe`
export const meterOf = (row: CalibrationRow, { way }: CalibrationStream): string => `${row.name}-${way}-meter`

/** Datagrams of a stream. */
export const countOf = ({ burst, periodNs, seconds }: CalibrationStream): number => burst * burstsOf(seconds, periodNs)

const burstsOf = (seconds: number, periodNs: number): number => Math.floor((seconds * 1e9) / periodNs)

/** When each group has the links for itself, in world time. */
export interface GroupTime {
  readonly rows: ReadonlyArray<CalibrationRow>
  readonly fromMs: number
  readonly untilMs: number
}

export const groupTimes = (groups: ReadonlyArray<ReadonlyArray<CalibrationRow>>): ReadonlyArray<GroupTime> => {
  let fromMs = 0
  return groups.map((rows) => {
    const untilMs = fromMs + Math.max(...rows.flatMap((row) => row.streams.map((stream) => reportMs(row, stream))))
    const time = { rows, fromMs, untilMs }
    fromMs = untilMs + PAUSE_MS
    return time
  })
}

/** The scenario that measures these groups of rows. */
export const calibrationOf = (groups: ReadonlyArray<ReadonlyArray<CalibrationRow>>): Scenario => {
  const times = groupTimes(groups)
  const streams = times.flatMap(({ fromMs, rows }) =>
    rows.flatMap((row) => row.streams.map((stream) => ({ fromMs, row, stream })))
  )
  return {
    name: "calibration",
    summary: `${groups.flat().length} links from 1 to 300 ms and 256 kbit/s to 1 Gbit/s, with jitter, loss, duplication, reordering and queues: what streams of datagrams measure of them.`,
    tags: ["links", "calibration"],
    durationMs: Math.max(...times.map(({ untilMs }) => untilMs)) + PAUSE_MS,
    livenessMs: 1_000,
    topology: topologyOf(groups.flat()),
    nodes: [],
    actors: streams.flatMap(({ fromMs, row, stream }, index) => actorsOf(row, stream, fromMs, index)),
    faults: [],
    checks: [
      {
        check: "occurs",
        params: { kind: "link.received", atLeast: streams.length, because: "every stream is measured" }
      }
    ],
    goals: [
      { check: "occurs", params: { kind: "link.sent", atLeast: streams.length, because: "every stream is sent" } }
    ]
  }
}

const topologyOf = (rows: ReadonlyArray<CalibrationRow>): Topology => ({
  subnets: { [SUBNET]: { cidr: "198.18.0.0/24" } },
  hosts: {
    [METER_HOST]: { subnet: SUBNET },
    ...Object.fromEntries(rows.map(({ down, name, up }) => [name, { subnet: SUBNET, up, down }]))
  },
  routers: {}
})

/** When a stream's meter reports, after its group began: the last datagram has come, or will not. */
const reportMs = (row: CalibrationRow, stream: CalibrationStream): number =>
  LISTEN_MS + row.streams.length * STAGGER_MS + stream.seconds * 1000 + holdMs(row[stream.way]) + LATE_MS

/** How long a link may hold a datagram: its delay with the widest jitter, and its queue. */
const holdMs = (change: Partial<LinkSpec>): number => {
  const { delayUs, jitterUs, overheadBytes, queue, rateBps } = linkSpec(change)
  const bytes = Math.min(queue.bytesMax, queue.packetsMax * 1500) + queue.packetsMax * overheadBytes
  const queueMs = rateBps === 0 ? 0 : Math.min(QUEUE_MS_MAX, ((bytes + 1500) * 8000) / rateBps)
  return Math.ceil((delayUs + 4 * jitterUs) / 1000 + queueMs)
}

/** A queue that a law keeps short is far from what its bounds allow. */
const QUEUE_MS_MAX = 1_500

const actorsOf = (
  row: CalibrationRow,
  stream: CalibrationStream,
  fromMs: number,
  index: number
): ReadonlyArray<ActorSpec> => {
  const { burst, bytes, periodNs, seconds, settleSeconds, way } = stream
  const [sender, receiver] = way === "up" ? [row.name, METER_HOST] : [METER_HOST, row.name]
  const port = FIRST_PORT + index
  const bursts = burstsOf(seconds, periodNs)
  const probe: LinkProbeParams = { peer: `{${receiver}}`, port, stream: index, bytes, burst, periodNs, bursts }
  const meter: LinkMeterParams = {
    port,
    stream: index,
    count: burst * bursts,
    settle: burst * burstsOf(settleSeconds, periodNs),
    reportAfterMs: reportMs(row, stream)
  }
  return [
    {
      name: meterOf(row, stream),
      kind: "link-meter",
      host: receiver,
      over: "network",
      startMs: fromMs,
      params: { ...meter }
    },
    {
      name: probeOf(row, stream),
      kind: "link-probe",
      host: sender,
      over: "network",
      startMs: fromMs + LISTEN_MS + (index % row.streams.length) * STAGGER_MS,
      params: { ...probe }
    }
  ]
}
