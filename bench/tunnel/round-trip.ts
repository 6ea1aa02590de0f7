/** Round-trip times through a tunnel by ping, hundreds a second, so that a percentile means something after one second. */

import { LabError } from "../lab/lab-error.ts"
import { missingTool, run } from "../net/command.ts"
import { percentile } from "../net/median.ts"
import type { PairEnd } from "../net/pair.ts"

export interface RoundTrips {
  readonly p50Us: number
  readonly p99Us: number
  readonly sent: number
  readonly answered: number
}

const INTERVAL_SECONDS = 0.002
const SLACK_MS = 5_000

export const measureRoundTrips = async (
  from: PairEnd,
  to: string,
  seconds: number,
  signal?: AbortSignal
): Promise<RoundTrips> => {
  const missing = missingTool("ping")
  if (missing !== undefined) throw new LabError("missing", missing)
  const count = Math.max(1, Math.round(seconds / INTERVAL_SECONDS))
  // -W 1: an answer that takes longer than a second is a lost one.
  // -w: where most are lost, what came back within twice the time and a bit counts.
  const deadline = String(Math.ceil(seconds * 2) + 1)
  const options = ["-n", "-i", String(INTERVAL_SECONDS), "-c", String(count), "-W", "1", "-w", deadline, to]
  // Lost answers make the exit code 1, which is no failure of the measurement.
  const settings = { timeoutMs: seconds * 2000 + SLACK_MS, signal, anyExit: true }
  return readRoundTrips(await run([...from.enter, "ping", ...options], settings))
}

/** Reads what ping prints; a `LabError` if nothing was answered. */
export const readRoundTrips = (text: string): RoundTrips => {
  const timesUs = [...text.matchAll(/ time=([0-9.]+) ms/g)].map(([, ms]) => Number(ms) * 1000)
  const sent = Number(/([0-9]+) packets transmitted/.exec(text)?.[1] ?? timesUs.length)
  if (timesUs.length === 0) throw new LabError("failed", `no answer to ${sent} pings through the tunnel`)
  return {
    p50Us: percentile(timesUs, 500_000),
    p99Us: percentile(timesUs, 990_000),
    sent,
    answered: timesUs.length
  }
}
