/**
 * Reliable byte streams over the simulated network: the part of TCP that HTTP needs, between the hosts' packets and whoever serves or
 * asks. The stack belongs to the host, as a kernel's does: it goes on acknowledging while a process is paused, and when a
 * process is dead its connections are gone and the peer is told so at its next segment.
 *
 * Not modelled: selective acknowledgement, delayed acknowledgement (each segment is answered at once), TIME-WAIT, urgent data.
 */

import type { Process } from "../kernel/process.ts"
import type { Rng } from "../kernel/rng.ts"
import type { SimHost } from "./host.ts"
import { ICMP, icmpMtuBytes, quotedDestination, quotedDestinationPort } from "./icmp.ts"
import { PROTOCOL } from "./packet.ts"
import { StreamConnection } from "./stream-connection.ts"
import {
  SEGMENT,
  SEGMENT_HEADER_BYTES,
  segmentAcknowledgement,
  segmentFlags,
  segmentSequence,
  writeSegment
} from "./stream-segment.ts"

/** How a stream ended: in order, because nobody listens there, by the peer's reset, or because nothing was heard any more. */
export type StreamEnd = "closed" | "refused" | "reset" | "timeout"

/** What the owner of a stream hears; called as the owner's process would be: later while it is paused, never when it is dead. */
export interface StreamHandler {
  /** The peer has answered. Not called on the accepting side, which is open from the start. */
  readonly onOpen?: () => void
  /** The next bytes, in order; the array is the handler's to keep. */
  readonly onData: (bytes: Uint8Array) => void
  /** The peer sends nothing more. */
  readonly onEnd: () => void
  /** The stream is over; once, and nothing follows. Not called after `abort`. */
  readonly onClose: (end: StreamEnd) => void
}

/** One end of a stream. */
export interface Stream {
  /** IPv4 address of the peer, as its packets show it. */
  readonly remoteAddress: number
  readonly remotePort: number
  /** Queues bytes, which must not be changed afterwards; false if the buffer (32 MiB) is full or the stream is ending. */
  send(bytes: Uint8Array): boolean
  /** Ends this direction after what was queued. */
  end(): void
  /** Ends both directions at once; the peer sees a reset. */
  abort(): void
}

/** Gives the handler of a stream that a peer has opened. */
export type Acceptor = (stream: Stream) => StreamHandler

/** Connections of one host; further attempts are ignored, as by a full backlog. */
export const CONNECTIONS_MAX = 4096

/** A local port: a listener, or the ephemeral end of an outgoing connection. */
interface LocalPort {
  readonly number: number
  readonly owner: Process
  readonly release: () => void
  accept: Acceptor | undefined
  readonly connections: Map<number, StreamConnection>
}

const stacks = new WeakMap<SimHost, StreamStack>()

export class StreamStack {
  readonly host: SimHost
  /** Connections that exist now. */
  count = 0
  private readonly ports = new Map<number, LocalPort>()
  private readonly rng: Rng

  private constructor(host: SimHost) {
    this.host = host
    this.rng = host.network.kernel.rng(`net/${host.name}/stream`)
  }

  /** The host's stack. */
  static of(host: SimHost): StreamStack {
    const stack = stacks.get(host) ?? new StreamStack(host)
    stacks.set(host, stack)
    return stack
  }

  /** Accepts streams on a port for a process; the returned function stops that. `undefined` if the port is taken. */
  listen(owner: Process, port: number, accept: Acceptor): (() => void) | undefined {
    const local = this.open(port, owner)
    if (local === undefined || local.accept !== undefined) return undefined
    local.accept = accept
    return () => {
      if (local.accept === accept) local.accept = undefined
      this.closeIfUnused(local)
    }
  }

  /** Opens a stream; `undefined` if the host has no port or connection left. */
  connect(owner: Process, address: number, port: number, handler: StreamHandler): Stream | undefined {
    const number = this.host.ephemeralPort(PROTOCOL.stream)
    if (number === 0 || this.count >= CONNECTIONS_MAX) return undefined
    const local = this.open(number, owner)
    if (local === undefined) return undefined
    const connection = this.add(local, address, port)
    connection.connect(handler)
    return connection
  }

  /** Takes over the port, unless a living process holds it. */
  private open(number: number, owner: Process): LocalPort | undefined {
    const before = this.ports.get(number)
    if (before?.owner.alive) return before.owner === owner ? before : undefined
    if (before !== undefined) this.discard(before)
    const stopListening = this.host.listen(PROTOCOL.stream, number, (packet) => this.receive(local, packet))
    if (stopListening === undefined) return undefined
    const stopIcmp = this.host.onIcmp(PROTOCOL.stream, number, (kind, packet) => this.receiveIcmp(local, kind, packet))
    const local: LocalPort = {
      number,
      owner,
      accept: undefined,
      connections: new Map(),
      release: () => {
        stopListening()
        stopIcmp()
      }
    }
    this.ports.set(number, local)
    return local
  }

  private add(local: LocalPort, address: number, port: number): StreamConnection {
    const key = peerKey(address, port)
    const connection = new StreamConnection({
      host: this.host,
      owner: local.owner,
      localPort: local.number,
      remoteAddress: address,
      remotePort: port,
      firstSequence: this.rng.u32(),
      onGone: () => {
        if (local.connections.get(key) !== connection) return
        local.connections.delete(key)
        this.count--
        this.closeIfUnused(local)
      }
    })
    local.connections.set(key, connection)
    this.count++
    return connection
  }

  private receive(local: LocalPort, packet: number): void {
    const { pool } = this.host.network
    if (pool.length[packet] < SEGMENT_HEADER_BYTES) return
    const flags = segmentFlags(pool, packet)
    if (!local.owner.alive) {
      this.discard(local)
      return this.refuse(packet, flags)
    }
    const address = pool.source[packet]
    const port = pool.sourcePort[packet]
    const connection = local.connections.get(peerKey(address, port))
    if (connection !== undefined) connection.handleSegment(packet)
    else if (local.accept !== undefined && flags === SEGMENT.syn) {
      if (this.count < CONNECTIONS_MAX) this.add(local, address, port).accept(packet, local.accept)
    } else this.refuse(packet, flags)
  }

  /** Answers a segment that belongs to nothing (RFC 9293 §3.10.7.1). */
  private refuse(packet: number, flags: number): void {
    if ((flags & SEGMENT.reset) !== 0) return
    const { pool } = this.host.network
    const answered = (flags & SEGMENT.ack) !== 0
    const length =
      pool.length[packet] - SEGMENT_HEADER_BYTES + (flags & SEGMENT.syn ? 1 : 0) + (flags & SEGMENT.fin ? 1 : 0)
    const sequence = answered ? segmentAcknowledgement(pool, packet) : 0
    const acknowledgement = segmentSequence(pool, packet) + length
    const [address, port, local] = [pool.source[packet], pool.sourcePort[packet], pool.destinationPort[packet]]
    const reset = pool.alloc(SEGMENT_HEADER_BYTES)
    if (reset < 0) return
    pool.destination[reset] = address
    pool.destinationPort[reset] = port
    pool.sourcePort[reset] = local
    pool.protocol[reset] = PROTOCOL.stream
    writeSegment(pool, reset, sequence, acknowledgement, answered ? SEGMENT.reset : SEGMENT.reset | SEGMENT.ack, 0)
    this.host.send(reset)
  }

  private receiveIcmp(local: LocalPort, kind: number, packet: number): void {
    const { pool } = this.host.network
    const key = peerKey(quotedDestination(pool, packet), quotedDestinationPort(pool, packet))
    const connection = local.connections.get(key)
    if (connection === undefined) return
    if (kind === ICMP.portUnreachable) connection.handleReset()
    else if (kind === ICMP.fragmentationNeeded) connection.handleMtu(icmpMtuBytes(pool, packet))
  }

  private closeIfUnused(local: LocalPort): void {
    if (local.accept !== undefined || local.connections.size > 0) return
    local.release()
    if (this.ports.get(local.number) === local) this.ports.delete(local.number)
  }

  /** Forgets the port of a dead process and all its connections, without a word. */
  private discard(local: LocalPort): void {
    local.accept = undefined
    for (const connection of [...local.connections.values()]) connection.vanish()
    this.closeIfUnused(local)
  }
}

const peerKey = (address: number, port: number): number => address * 65_536 + port
