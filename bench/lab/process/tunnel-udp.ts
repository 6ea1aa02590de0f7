/**
 * The Udp layer of an application inside a tunnel: its sockets are bound to the tunnel address of the host, so the system sends what they
 * send through the tunnel and through nothing else. The address comes and goes with the client; a socket here is there all the time,
 * follows the address, and drops (and counts) what is sent while there is none.
 */

import { Udp, type UdpBind, type UdpSocket, type UdpStats } from "@horizon/core/port/udp.ts"
import type { Endpoint } from "@horizon/core/wire/address.ts"
import { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { Effect, Layer, Queue, type Scope } from "effect"

/** A client says that its interface is up a moment before the system lets anybody bind there; tried again after this, ms. */
const AGAIN_MS = 50

/** The tunnel address of this host, as it is told. */
export class TunnelAddress {
  private address: string | undefined
  private readonly listeners = new Set<() => void>()

  get current(): string | undefined {
    return this.address
  }

  /** `undefined`: there is none any more. */
  set(address: string | undefined): void {
    if (address === this.address) return
    this.address = address
    for (const listener of this.listeners) listener()
  }

  /** Calls `listener` at each change from now on. */
  watch(listener: () => void): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => void this.listeners.add(listener)),
      () => Effect.sync(() => void this.listeners.delete(listener))
    )
  }
}

/** Sockets of `Udp` below, bound to the tunnel address. A socket that names an address itself is bound there. */
export const layerTunnelUdp = (address: TunnelAddress): Layer.Layer<Udp, never, Udp> =>
  Layer.effect(
    Udp,
    Effect.gen(function* () {
      const below = yield* Udp
      return {
        bind: (options) => (options.address === undefined ? follow(below, address, options) : below.bind(options))
      }
    })
  )

const follow = (
  below: Udp["Service"],
  address: TunnelAddress,
  options: UdpBind
): Effect.Effect<UdpSocket, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = new FollowingSocket(options)
    const changes = yield* Queue.sliding<true>(1)
    yield* address.watch(() => Queue.offerUnsafe(changes, true))
    yield* Effect.forkScoped(Effect.forever(bindOnce(below, address, options, socket, changes)))
    return socket
  })

/** Binds at the present address, if there is one, and stays until that changes. */
const bindOnce = (
  below: Udp["Service"],
  address: TunnelAddress,
  options: UdpBind,
  socket: FollowingSocket,
  changes: Queue.Dequeue<true>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { current } = address
    if (current === undefined) return Queue.take(changes)
    const stay = Effect.gen(function* () {
      socket.attach(yield* below.bind({ ...options, address: current }))
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.detach()))
      while (address.current === current) yield* Queue.take(changes)
    })
    return Effect.catch(Effect.scoped(stay), () => Effect.sleep(AGAIN_MS))
  }).pipe(Effect.asVoid)

/** The socket that its user has, whatever socket of the system is behind it at the moment. */
class FollowingSocket implements UdpSocket {
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  private readonly port: number
  private inner: UdpSocket | undefined
  private handler: ((nowNs: number, count: number) => void) | undefined
  /** Of the sockets that were behind it before. */
  private past: UdpStats = { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, dropsIn: 0, dropsOut: 0 }

  constructor(options: UdpBind) {
    this.rx = new DatagramBatch(options.slots)
    this.tx = new DatagramBatch(options.slots)
    this.port = options.port
  }

  get local(): Endpoint {
    return this.inner?.local ?? { address: "0.0.0.0", port: this.port }
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    const { inner, tx } = this
    if (inner === undefined) {
      this.past = { ...this.past, dropsOut: this.past.dropsOut + count }
      return
    }
    inChunks(count, inner.tx.capacity, (from, length) => {
      for (let i = 0; i < length; i++) copySlot(tx, from + i, inner.tx, i)
      inner.send(length)
    })
  }

  stats(): UdpStats {
    return this.inner === undefined ? this.past : sum(this.past, this.inner.stats())
  }

  attach(inner: UdpSocket): void {
    this.inner = inner
    inner.onBatch((nowNs, count) =>
      inChunks(count, this.rx.capacity, (from, length) => {
        for (let i = 0; i < length; i++) copySlot(inner.rx, from + i, this.rx, i)
        this.handler?.(nowNs, length)
      })
    )
  }

  detach(): void {
    this.past = this.stats()
    this.inner = undefined
  }
}

/** Layers of the port have batches of their own sizes. */
const inChunks = (count: number, capacity: number, work: (from: number, length: number) => void): void => {
  for (let from = 0; from < count; from += capacity) work(from, Math.min(capacity, count - from))
}

const copySlot = (source: DatagramBatch, from: number, target: DatagramBatch, to: number): void => {
  const at = source.offset(from)
  target.slab.set(source.slab.subarray(at, at + source.length[from]), target.offset(to))
  target.length[to] = source.length[from]
  target.ecn[to] = source.ecn[from]
  target.copyPeer(to, source, from)
}

const sum = (a: UdpStats, b: UdpStats): UdpStats => ({
  packetsIn: a.packetsIn + b.packetsIn,
  bytesIn: a.bytesIn + b.bytesIn,
  packetsOut: a.packetsOut + b.packetsOut,
  bytesOut: a.bytesOut + b.bytesOut,
  dropsIn: a.dropsIn + b.dropsIn,
  dropsOut: a.dropsOut + b.dropsOut
})
