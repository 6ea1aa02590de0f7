/**
 * Port Udp of the loopback world. What a node sends goes into the virtual network at its host (links, routers, NATs, partitions);
 * where it comes out, at the receiving host, it crosses the machine's own loopback, from a socket bound to the source that the receiver
 * must see to the receiver's own socket. So the receive path is the production layer's, and the network that of the simulator.
 *
 * Every socket is bound to its host's own address: "every address" of a host in a lab is that one.
 */

import { assert } from "@horizon/core/assert.ts"
import { Udp, type UdpBind, UdpError, type UdpSocket, type UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatV4, isV4, parseV4 } from "@horizon/core/wire/address.ts"
import { BATCH_SLOTS, DatagramBatch } from "@horizon/core/wire/batch.ts"
import type { KernelTimer } from "@horizon/sim/kernel/kernel.ts"
import { LOOPBACK_ADDRESS, type SimHost } from "@horizon/sim/net/host.ts"
import { PACKET_BYTES_MAX, type PacketPool, PROTOCOL } from "@horizon/sim/net/packet.ts"
import { RECEIVE_BUFFER_BYTES } from "@horizon/sim/port/udp.ts"
import { bufferCostBytes, ReceiveBuffer } from "@horizon/sim/port/udp-buffer.ts"
import { Effect, Layer, Scheduler } from "effect"
import type { Ground } from "./ground.ts"
import type { Life } from "./life.ts"
import type { Outlet } from "./outlets.ts"

/** The UDP sockets of one host, over all lives of the nodes on it. */
export class UdpHost {
  readonly host: SimHost
  readonly ground: Ground
  /** Open sockets. */
  readonly sockets = new Set<LoopbackSocket>()
  /** Event that sends a packet from this host. */
  readonly sendEvent: number
  private slow: ReadonlyArray<{ readonly everyNs: number }> = []

  constructor(host: SimHost, ground: Ground) {
    this.host = host
    this.ground = ground
    this.sendEvent = ground.kernel.register((packet) => host.send(packet))
  }

  /** The port for one life of a node. Its sockets close with their scope, and without a word when it is killed. */
  layer(life: Life): Layer.Layer<Udp> {
    return Layer.succeed(Udp)({
      bind: (options) =>
        Effect.acquireRelease(
          Effect.suspend(() => this.bind(life, options)),
          (socket) => Effect.sync(() => socket.close())
        )
    })
  }

  /** Lets the sockets be read only every `everyMs`; of several at once the slowest counts. The returned function undoes it. */
  slowConsumer(everyMs: number): () => void {
    const entry = { everyNs: everyMs * 1_000_000 }
    this.slow = [...this.slow, entry]
    return () => {
      this.slow = this.slow.filter((other) => other !== entry)
      for (const socket of this.sockets) socket.wake()
    }
  }

  /** Least time between two reads of a socket, 0 without a fault. */
  get readEveryNs(): number {
    return this.slow.reduce((slowest, { everyNs }) => Math.max(slowest, everyNs), 0)
  }

  private bind(life: Life, options: UdpBind): Effect.Effect<LoopbackSocket, UdpError> {
    const { addresses, outlets } = this.ground
    const own = addresses.real(this.host.address)
    const any = options.address === undefined || options.address === "0.0.0.0" || options.address === "::"
    if (options.workers !== undefined)
      return fail(
        "unsupported",
        `cannot share UDP port ${options.port} of ${this.host.name} among workers: hosts of the loopback world have one socket for each port`
      )
    const asked = any ? own : parseV4(options.address!)
    if (asked !== own && asked !== LOOPBACK_ADDRESS)
      return fail(
        "address-not-available",
        `cannot bind UDP to ${JSON.stringify(options.address)}: it is not an address of ${this.host.name}, which has ${formatV4(own)}`
      )
    let socket: LoopbackSocket | undefined
    const held = Effect.map(
      outlets.hold(own, options, (count) => socket?.hear(count)),
      (outlet) => {
        socket = new LoopbackSocket(this, life, outlet, options, any ? "0.0.0.0" : formatV4(own))
        return socket
      }
    )
    return Effect.provideService(held, Scheduler.Scheduler, UNGATED)
  }
}

/** Sockets belong to the lab: a life whose gate closes meanwhile must keep them neither from opening nor, later, from closing. */
const UNGATED = new Scheduler.MixedScheduler()

const fail = (reason: UdpError["reason"], message: string): Effect.Effect<never, UdpError> =>
  Effect.fail(new UdpError({ reason, message }))

class LoopbackSocket implements UdpSocket {
  readonly local: Endpoint
  readonly tx: DatagramBatch
  readonly figures?: () => Readonly<Record<string, number>>
  readonly waitedNs?: Float64Array
  private readonly udp: UdpHost
  private readonly life: Life
  private readonly outlet: Outlet
  private readonly real: UdpSocket
  private readonly pool: PacketPool
  /** Real address and port. */
  private readonly address: number
  private readonly port: number
  private readonly broadcast: boolean
  /** Drops of the real socket before this one held it. */
  private readonly dropsBefore: number
  private readonly closeHooks: ReadonlyArray<() => void>
  private handler: ((nowNs: number, count: number) => void) | undefined
  /** What waits in the host's receive buffer while the node stands still or reads slowly. */
  private buffer: ReceiveBuffer | undefined
  private waiting = 0
  private waitingBytes = 0
  private readonly timer: KernelTimer
  private bookedNs = Number.POSITIVE_INFINITY
  private drainedNs = Number.NEGATIVE_INFINITY
  private closed = false
  private packetsIn = 0
  private bytesIn = 0
  private packetsOut = 0
  private bytesOut = 0
  private dropsIn = 0
  private dropsOut = 0

  constructor(udp: UdpHost, life: Life, outlet: Outlet, options: UdpBind, localAddress: string) {
    assert(outlet.socket !== undefined, "an outlet that is held is open")
    this.udp = udp
    this.life = life
    this.outlet = outlet
    this.real = outlet.socket
    this.pool = udp.host.network.pool
    this.address = udp.ground.addresses.real(udp.host.address)
    this.port = this.real.local.port
    this.local = { address: localAddress, port: this.port }
    this.broadcast = options.broadcast ?? false
    this.tx = new DatagramBatch(this.real.tx.capacity)
    if (this.real.figures !== undefined) this.figures = this.real.figures
    if (this.real.waitedNs !== undefined) this.waitedNs = this.real.waitedNs
    this.dropsBefore = this.real.stats().dropsIn
    this.timer = udp.ground.kernel.timer(() => life.process.deliver(this.drain))
    const unlisten = udp.host.listen(PROTOCOL.udp, this.port, (packet) => this.receive(packet))
    assert(unlisten !== undefined, "the machine gives a port of a host to one socket at a time")
    this.closeHooks = [unlisten, life.process.atDeath(() => this.close())]
    udp.sockets.add(this)
    // Killed while the socket was being opened.
    if (!life.alive) this.close()
  }

  get rx(): DatagramBatch {
    return this.real.rx
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    assert(count <= this.tx.capacity, "no more datagrams are sent than the batch has slots")
    for (let i = 0; i < count; i++) {
      if (this.sendOne(i)) {
        this.packetsOut++
        this.bytesOut += this.tx.length[i]
      } else this.dropsOut++
    }
  }

  stats(): UdpStats {
    const { packetsIn, bytesIn, packetsOut, bytesOut, dropsOut } = this
    const dropsIn = this.dropsIn + this.real.stats().dropsIn - this.dropsBefore
    return { packetsIn, bytesIn, packetsOut, bytesOut, dropsIn, dropsOut }
  }

  /** Gives the port back; what waits is lost, what was sent still leaves. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.udp.sockets.delete(this)
    this.timer.cancel()
    for (const hook of this.closeHooks) hook()
    this.udp.ground.outlets.release(this.outlet)
  }

  /** The first `count` slots of `rx` have come over the machine's loopback; who has just been paused still hears them. */
  hear(count: number): void {
    const { handler, rx } = this
    if (this.closed || handler === undefined) {
      this.dropsIn += count
      return
    }
    this.packetsIn += count
    for (let i = 0; i < count; i++) this.bytesIn += rx.length[i]
    try {
      handler(this.life.nowNs(), count)
    } catch (cause) {
      this.handler = undefined
      this.life.onDefect(cause)
    }
  }

  /** Books the next read of what waits: now, or when a slow consumer gets to it. */
  wake(): void {
    if (this.waiting === 0 || this.closed) return
    const atNs = Math.max(this.udp.ground.kernel.nowNs, this.drainedNs + this.udp.readEveryNs)
    if (atNs >= this.bookedNs) return
    this.bookedNs = atNs
    this.timer.arm(atNs)
  }

  /** Whether the datagram left: false for what Linux answers with EMSGSIZE, EACCES, EINVAL or ENETUNREACH. */
  private sendOne(index: number): boolean {
    const { tx, pool } = this
    const { host, ground } = this.udp
    const length = tx.length[index]
    if (this.closed || length < 0 || length > Math.min(tx.slotBytes, PACKET_BYTES_MAX)) return false
    if (!isV4(tx.address, index * 4) || tx.port[index] === 0) return false
    const wanted = tx.address[index * 4 + 3]
    // A node speaks to itself by the one address that its host has.
    const destination = wanted === LOOPBACK_ADDRESS ? host.address : ground.addresses.planned(wanted)
    if (destination === 0 || (!this.broadcast && host.isBroadcast(destination))) return false
    const packet = pool.alloc(length)
    if (packet < 0) return false
    pool.destination[packet] = destination
    pool.sourcePort[packet] = this.port
    pool.destinationPort[packet] = tx.port[index]
    pool.protocol[packet] = PROTOCOL.udp
    pool.ecn[packet] = tx.ecn[index]
    const from = tx.offset(index)
    pool.slab.set(tx.slab.subarray(from, from + length), pool.offset(packet))
    ground.kernel.enter(this.udp.sendEvent, packet, 0)
    return true
  }

  /** A packet has come out of the host's access link. */
  private receive(packet: number): void {
    const { pool, udp } = this
    const length = pool.length[packet]
    if (this.waiting === 0 && !this.life.process.paused && udp.readEveryNs === 0) {
      this.cross(pool.source[packet], pool.sourcePort[packet], pool.ecn[packet], pool.slab, pool.offset(packet), length)
      return
    }
    const costBytes = bufferCostBytes(length)
    if (this.waitingBytes + costBytes > RECEIVE_BUFFER_BYTES) {
      this.dropsIn++
      return
    }
    this.buffer ??= new ReceiveBuffer(RECEIVE_BUFFER_BYTES)
    this.buffer.push(pool, packet)
    this.waiting++
    this.waitingBytes += costBytes
    this.wake()
  }

  /** Lets everything that waits in the receive buffer go on to the node. */
  private readonly drain = (): void => {
    this.bookedNs = Number.POSITIVE_INFINITY
    this.drainedNs = this.udp.ground.kernel.nowNs
    if (this.closed) return
    const batch = new DatagramBatch(BATCH_SLOTS)
    for (let moved = this.buffer?.shiftInto(batch) ?? 0; moved > 0; moved = this.buffer!.shiftInto(batch)) {
      for (let i = 0; i < moved; i++)
        this.cross(batch.address[i * 4 + 3], batch.port[i], batch.ecn[i], batch.slab, batch.offset(i), batch.length[i])
    }
    this.waiting = 0
    this.waitingBytes = 0
  }

  private cross(source: number, port: number, ecn: number, slab: Uint8Array, at: number, length: number): void {
    const { addresses, outlets } = this.udp.ground
    outlets.send(addresses.real(source), port, this.address, this.port, ecn, slab, at, length)
  }
}
