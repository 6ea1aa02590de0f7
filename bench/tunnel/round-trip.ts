/** Round-trip times through a tunnel by ping, hundreds a second, so that a percentile means something after one second. */

import { run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { percentile } from "../net/median.ts"
import type { PairEnd } from "../net/pair.ts"

export interface RoundTrips {
  readonly p50Us: number
  readonly p99Us: number
  readonly sent: number
  readonly answered: number
}

/**
 * How long a tunnel is warmed up. The code of a process that has just started may still be interpreted, and is compiled once it has run for
 * some thousands of packets; users have that behind them after seconds, so measuring it would tell them nothing. Every subject gets the
 * same, compiled ahead of time or not.
 */
export const WARM_UP_SECONDS = 3

const WARM_UP_INTERVAL_SECONDS = 0.001
const INTERVAL_SECONDS = 0.002
const SLACK_MS = 5_000

/** Pings of which nothing is kept, 1,000 a second. */
export const warmUp = async (from: PairEnd, to: string, seconds: number, signal?: AbortSignal): Promise<void> => {
  await ping(from, ["-q", ...pingOptions(to, seconds, WARM_UP_INTERVAL_SECONDS)], seconds, signal)
}

export const measureRoundTrips = async (
  from: PairEnd,
  to: string,
  seconds: number,
  signal?: AbortSignal
): Promise<RoundTrips> => readRoundTrips(await ping(from, pingOptions(to, seconds, INTERVAL_SECONDS), seconds, signal))

const ping = (
  from: PairEnd,
  options: ReadonlyArray<string>,
  seconds: number,
  signal: AbortSignal | undefined
): Promise<string> =>
  run([...from.enter, "ping", ...options], {
    timeoutMs: seconds * 2000 + SLACK_MS,
    signal,
    // Lost answers make the exit code 1, which is no failure of the measurement.
    anyExit: true,
    // It prints a line for each answer, and whoever wakes up for that takes the processor from what is measured.
    output: "at the end"
  })

/** How to ping for some seconds. */
export const pingOptions = (to: string, seconds: number, intervalSeconds: number): ReadonlyArray<string> => {
  const count = Math.max(1, Math.round(seconds / intervalSeconds))
  // -W 1: an answer that takes longer than a second is a lost one.
  // -w: where most are lost, what came back within twice the time and a bit counts.
  const deadline = String(Math.ceil(seconds * 2) + 1)
  return ["-n", "-i", String(intervalSeconds), "-c", String(count), "-W", "1", "-w", deadline, to]
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
