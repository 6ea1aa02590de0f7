/**
 * Port Udp on the native module: whole batches to and from the kernel in one system call and one crossing of the language boundary, with
 * segmentation offload both ways. Datagrams stay where the kernel put them in the node's slab until the receiver is done with them.
 */

import { getSystemErrorName } from "node:util"
import { Clock } from "@horizon/core/port/clock.ts"
import { Udp, type UdpBind, type UdpError, type UdpSocket } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatAddress, parseAddress } from "@horizon/core/wire/address.ts"
import { SLOT_BYTES } from "@horizon/core/wire/batch.ts"
import { type Native, UDP_COUNTER, UDP_COUNTERS } from "@horizon/native/native.ts"
import { Effect, Layer } from "effect"
import type { Arena } from "./arena.ts"
import { Defects } from "./defect.ts"
import { NativePort, type NativeSurroundings } from "./native-port.ts"
import { notAnAddress, udpError } from "./udp-error.ts"

/** Datagrams of one batch at most: what thirty coalesced messages of 64 hold. */
const RX_SLOTS = 2048
/** Two full messages: they leave while the next ones are made. */
const TX_SLOTS = 128
/** Coalesced messages that a batch takes. */
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

const open = (node: NativeSurroundings, options: UdpBind): Effect.Effect<NativeUdpSocket, UdpError> => {
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

class NativeUdpSocket extends NativePort implements UdpSocket {
  readonly handle: number
  readonly local: Endpoint
  readonly waitedNs?: Float64Array

  constructor(node: NativeSurroundings, options: UdpBind, address: Uint32Array) {
    const { native, arena } = node
    const roomBytes = MESSAGES * native.UDP_MESSAGE_BYTES
    const rx = arena.batch(options.slots ?? RX_SLOTS, SLOT_BYTES, roomBytes)
    const tx = arena.batch(options.slots ?? TX_SLOTS, SLOT_BYTES)
    super(node, rx, tx, UDP_COUNTERS)
    const waitedNs = new Float64Array(options.timestamps === true ? rx.capacity : 0)
    if (options.timestamps === true) this.waitedNs = waitedNs
    const open = {
      address,
      port: options.port,
      broadcast: options.broadcast === true,
      rxFrom: rx.from,
      rxBytes: Math.max(rx.to - rx.from, roomBytes),
      gso: options.offload !== false,
      gro: options.offload !== false,
      workers: options.workers ?? 0,
      timestamps: options.timestamps === true
    }
    this.handle = native.udpOpen(open, rx, tx, this.counters, waitedNs, this.onFilled)
    const local = new Uint32Array(5)
    if (this.handle > 0) native.udpLocal(this.handle, local)
    const bound = formatAddress(local, 0)
    // A socket on every address is named by the IPv4 form, which peers on both families understand.
    this.local = { address: bound === "::" ? "0.0.0.0" : bound, port: local[4] }
  }

  figures(): Readonly<Record<string, number>> {
    return this.figuresOf(UDP_COUNTER)
  }

  protected sendOpen(count: number): void {
    this.node.native.udpSend(this.handle, count)
  }

  protected kernelDropsOpen(): number {
    return this.node.native.udpDrops(this.handle)
  }

  protected closeOpen(): void {
    this.node.native.udpClose(this.handle)
  }
}
