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

/** An open device. Batch slots hold whole IP packets (or frames); the address, port and ecn columns are unused. */
export interface TunDevice {
  /** Interface name as the system gave it. */
  readonly name: string
  readonly mtuBytes: number
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  onBatch(handler: (nowNs: number, count: number) => void): void
  send(count: number): void
  stats(): TunStats
}

/** Why a device could not be opened. */
export class TunError extends Schema.TaggedError<TunError>()("TunError", {
  reason: Schema.Literals(["permission-denied", "name-in-use", "address-in-use", "unsupported", "unknown"]),
  message: Schema.String
}) {}

/** What to open. */
export interface TunOpen {
  /** Wanted interface name, at most 15 bytes. */
  readonly name: string
  /** IPv4 address of the host on the interface, and the prefix that it routes there: `10.77.0.5/16`. */
  readonly cidr: string
  readonly mtuBytes: number
  /** 64 if left out. */
  readonly slots?: number
}

export class Tun extends Context.Service<
  Tun,
  {
    readonly open: (options: TunOpen) => Effect.Effect<TunDevice, TunError, Scope.Scope>
  }
>()("horizon/Tun") {}
