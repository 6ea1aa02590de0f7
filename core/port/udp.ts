/**
 * Port: UDP sockets that work on batches.
 *
 * Binding is an Effect in a Scope (closing the scope closes the socket); operating the socket is plain function calls
 * on preallocated slots, so a packet costs neither a fiber nor an allocation.
 */

import type { Effect, Scope } from "effect"
import { Context, Schema } from "effect"
import type { Endpoint } from "../wire/address.ts"
import type { DatagramBatch } from "../wire/batch.ts"

/** Counters of a socket since it was bound. */
export interface UdpStats {
  readonly packetsIn: number
  readonly bytesIn: number
  readonly packetsOut: number
  readonly bytesOut: number
  /** Arrived and thrown away because the receive buffer was full. */
  readonly dropsIn: number
  /** Given to `send` and thrown away: buffer full, no route, message too long. */
  readonly dropsOut: number
}

/** A bound socket. */
export interface UdpSocket {
  readonly local: Endpoint
  /** Filled before each call of the batch handler; its slots are valid until the handler returns. */
  readonly rx: DatagramBatch
  /** For the user to fill, then `send`. */
  readonly tx: DatagramBatch
  /** Sets the one receiver: called with the node's monotonic time and the number of datagrams in `rx`. */
  onBatch(handler: (nowNs: number, count: number) => void): void
  /** Sends the first `count` slots of `tx` to their own peers; never throws: what cannot leave is counted in `dropsOut`. */
  send(count: number): void
  stats(): UdpStats
  /** Figures that only this implementation has, for metrics: system calls, which offloads are in use. */
  readonly figures?: () => Readonly<Record<string, number>>
  /** With `timestamps`: how long each datagram of `rx` had waited in the system's buffer, ns. */
  readonly waitedNs?: Float64Array
}

/** Why a socket could not be bound. */
export class UdpError extends Schema.TaggedError<UdpError>()("UdpError", {
  reason: Schema.Literals(["address-in-use", "address-not-available", "permission-denied", "unsupported", "unknown"]),
  message: Schema.String
}) {}

/** What to bind. */
export interface UdpBind {
  /** Local address; every address of the host if left out. */
  readonly address?: string
  /** 0 = any free port. */
  readonly port: number
  /** Slots in `rx` and `tx`; 64 if left out. */
  readonly slots?: number
  /** Whether datagrams to broadcast addresses may be sent. */
  readonly broadcast?: boolean
  /**
   * Share the port among so many sockets, bound one after the other: worker 0, 1, …. A session's datagrams go to the worker that its connection
   * id names (bits 0 to 7), others by the random bytes of their HELLO. Refused as `unsupported` where the system cannot do that.
   */
  readonly workers?: number
  /** Whether the system notes when datagrams arrive (`waitedNs`), where it can. */
  readonly timestamps?: boolean
  /**
   * Whether several datagrams of a peer may cross to and from the system in one piece, where it can do that (if left out: yes). `false` is for
   * measuring what that gains.
   */
  readonly offload?: boolean
}

export class Udp extends Context.Service<
  Udp,
  {
    readonly bind: (options: UdpBind) => Effect.Effect<UdpSocket, UdpError, Scope.Scope>
  }
>()("horizon/Udp") {}
