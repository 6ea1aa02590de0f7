/**
 * Port Udp on `node:dgram`.
 *
 * Node hands over one datagram a call. They are copied into the slots as they come and given to the receiver once for each turn
 * of the event loop (`setImmediate` runs right behind the poll phase), or earlier when the slots are full. Sent datagrams go
 * through a ring of bytes of our own, because Node keeps pointing at the caller's bytes when the system cannot take a
 * datagram at once. ECN bits cannot be read or set through Node: the column is 0 on receive and ignored on send.
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { readFileSync } from "node:fs"
import { Clock } from "@horizon/core/port/clock.ts"
import { Udp, type UdpBind, type UdpError, type UdpSocket, type UdpStats } from "@horizon/core/port/udp.ts"
import { type Endpoint, formatV4, isV4, parseAddress } from "@horizon/core/wire/address.ts"
import { BATCH_SLOTS, DatagramBatch, SLOT_BYTES } from "@horizon/core/wire/batch.ts"
import { Effect, Layer } from "effect"
import { Defects } from "./defect.ts"
import { AddressTexts, AddressWords } from "./peer-addresses.ts"
import { notAnAddress, udpError } from "./udp-error.ts"

/** Receive and send buffer asked of the system; it grants at most net.core.rmem_max and wmem_max. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
/** Datagrams that may wait inside Node for a system that cannot send; more are dropped and counted. */
const QUEUE_DATAGRAMS = 256

/** UDP sockets of the host. */
export const layerUdp: Layer.Layer<Udp, never, Clock> = Layer.effect(
  Udp,
  Effect.gen(function* () {
    const { nowNs } = yield* Clock
    const surroundings: Surroundings = { nowNs, onDefect: yield* Defects }
    return {
      bind: (options) =>
        Effect.acquireRelease(open(options, surroundings), (socket) => socket.close).pipe(
          Effect.map((socket): UdpSocket => socket)
        )
    }
  })
)

/** What a socket needs of its node. */
interface Surroundings {
  readonly nowNs: () => number
  /** Takes what the receiver throws. */
  readonly onDefect: (cause: unknown) => void
}

/** Binds: IPv4 and IPv6 on one socket if no address is given, IPv4 alone on a host without IPv6. */
const open = (options: UdpBind, node: Surroundings): Effect.Effect<NodeUdpSocket, UdpError> => {
  const { address } = options
  if (options.workers !== undefined) {
    return Effect.fail(udpError("ENOTSUP", { address: address ?? "0.0.0.0", port: options.port }))
  }
  if (address === undefined) {
    return bind("udp6", "::", options, node).pipe(
      Effect.catchIf(
        (error) => error.reason === "unsupported" || error.reason === "address-not-available",
        () => bind("udp4", "0.0.0.0", options, node)
      )
    )
  }
  const words = new Uint32Array(4)
  if (!parseAddress(address, words, 0)) {
    return Effect.fail(notAnAddress(address))
  }
  return isV4(words, 0) ? bind("udp4", formatV4(words[3]), options, node) : bind("udp6", address, options, node)
}

const bind = (
  family: "udp4" | "udp6",
  address: string,
  options: UdpBind,
  node: Surroundings
): Effect.Effect<NodeUdpSocket, UdpError> =>
  Effect.callback<NodeUdpSocket, UdpError>((resume) => {
    // The lookup answers at once: addresses are always numeric here, and Node's own would wait a turn for each datagram.
    const socket = createSocket({
      type: family,
      ipv6Only: false,
      lookup: (host, _, done) => done(null, host, family === "udp4" ? 4 : 6)
    })
    const failed = (error: NodeJS.ErrnoException): void => {
      socket.close()
      resume(Effect.fail(udpError(error.code, { address, port: options.port })))
    }
    socket.once("error", failed)
    socket.bind({ address, port: options.port, exclusive: true }, () => {
      socket.off("error", failed)
      if (options.broadcast === true) socket.setBroadcast(true)
      resume(Effect.succeed(new NodeUdpSocket(socket, family, options.slots ?? BATCH_SLOTS, node)))
    })
  })

class NodeUdpSocket implements UdpSocket {
  readonly local: Endpoint
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  private readonly socket: Socket
  private readonly node: Surroundings
  private readonly procTable: string
  private readonly procKey: string
  private readonly toText: AddressTexts
  private readonly toWords = new AddressWords()
  private readonly ring = Buffer.allocUnsafeSlow(QUEUE_DATAGRAMS * SLOT_BYTES)
  private ringAt = 0
  private handler: ((nowNs: number, count: number) => void) | undefined
  private received = 0
  private flushPending = false
  private closed = false
  private packetsIn = 0
  private bytesIn = 0
  private packetsOut = 0
  private bytesOut = 0
  private dropsIn = 0
  private dropsOut = 0

  constructor(socket: Socket, family: "udp4" | "udp6", slots: number, node: Surroundings) {
    const bound = socket.address()
    // A socket on every address is named by the IPv4 form, which peers on both families understand.
    this.local = { address: bound.address === "::" ? "0.0.0.0" : bound.address, port: bound.port }
    this.rx = new DatagramBatch(slots)
    this.tx = new DatagramBatch(slots)
    this.socket = socket
    this.procTable = family === "udp6" ? "/proc/self/net/udp6" : "/proc/self/net/udp"
    this.procKey = procKey(bound.address, bound.port)
    this.node = node
    this.toText = new AddressTexts(family === "udp6")
    growBuffers(socket)
    socket.on("message", this.onMessage)
    // Asynchronous errors are those of single datagrams (no route, message too long).
    socket.on("error", () => {
      this.dropsOut++
    })
  }

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    const { tx } = this
    for (let i = 0; i < count; i++) this.sendOne(tx, i)
  }

  stats(): UdpStats {
    return {
      packetsIn: this.packetsIn,
      bytesIn: this.bytesIn,
      packetsOut: this.packetsOut,
      bytesOut: this.bytesOut,
      dropsIn: this.dropsIn + (this.closed ? 0 : kernelDrops(this.procTable, this.procKey)),
      dropsOut: this.dropsOut
    }
  }

  readonly close: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.closed = true
    this.handler = undefined
    this.socket.close(() => resume(Effect.void))
  })

  private sendOne(tx: DatagramBatch, index: number): void {
    const length = tx.length[index]
    const port = tx.port[index]
    if (this.closed || port === 0 || length > SLOT_BYTES || this.socket.getSendQueueCount() >= QUEUE_DATAGRAMS - 1) {
      this.dropsOut++
      return
    }
    const at = this.ringAt * SLOT_BYTES
    this.ringAt = (this.ringAt + 1) % QUEUE_DATAGRAMS
    const from = tx.offset(index)
    this.ring.set(tx.slab.subarray(from, from + length), at)
    try {
      this.socket.send(this.ring, at, length, port, this.toText.get(tx.address, index * 4), this.onSent)
    } catch {
      this.dropsOut++
    }
  }

  private readonly onSent = (error: Error | null, bytes: number): void => {
    if (error === null) {
      this.packetsOut++
      this.bytesOut += bytes
    } else this.dropsOut++
  }

  private readonly onMessage = (message: Buffer, from: RemoteInfo): void => {
    const { rx } = this
    if (this.handler === undefined || message.length > rx.slotBytes) {
      this.dropsIn++
      return
    }
    const index = this.received
    if (!this.toWords.put(from.address, rx.address, index * 4)) {
      this.dropsIn++
      return
    }
    rx.slab.set(message, rx.offset(index))
    rx.length[index] = message.length
    rx.port[index] = from.port
    this.received++
    this.packetsIn++
    this.bytesIn += message.length
    if (this.received === rx.capacity) this.deliver()
    else if (!this.flushPending) {
      this.flushPending = true
      setImmediate(this.flush)
    }
  }

  private readonly flush = (): void => {
    this.flushPending = false
    this.deliver()
  }

  private deliver(): void {
    const count = this.received
    this.received = 0
    if (count === 0) return
    try {
      this.handler?.(this.node.nowNs(), count)
    } catch (cause) {
      this.handler = undefined
      this.node.onDefect(cause)
    }
  }
}

/** Asks for large buffers and takes what the system grants: bursts are lost in small ones. */
const growBuffers = (socket: Socket): void => {
  for (const grow of [
    () => socket.setRecvBufferSize(SOCKET_BUFFER_BYTES),
    () => socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  ]) {
    try {
      grow()
    } catch {
      // Some systems refuse instead of granting less; their default stays.
    }
  }
}

/** How /proc/self/net/udp{,6} names a local endpoint: host-order 32-bit words of the address in hex, then the port. */
const procKey = (address: string, port: number): string => {
  const words = new Uint32Array(4)
  parseAddress(address, words, 0)
  const swapped = (isV4(words, 0) ? [words[3]] : [...words]).map(
    (word) => ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
  )
  return `${swapped.map((word) => hexOf(word, 8)).join("")}:${hexOf(port, 4)}`
}

const hexOf = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0")

/** Datagrams that the kernel dropped because the receive buffer was full, as Linux counts them; 0 on other systems. */
const kernelDrops = (table: string, key: string): number => {
  try {
    for (const line of readFileSync(table, "utf8").split("\n")) {
      const columns = line.trim().split(/\s+/)
      if (columns[1] === key) return Number(columns.at(-1)) || 0
    }
  } catch {
    // No such table on this system.
  }
  return 0
}
