/**
 * The real sockets of a lab: where datagrams leave the machines of the virtual network and cross the kernel, once each.
 *
 * An outlet is a socket on one real address and port. A node that binds a port holds its outlet: what it hears goes to the node. A
 * NAT's outside port is an outlet that nobody holds; it is opened when the first datagram leaves by it. So whoever receives a
 * datagram sees, as its source, a socket that is really there.
 *
 * An outlet outlives its holder for a while, because what the holder has sent may still be under way on its links.
 */

import type { Udp, UdpBind, UdpError, UdpSocket } from "@horizon/core/port/udp.ts"
import { formatV4, putV4 } from "@horizon/core/wire/address.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"
import { Effect, Exit, Scope } from "effect"
import type { LiveKernel } from "./live-kernel.ts"

/** How long an outlet that nobody holds stays open after its last datagram: longer than any link delays. */
const LINGER_NS = 10e9
/** Datagrams that wait for their outlet to be opened; more are lost. */
const WAITING_MAX = 64

/** Slots of an outlet that only sends. */
const UNHELD_SLOTS = 16

/** Hears what arrives: the first `count` slots of the outlet's `rx`. */
export type Holder = (count: number) => void

interface Waiting {
  readonly address: number
  readonly port: number
  readonly ecn: number
  readonly bytes: Uint8Array
}

/** One real socket. */
export class Outlet {
  readonly key: number
  /** The socket's life. */
  readonly scope: Scope.Closeable
  /** As many as were asked for. */
  readonly slots: number | undefined
  holder: Holder | undefined
  lastNs = 0
  socket: UdpSocket | undefined
  private outbox: Outbox | undefined
  private waiting: Array<Waiting> = []

  constructor(key: number, scope: Scope.Closeable, slots?: number) {
    this.key = key
    this.scope = scope
    this.slots = slots
  }

  /** Takes what was waiting for the socket. */
  open(socket: UdpSocket): void {
    this.socket = socket
    this.outbox = new Outbox(socket.tx, (count) => socket.send(count))
    socket.onBatch((_, count) => this.holder?.(count))
    for (const { address, port, ecn, bytes } of this.waiting) this.put(address, port, ecn, bytes, 0, bytes.length)
    this.waiting = []
    this.flush()
  }

  /** Takes a datagram to send with the next `flush`; false if there is no room for it. */
  put(address: number, port: number, ecn: number, slab: Uint8Array, at: number, length: number): boolean {
    const { outbox } = this
    if (outbox === undefined) {
      if (this.waiting.length === WAITING_MAX) return false
      this.waiting.push({ address, port, ecn, bytes: slab.slice(at, at + length) })
      return true
    }
    const { batch } = outbox
    const slot = outbox.next()
    batch.slab.set(slab.subarray(at, at + length), batch.offset(slot))
    putV4(batch.address, slot * 4, address)
    batch.port[slot] = port
    batch.ecn[slot] = ecn
    outbox.commit(length)
    return true
  }

  flush(): void {
    this.outbox?.flush()
  }

  /** Gives up what waits; how much that is. */
  abandon(): number {
    return this.waiting.splice(0).length
  }
}

export class Outlets {
  /** Datagrams that found no outlet. */
  lost = 0
  private readonly udp: Udp["Service"]
  private readonly kernel: LiveKernel
  private readonly outlets = new Map<number, Outlet>()
  private readonly unsent = new Set<Outlet>()

  constructor(udp: Udp["Service"], kernel: LiveKernel) {
    this.udp = udp
    this.kernel = kernel
    kernel.afterRun = () => this.flush()
    this.sweepLater()
  }

  /** Outlets that are open. */
  get size(): number {
    return this.outlets.size
  }

  /** Opens a port of a host for a holder, or takes over what a former holder has left there. Fails as `bind` of the port Udp does. */
  hold(address: number, options: UdpBind, holder: Holder): Effect.Effect<Outlet, UdpError> {
    const left = this.outlets.get(keyOf(address, options.port))
    if (left === undefined || left.holder !== undefined) return this.bind(address, options, holder)
    if (left.slots !== options.slots || left.socket === undefined)
      return Effect.andThen(this.close(left), this.bind(address, options, holder))
    left.holder = holder
    return Effect.succeed(left)
  }

  /** The holder goes; what it has sent still leaves. */
  release(outlet: Outlet): void {
    outlet.holder = undefined
    outlet.lastNs = this.kernel.nowNs
  }

  /** Sends a datagram from one real endpoint to another, when the kernel's present run is over. */
  send(
    source: number,
    sourcePort: number,
    address: number,
    port: number,
    ecn: number,
    slab: Uint8Array,
    at: number,
    length: number
  ): void {
    const key = keyOf(source, sourcePort)
    const outlet = this.outlets.get(key) ?? this.openUnheld(key, source, sourcePort)
    outlet.lastNs = this.kernel.nowNs
    if (outlet.put(address, port, ecn, slab, at, length)) this.unsent.add(outlet)
    else this.lost++
  }

  /** Closes all. */
  readonly closeAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.outlets.values()], (outlet) => this.close(outlet), { discard: true })
  )

  private bind(address: number, options: UdpBind, holder: Holder): Effect.Effect<Outlet, UdpError> {
    const scope = Scope.makeUnsafe()
    return Effect.map(this.openSocket(address, options, scope), (socket) => {
      const outlet = new Outlet(keyOf(address, socket.local.port), scope, options.slots)
      this.outlets.set(outlet.key, outlet)
      outlet.holder = holder
      outlet.open(socket)
      return outlet
    })
  }

  private openUnheld(key: number, address: number, port: number): Outlet {
    const outlet = new Outlet(key, Scope.makeUnsafe())
    this.outlets.set(key, outlet)
    const opened = Effect.match(this.openSocket(address, { port, slots: UNHELD_SLOTS }, outlet.scope), {
      onSuccess: (socket) => outlet.open(socket),
      onFailure: () => {
        this.lost += outlet.abandon()
        this.outlets.delete(key)
      }
    })
    Effect.runFork(opened)
    return outlet
  }

  private openSocket(address: number, options: UdpBind, scope: Scope.Closeable): Effect.Effect<UdpSocket, UdpError> {
    return Scope.provide(this.udp.bind({ ...options, address: formatV4(address) }), scope)
  }

  private flush(): void {
    for (const outlet of this.unsent) outlet.flush()
    this.unsent.clear()
  }

  private close(outlet: Outlet): Effect.Effect<void> {
    this.outlets.delete(outlet.key)
    this.unsent.delete(outlet)
    return Scope.close(outlet.scope, Exit.void)
  }

  private sweepLater(): void {
    this.kernel.callAt(this.kernel.nowNs + LINGER_NS / 2, () => {
      const idleNs = this.kernel.nowNs - LINGER_NS
      for (const outlet of [...this.outlets.values()]) {
        if (outlet.holder === undefined && outlet.lastNs < idleNs) Effect.runFork(this.close(outlet))
      }
      this.sweepLater()
    })
  }
}

const keyOf = (address: number, port: number): number => address * 65_536 + port
