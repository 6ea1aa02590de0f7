/**
 * The shell round a session machine: what a socket brings goes in, what the machine wants sent goes out, one timer is armed.
 *
 * Everything on the packet path is a plain call on preallocated slots. Control fibers reach the machine through `act` only, so
 * that what they cause is flushed and the timer is right afterwards. Events are handed over after each datagram, before the
 * machine can use a session number again.
 */

import type { AeadBatches } from "../crypto/batch.ts"
import { AHEAD_MAX } from "../machine/session/open-ahead.ts"
import type { ServerEndpoint, SessionEvent } from "../machine/session/session.ts"
import { type DatagramBatch, Outbox } from "../wire/batch.ts"
import type { Clock, Timer } from "./clock.ts"
import type { UdpSocket } from "./udp.ts"

/** What the shell drives: a server endpoint, a client endpoint, a prober. */
export type Driven = Pick<ServerEndpoint, "handleDatagram" | "handleTimeout" | "pollTimeout" | "pollEvent"> &
  Partial<Pick<ServerEndpoint, "prepare">>

/** A machine without datagrams of its own that shares the timer: leases, proofs. */
export interface Companion {
  handleTimeout(nowNs: number): void
  /** `Infinity` = never. */
  pollTimeout(): number
  /** Called when the shell flushes: sends what was collected for other ports (the Tun) meanwhile. */
  flush?(): void
}

export class SessionShell {
  /** Time of the call in progress, for handlers that a machine calls without one. */
  nowNs: number
  /** Where the machine writes what is to be sent. */
  readonly outbox: Outbox
  /** Datagrams thrown away because there was no machine to take them. */
  unattended = 0
  private readonly clock: Clock["Service"]
  private readonly timer: Timer
  private machine: Driven | undefined
  private companion: Companion | undefined
  private onEvent: (event: SessionEvent) => void = () => {}

  /** Becomes the one receiver of the socket. With `batches` of the node's cryptography whole batches are sealed in one call. */
  constructor(socket: UdpSocket, clock: Clock["Service"], batches?: AeadBatches) {
    this.clock = clock
    this.nowNs = clock.nowNs()
    this.outbox = new Outbox(socket.tx, (count) => socket.send(count), batches?.sealer(socket.tx.slab))
    this.timer = clock.timer((nowNs) => this.handleTimeout(nowNs))
    socket.onBatch((nowNs, count) => {
      this.enter(nowNs)
      for (let first = 0; first < count; first += AHEAD_MAX) {
        this.take(nowNs, socket.rx, first, Math.min(first + AHEAD_MAX, count))
      }
      this.leave()
    })
  }

  /** Drives `machine` from now on, instead of what it drove before. `onEvent` must not block. */
  drive(machine: Driven, onEvent: (event: SessionEvent) => void, companion?: Companion): void {
    this.machine = machine
    this.onEvent = onEvent
    this.companion = companion
    this.enter(this.clock.nowNs())
    this.leave()
  }

  /** Drives nothing: datagrams are thrown away, and counted. */
  rest(): void {
    this.machine = undefined
    this.companion = undefined
    this.timer.cancel()
  }

  /** Runs work that calls the machine, then sends what it wrote, hands over its events and arms the timer. */
  act<A>(work: (nowNs: number) => A): A {
    this.enter(this.clock.nowNs())
    const result = work(this.nowNs)
    this.leave()
    return result
  }

  /** Begins calls of the machine at `nowNs`, for another port's batches; `leave` must follow. */
  enter(nowNs: number): void {
    this.nowNs = nowNs
  }

  /** Ends what `enter` began: hands over events, sends what was written, arms the timer. */
  leave(): void {
    this.drain()
    this.outbox.flush()
    this.companion?.flush?.()
    const machineNs = this.machine?.pollTimeout() ?? Number.POSITIVE_INFINITY
    const companionNs = this.companion?.pollTimeout() ?? Number.POSITIVE_INFINITY
    this.timer.arm(Math.min(machineNs, companionNs))
  }

  private take(nowNs: number, rx: DatagramBatch, first: number, end: number): void {
    this.machine?.prepare?.(rx, first, end)
    let next = first
    for (; next < end && this.machine !== undefined; next++) {
      this.machine.handleDatagram(nowNs, rx, next)
      this.drain()
    }
    this.unattended += end - next
  }

  private handleTimeout(nowNs: number): void {
    this.enter(nowNs)
    if (this.machine !== undefined && this.machine.pollTimeout() <= nowNs) this.machine.handleTimeout(nowNs)
    if (this.companion !== undefined && this.companion.pollTimeout() <= nowNs) this.companion.handleTimeout(nowNs)
    this.leave()
  }

  private drain(): void {
    for (let event = this.machine?.pollEvent(); event !== undefined; event = this.machine?.pollEvent())
      this.onEvent(event)
  }
}
