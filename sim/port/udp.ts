/**
 * The `Udp` port on a simulated host, with a receive buffer, batches and drops as Linux has them.
 *
 * What arrives at one instant is handed over in one batch: the first packet books an event at the present time, which runs
 * behind everything that the same instant still brings. While the process is paused, or reads slowly by a fault, packets
 * pile up in the receive buffer until it is full.
 */

import { assert } from "@horizon/core/assert.ts"
import { Udp, type UdpBind, UdpError, type UdpSocket, type UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatEndpoint, formatV4, isV4, parseV4, putV4 } from "@horizon/core/wire/address.ts"
import { BATCH_SLOTS, DatagramBatch } from "@horizon/core/wire/batch.ts"
import { Effect, Layer } from "effect"
import type { KernelTimer } from "../kernel/kernel.ts"
import type { Process } from "../kernel/process.ts"
import { isLoopback, type SimHost } from "../net/host.ts"
import { PACKET_BYTES_MAX, type PacketPool, PROTOCOL } from "../net/packet.ts"
import { bufferCostBytes, ReceiveBuffer } from "./udp-buffer.ts"

/** Linux's default size of a receive buffer (net.core.rmem_default), in bytes of memory. */
export const RECEIVE_BUFFER_BYTES = 212_992

export interface UdpHostOptions {
  /** Memory that each socket's waiting datagrams may take; `RECEIVE_BUFFER_BYTES` if left out. */
  readonly receiveBufferBytes?: number
}

/** The UDP sockets of one host, over all lives of the process on it. */
export class UdpHost {
  readonly host: SimHost
  /** Open sockets. */
  readonly sockets = new Set<SimUdpSocket>()
  readonly receiveBufferBytes: number
  private slow: ReadonlyArray<{ readonly everyNs: number }> = []

  constructor(host: SimHost, options: UdpHostOptions = {}) {
    this.host = host
    this.receiveBufferBytes = options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES
  }

  /** The port for one life of the process. Its sockets close with their scope, and without a word when it is killed. */
  layer(process: Process): Layer.Layer<Udp> {
    return Layer.succeed(Udp)({
      bind: (options) =>
        Effect.acquireRelease(
          Effect.suspend(() => bind(this, process, options)),
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
}

/** The port of a process on a host of which no fault is asked. */
export const layerUdp = (host: SimHost, process: Process): Layer.Layer<Udp> => new UdpHost(host).layer(process)

const bind = (udp: UdpHost, process: Process, options: UdpBind): Effect.Effect<SimUdpSocket, UdpError> => {
  const { host } = udp
  const address = bindAddress(host, options.address)
  if (address === undefined)
    return fail(
      "address-not-available",
      `cannot bind UDP to ${JSON.stringify(options.address)}: it is not an address of ${host.name}, which has ${formatV4(host.address)} and 127.0.0.1`
    )
  if (!Number.isInteger(options.port) || options.port < 0 || options.port > 65_535)
    return fail("unknown", `cannot bind UDP port ${options.port} on ${host.name}: a port is an integer from 0 to 65535`)
  const port = options.port === 0 ? host.ephemeralPort(PROTOCOL.udp) : options.port
  const local = { address: formatV4(address), port }
  if (port === 0)
    return fail("address-in-use", `every ephemeral UDP port on ${host.name} is in use; close some sockets`)
  const socket = new SimUdpSocket(udp, process, local, options)
  if (socket.open()) return Effect.succeed(socket)
  return fail(
    "address-in-use",
    `UDP ${formatEndpoint(local)} on ${host.name} is already in use; choose another port or close the socket that holds it`
  )
}

const fail = (reason: UdpError["reason"], message: string): Effect.Effect<never, UdpError> =>
  Effect.fail(new UdpError({ reason, message }))

/** The address to bind as a number, 0 = every address; `undefined` if it is not the host's. */
const bindAddress = (host: SimHost, text: string | undefined): number | undefined => {
  if (text === undefined || text === "0.0.0.0" || text === "::") return 0
  const address = parseV4(text)
  return address !== undefined && (address === host.address || isLoopback(address)) ? address : undefined
}

export class SimUdpSocket implements UdpSocket {
  readonly local: Endpoint
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  /** ICMP errors about what this socket sent: a datagram socket does not hear of them, but a test may want to know. */
  icmpErrors = 0
  private readonly rxWords: Int32Array
  private readonly txWords: Int32Array
  private readonly udp: UdpHost
  private readonly process: Process
  private readonly pool: PacketPool
  /** 0 = bound to every address. */
  private readonly address: number
  private readonly broadcast: boolean
  private handler: ((nowNs: number, count: number) => void) | undefined
  /** Datagrams that lie ready in `rx`; more wait in the backlog. */
  private ready = 0
  private backlog: ReceiveBuffer | undefined
  /** Memory that waiting datagrams take. */
  private waitingBytes = 0
  private closeHooks: ReadonlyArray<() => void> = []
  private closed = false
  private readonly timer: KernelTimer
  /** When the next read is booked. */
  private bookedNs = Number.POSITIVE_INFINITY
  private drainedNs = Number.NEGATIVE_INFINITY
  private packetsIn = 0
  private bytesIn = 0
  private packetsOut = 0
  private bytesOut = 0
  private dropsIn = 0
  private dropsOut = 0

  constructor(udp: UdpHost, process: Process, local: Endpoint, options: UdpBind) {
    this.udp = udp
    this.process = process
    this.local = local
    this.address = parseV4(local.address)!
    this.pool = udp.host.network.pool
    this.broadcast = options.broadcast ?? false
    this.rx = new DatagramBatch(options.slots ?? BATCH_SLOTS)
    this.tx = new DatagramBatch(options.slots ?? BATCH_SLOTS)
    this.rxWords = new Int32Array(this.rx.slab.buffer)
    this.txWords = new Int32Array(this.tx.slab.buffer)
    this.timer = process.kernel.timer(() => process.deliver(this.drain))
  }

  /** Takes the port; false if it is taken. */
  open(): boolean {
    const { host } = this.udp
    const unlisten = host.listen(PROTOCOL.udp, this.local.port, (packet) => this.receive(packet), this.address)
    if (unlisten === undefined) return false
    const unwatch = host.onIcmp(PROTOCOL.udp, this.local.port, () => {
      this.icmpErrors++
    })
    this.closeHooks = [unlisten, unwatch, this.process.atDeath(() => this.close())]
    this.udp.sockets.add(this)
    return true
  }

  /** Gives the port back; what waits is lost. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.udp.sockets.delete(this)
    this.timer.cancel()
    for (const hook of this.closeHooks) hook()
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
    this.wake()
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
    const { packetsIn, bytesIn, packetsOut, bytesOut, dropsIn, dropsOut } = this
    return { packetsIn, bytesIn, packetsOut, bytesOut, dropsIn, dropsOut }
  }

  /** Books the next read if there is anything to read: now, or when a slow consumer gets to it. */
  wake(): void {
    if (this.ready === 0 || this.handler === undefined || this.closed) return
    const atNs = Math.max(this.process.kernel.nowNs, this.drainedNs + this.udp.readEveryNs)
    if (atNs >= this.bookedNs) return
    this.bookedNs = atNs
    this.timer.arm(atNs)
  }

  /** Whether the datagram left: false for what Linux answers with EMSGSIZE, EACCES, EINVAL, ENETUNREACH or ENOBUFS. */
  private sendOne(index: number): boolean {
    const { tx } = this
    const { host } = this.udp
    const length = tx.length[index]
    const destination = tx.address[index * 4 + 3]
    if (this.closed || length < 0 || length > Math.min(tx.slotBytes, PACKET_BYTES_MAX)) return false
    if (!isV4(tx.address, index * 4) || destination === 0 || tx.port[index] === 0) return false
    if (!this.broadcast && host.isBroadcast(destination)) return false
    if (isLoopback(this.address) && destination !== host.address && !isLoopback(destination)) return false
    const packet = this.pool.alloc(length)
    if (packet < 0) return false
    const { pool } = this
    pool.source[packet] = this.address
    pool.destination[packet] = destination
    pool.sourcePort[packet] = this.local.port
    pool.destinationPort[packet] = tx.port[index]
    pool.protocol[packet] = PROTOCOL.udp
    pool.ecn[packet] = tx.ecn[index]
    copyWords(this.txWords, tx.offset(index), pool.words, pool.offset(packet), length)
    host.send(packet)
    return true
  }

  private receive(packet: number): void {
    const { pool, rx } = this
    const length = pool.length[packet]
    const costBytes = bufferCostBytes(length)
    if (this.waitingBytes + costBytes > this.udp.receiveBufferBytes || length > rx.slotBytes) {
      this.dropsIn++
      return
    }
    this.waitingBytes += costBytes
    this.packetsIn++
    this.bytesIn += length
    if (this.ready === rx.capacity) {
      this.backlog ??= new ReceiveBuffer(this.udp.receiveBufferBytes)
      this.backlog.push(pool, packet)
      return
    }
    const slot = this.ready++
    copyWords(pool.words, pool.offset(packet), this.rxWords, rx.offset(slot), length)
    rx.length[slot] = length
    putV4(rx.address, slot * 4, pool.source[packet])
    rx.port[slot] = pool.sourcePort[packet]
    rx.ecn[slot] = pool.ecn[packet]
    this.wake()
  }

  /** Hands everything that waits to the receiver, a batch at a time. */
  private readonly drain = (): void => {
    this.bookedNs = Number.POSITIVE_INFINITY
    this.drainedNs = this.process.kernel.nowNs
    while (this.ready > 0 && !this.closed) {
      const count = this.ready
      for (let i = 0; i < count; i++) this.waitingBytes -= bufferCostBytes(this.rx.length[i])
      this.handler!(this.process.nowNs(), count)
      this.ready = this.backlog?.shiftInto(this.rx) ?? 0
    }
  }
}

/**
 * Copies `length` bytes, rounded up to a word, from word to word: slots are aligned and have the room. `set` would allocate a
 * view for each packet.
 */
const copyWords = (from: Int32Array, fromAt: number, to: Int32Array, toAt: number, length: number): void => {
  const shift = (toAt - fromAt) >> 2
  const end = (fromAt + length + 3) >> 2
  for (let i = fromAt >> 2; i < end; i++) to[i + shift] = from[i]
}
