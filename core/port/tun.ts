/**
 * Port: a virtual network interface (TUN: IP packets; TAP: Ethernet frames) that works on batches.
 *
 * What the host's own network stack sends towards the interface arrives in `rx`; what is put into `tx` and sent appears to
 * the host as if it had come over the wire.
 */

import type { Effect, Scope } from "effect"
import { Context, Schema } from "effect"
import type { DatagramBatch } from "../wire/batch.ts"

/** Counters of a device since it was opened. */
export interface TunStats {
  readonly packetsIn: number
  readonly bytesIn: number
  readonly packetsOut: number
  readonly bytesOut: number
  /** From the host, thrown away because `rx` was not drained in time. */
  readonly dropsIn: number
  /** To the host, refused by it. */
  readonly dropsOut: number
}

/**
 * An open device. Batch slots hold whole IP packets (or frames), with their checksums complete, never larger than the MTU (a frame: with its
 * Ethernet header); the address, port and ecn columns are unused.
 */
export interface TunDevice {
  /** Interface name as the system gave it. */
  readonly name: string
  readonly mtuBytes: number
  /** Filled before each call of the batch handler; its slots are valid until the handler returns. */
  readonly rx: DatagramBatch
  /** For the user to fill, then `send`. */
  readonly tx: DatagramBatch
  /** Sets the one receiver: called with the node's monotonic time and the number of packets in `rx`. */
  onBatch(handler: (nowNs: number, count: number) => void): void
  /**
   * Hands the first `count` slots of `tx` to the host; never throws: what the host does not take is counted in `dropsOut`. The order of the
   * packets of one flow stays as it is.
   */
  send(count: number): void
  stats(): TunStats
  /** Figures that only this implementation has, for metrics: system calls, which offloads are in use. */
  readonly figures?: () => Readonly<Record<string, number>>
}

/** Why a device could not be opened. */
export class TunError extends Schema.TaggedError<TunError>()("TunError", {
  reason: Schema.Literals(["permission-denied", "name-in-use", "address-in-use", "unsupported", "unknown"]),
  message: Schema.String
}) {}

/** What to open. */
export interface TunOpen {
  /** IP packets (`tun`, if left out) or Ethernet frames; `tap` is refused as `unsupported` where there is no Ethernet. */
  readonly kind?: "tun" | "tap"
  /** Wanted interface name, at most 15 bytes. */
  readonly name: string
  /**
   * IPv4 address of the host on the interface, and the prefix that it routes there: `10.77.0.5/16`. Left out for an interface that gets its
   * addresses from elsewhere, or none: one end of a cable that carries frames between two networks. Refused as `unsupported` where there is
   * nobody else to give it one.
   */
  readonly cidr?: string
  /** Largest IP packet. A frame may be 14 bytes longer, 18 with a VLAN tag. */
  readonly mtuBytes: number
  /** Slots in `rx` and `tx`; as many as suit the implementation if left out. */
  readonly slots?: number
  /**
   * Whether several packets of a flow may cross between host and device in one piece, where the system can do that (if left out: yes). It is
   * faster; `false` is for whoever gives each packet a time of its own.
   */
  readonly offload?: boolean
}

export class Tun extends Context.Service<
  Tun,
  {
    readonly open: (options: TunOpen) => Effect.Effect<TunDevice, TunError, Scope.Scope>
  }
>()("horizon/Tun") {}
