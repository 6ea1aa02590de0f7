/**
 * What the tunnel benchmark comes to. Every figure is there for every round, beside medians and ratios; what could not be measured is there
 * with its reason.
 */

import type { PeerKind } from "../peers/peer.ts"
import type { CpuSeconds } from "./cpu-time.ts"
import type { RateProbe } from "./rate-search.ts"

export interface TunnelComparison {
  /** Median over all rounds of how much of the host was free before each, 0 to 1: well below 1 is a noisy machine. */
  readonly idleRatio: number
  readonly rounds: number
  /** What the subjects are measured by, in the order in which tables show it. */
  readonly figures: ReadonlyArray<FigureSpec>
  readonly subjects: ReadonlyArray<TunnelSubject>
}

/** `tcp1Forward`, `tcp1Backward`, `tcp4Forward`, `tcp4Backward`, `udp200`, `udp1200`, `rttIdleP50`, …, `cpuPerGigabyte`. */
export type FigureName = string

export interface FigureSpec {
  readonly name: FigureName
  readonly title: string
  readonly unit: "bit/s" | "packets/s" | "µs" | "CPU s/GB"
  readonly better: "more" | "less"
}

export type Figures = Readonly<Record<FigureName, number>>

export interface TunnelSubject {
  readonly name: string
  readonly title: string
  readonly kind: PeerKind
  /** Why it could not be measured here; then there is nothing else. */
  readonly missing?: string
  readonly version?: string
  readonly note?: string
  /** Largest IP packet that enters the tunnel: larger ones are sent through it in fragments. */
  readonly mtuBytes?: number
  readonly rounds: ReadonlyArray<TunnelRound>
  readonly median: Figures
  /** Median by Horizon's median. */
  readonly ratioToHorizon: Figures
  /** Median by that of the best tunnel in C for that figure. */
  readonly ratioToFloor: Figures
}

export interface TunnelRound {
  /** How much of the host was free before the round, 0 to 1. */
  readonly idleRatio: number
  readonly figures: Figures
  /** Why a figure is not there, by its name; `start` if the tunnel did not come up. */
  readonly failed: Readonly<Record<FigureName, string>>
  /** CPU time of the tunnel's processes during each measurement, and how long that took. */
  readonly cpu: Readonly<Record<string, CpuSeconds & { readonly wallSeconds: number }>>
  /** The probes of the search behind each UDP figure. */
  readonly udpProbes: Readonly<Record<FigureName, ReadonlyArray<RateProbe>>>
  /** TCP retransmissions by figure, where the kernel says. */
  readonly retransmits: Figures
}

export const figureSpecs = (udpBytes: ReadonlyArray<number>): ReadonlyArray<FigureSpec> => [
  { name: "tcp1Forward", title: "TCP, 1 stream, a to b", unit: "bit/s", better: "more" },
  { name: "tcp1Backward", title: "TCP, 1 stream, b to a", unit: "bit/s", better: "more" },
  { name: "tcp4Forward", title: "TCP, 4 streams, a to b", unit: "bit/s", better: "more" },
  { name: "tcp4Backward", title: "TCP, 4 streams, b to a", unit: "bit/s", better: "more" },
  ...udpBytes.map(
    (bytes): FigureSpec => ({
      name: `udp${bytes}`,
      title: `UDP, ${bytes} bytes, under 1 % loss`,
      unit: "packets/s",
      better: "more"
    })
  ),
  { name: "rttIdleP50", title: "round trip, idle, p50", unit: "µs", better: "less" },
  { name: "rttIdleP99", title: "round trip, idle, p99", unit: "µs", better: "less" },
  { name: "rttLoadedP50", title: "round trip beside a TCP stream, p50", unit: "µs", better: "less" },
  { name: "rttLoadedP99", title: "round trip beside a TCP stream, p99", unit: "µs", better: "less" },
  { name: "cpuPerGigabyte", title: "CPU of both ends, TCP, 1 stream", unit: "CPU s/GB", better: "less" }
]
