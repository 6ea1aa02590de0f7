/**
 * Port Udp on the native module: whole batches to and from the kernel in one system call and one crossing of the language boundary, with
 * segmentation offload both ways. Datagrams stay where the kernel put them in the node's slab until the receiver is done with them.
 */

import { getSystemErrorName } from "node:util"
import { Clock } from "@horizon/core/port/clock.ts"
import { Udp, type UdpBind, type UdpError, type UdpSocket, type UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatAddress, parseAddress } from "@horizon/core/wire/address.ts"
import { type DatagramBatch, SLOT_BYTES } from "@horizon/core/wire/batch.ts"
import { type Native, UDP_COUNTER, UDP_COUNTERS } from "@horizon/native/native.ts"
import { Effect, Layer } from "effect"
import type { Arena } from "./arena.ts"
import { Defects } from "./defect.ts"
import { notAnAddress, udpError } from "./udp-error.ts"

/** Datagrams of one batch at most: what thirty coalesced messages of 64 hold. */
const RX_SLOTS = 2048
/** Two full messages: they leave while the next ones are made. */
const TX_SLOTS = 128
/** Room for one coalesced message in the slab, and how many of them a batch takes. */
const MESSAGE_BYTES = 65_536 + 832
const MESSAGES = 32

/** UDP sockets of the host, with their packets in `arena`. */
export const layerNativeUdp = (native: Native, arena: Arena): Layer.Layer<Udp, never, Clock> =>
  Layer.effect(
    Udp,
    Effect.gen(function* () {
      const { nowNs } = yield* Clock
      const onDefect = yield* Defects
      return {
        bind: (options) =>
          Effect.acquireRelease(
            Effect.suspend(() => open({ native, arena, nowNs, onDefect }, options)),
            (socket) => Effect.sync(() => socket.close())
          ).pipe(Effect.map((socket): UdpSocket => socket))
      }
    })
  )

/** What a socket needs of its node. */
interface Surroundings {
  readonly native: Native
  readonly arena: Arena
  readonly nowNs: () => number
  /** Takes what the receiver throws. */
  readonly onDefect: (cause: unknown) => void
}

const open = (node: Surroundings, options: UdpBind): Effect.Effect<NativeUdpSocket, UdpError> => {
  const address = new Uint32Array(4)
  if (options.address !== undefined && !parseAddress(options.address, address, 0))
    return Effect.fail(notAnAddress(options.address))
  const socket = new NativeUdpSocket(node, options, address)
  if (socket.handle > 0) return Effect.succeed(socket)
  socket.close()
  return Effect.fail(
    udpError(getSystemErrorName(socket.handle), { address: options.address ?? "0.0.0.0", port: options.port })
  )
}

class NativeUdpSocket implements UdpSocket {
  /** Positive, or why the socket could not be bound, as a negative errno. */
  readonly handle: number
  readonly local: Endpoint
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  readonly waitedNs?: Float64Array
  private readonly node: Surroundings
  private readonly counters = new Float64Array(UDP_COUNTERS)
  private handler: ((nowNs: number, count: number) => void) | undefined
  private kernelDrops = 0
  private closed = false

  constructor(node: Surroundings, options: UdpBind, address: Uint32Array) {
    const { native, arena } = node
    this.node = node
    this.rx = arena.batch(options.slots ?? RX_SLOTS, SLOT_BYTES, MESSAGES * MESSAGE_BYTES)
    this.tx = arena.batch(options.slots ?? TX_SLOTS, SLOT_BYTES)
    const waitedNs = new Float64Array(options.timestamps === true ? this.rx.capacity : 0)
    if (options.timestamps === true) this.waitedNs = waitedNs
    const open = {
      address,
      port: options.port,
      broadcast: options.broadcast === true,
      rxFrom: this.rx.from,
      rxBytes: Math.max(this.rx.to - this.rx.from, MESSAGES * MESSAGE_BYTES),
      gso: options.offload !== false,
      gro: options.offload !== false,
      workers: options.workers ?? 0,
      timestamps: options.timestamps === true
    }
    this.handle = native.udpOpen(open, this.rx, this.tx, this.counters, waitedNs, this.onReceived)
    const local = new Uint32Array(5)
    if (this.handle > 0) native.udpLocal(this.handle, local)
    const bound = formatAddress(local, 0)
    // A socket on every address is named by the IPv4 form, which peers on both families understand.
    this.local = { address: bound === "::" ? "0.0.0.0" : bound, port: local[4] }
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    if (this.closed) this.counters[UDP_COUNTER.dropsOut] += count
    else this.node.native.udpSend(this.handle, count)
  }

  stats(): UdpStats {
    const { counters } = this
    if (!this.closed) this.kernelDrops = this.node.native.udpDrops(this.handle)
    return {
      packetsIn: counters[UDP_COUNTER.packetsIn],
      bytesIn: counters[UDP_COUNTER.bytesIn],
      packetsOut: counters[UDP_COUNTER.packetsOut],
      bytesOut: counters[UDP_COUNTER.bytesOut],
      dropsIn: counters[UDP_COUNTER.dropsIn] + this.kernelDrops,
      dropsOut: counters[UDP_COUNTER.dropsOut]
    }
  }

  figures(): Readonly<Record<string, number>> {
    const { counters } = this
    return {
      receiveCalls: counters[UDP_COUNTER.receiveCalls],
      sendCalls: counters[UDP_COUNTER.sendCalls],
      messagesCoalesced: counters[UDP_COUNTER.messagesCoalesced],
      messagesSegmented: counters[UDP_COUNTER.messagesSegmented],
      gsoOn: counters[UDP_COUNTER.gsoOn],
      groOn: counters[UDP_COUNTER.groOn],
      offloadErrors: counters[UDP_COUNTER.offloadErrors]
    }
  }

  close(): void {
    if (this.closed) return
    if (this.handle > 0) this.kernelDrops = this.node.native.udpDrops(this.handle)
    this.closed = true
    this.handler = undefined
    this.node.native.udpClose(this.handle)
    this.node.arena.release(this.rx)
    this.node.arena.release(this.tx)
  }

  private readonly onReceived = (count: number): void => {
    // Before there is a receiver, and after the last one, what comes is lost, as on any closed door.
    if (this.handler === undefined) {
      this.counters[UDP_COUNTER.dropsIn] += count
      return
    }
    try {
      this.handler(this.node.nowNs(), count)
    } catch (cause) {
      this.handler = undefined
      this.node.onDefect(cause)
    }
  }
}
