/**
 * A host: one interface on a subnet, receivers for its ports, and a loopback.
 *
 * The host outlives the processes on it: when its process dies the world calls `reset`, and whoever still sends to it is
 * answered by ICMP, as a running kernel does for a dead daemon.
 */

import { assert } from "@horizon/core/assert.ts"
import { parseV4 } from "@horizon/core/wire/address.ts"
import type { Rng } from "../kernel/rng.ts"
import { ICMP, icmpKind, quotedProtocol, quotedSourcePort } from "./icmp.ts"
import type { Interface, InterfaceOwner } from "./interface.ts"
import type { Network } from "./network.ts"
import { PROTOCOL } from "./packet.ts"

/** First and last port that is given out for port 0: Linux's default range. */
export const EPHEMERAL_PORTS = { first: 32_768, last: 60_999 } as const

/** `127.0.0.1` */
export const LOOPBACK_ADDRESS = parseV4("127.0.0.1")!

/** Limited broadcast: every host of the sender's subnet (RFC 919). */
export const LIMITED_BROADCAST = 0xffff_ffff

/** Whether `address` lies in 127.0.0.0/8. */
export const isLoopback = (address: number): boolean => address >>> 24 === 127

/** Called with a packet that is lent until the call returns. */
export type PacketReceiver = (packet: number) => void

/** Called for an ICMP error about a packet that the host sent; `kind` as in `ICMP`; `packet` is lent (see icmp.ts for what it quotes). */
export type IcmpReceiver = (kind: number, packet: number) => void

interface Listener {
  /** Only packets to this address; 0 = to any. */
  readonly address: number
  readonly receive: PacketReceiver
}

export class SimHost implements InterfaceOwner {
  readonly name: string
  /** Position among the topology's hosts; also the index of its interface. */
  readonly index: number
  /** IPv4 address as an unsigned 32-bit number. */
  readonly address: number
  readonly network: Network
  readonly interface: Interface
  private readonly listeners = new Map<number, ReadonlyArray<Listener>>()
  private readonly icmpReceivers = new Map<number, ReadonlyArray<IcmpReceiver>>()
  private readonly rng: Rng

  constructor(network: Network, own: Interface) {
    this.network = network
    this.interface = own
    this.name = own.name
    this.index = own.index
    this.address = own.address
    this.rng = network.kernel.rng(`net/${own.name}/ports`)
  }

  /**
   * Routes the packet and offers it to the access link, or to the loopback if it is for this host. Takes the packet over in
   * every case. A source address of 0 becomes the address that the host has towards the destination.
   */
  send(packet: number): void {
    const { pool } = this.network
    const destination = pool.destination[packet]
    pool.origin[packet] = this.index
    const local = destination === this.address || isLoopback(destination)
    if (pool.source[packet] === 0) pool.source[packet] = isLoopback(destination) ? LOOPBACK_ADDRESS : this.address
    this.network.countSent(packet, this.name)
    if (local) this.network.loopBack(packet, this.index)
    else this.interface.up.offer(packet)
  }

  /**
   * Registers a receiver for a protocol and port; the returned function removes it. `undefined` if the port is taken, that is
   * if another receiver there has the same address or one of the two has none.
   */
  listen(protocol: number, port: number, receive: PacketReceiver, address = 0): (() => void) | undefined {
    const key = portKey(protocol, port)
    const there = this.listeners.get(key) ?? []
    if (there.some((other) => other.address === 0 || address === 0 || other.address === address)) return undefined
    const listener: Listener = { address, receive }
    this.listeners.set(key, [...there, listener])
    return () => removeFrom(this.listeners, key, listener)
  }

  /** Registers for ICMP errors about packets that left this host from a protocol and port; the returned function removes it. */
  onIcmp(protocol: number, port: number, receive: IcmpReceiver): () => void {
    const key = portKey(protocol, port)
    this.icmpReceivers.set(key, [...(this.icmpReceivers.get(key) ?? []), receive])
    return () => removeFrom(this.icmpReceivers, key, receive)
  }

  /** A free port from the ephemeral range, from a seeded start; 0 if all are taken. */
  ephemeralPort(protocol: number): number {
    const count = EPHEMERAL_PORTS.last - EPHEMERAL_PORTS.first + 1
    const start = this.rng.below(count)
    for (let i = 0; i < count; i++) {
      const port = EPHEMERAL_PORTS.first + ((start + i) % count)
      if (!this.listeners.has(portKey(protocol, port))) return port
    }
    return 0
  }

  /** Whether packets to `address` go to every host of the subnet. */
  isBroadcast(address: number): boolean {
    return address === LIMITED_BROADCAST || address === this.interface.subnet.broadcast
  }

  /** Removes every receiver: the process on the host died. */
  reset(): void {
    this.listeners.clear()
    this.icmpReceivers.clear()
  }

  /** A packet came out of the access link or the loopback. Takes it over. */
  receive(packet: number): void {
    const { network } = this
    const { pool } = network
    if (pool.damaged[packet] === 1) return network.drop(packet, this.interface, this.name, "bad-checksum")
    if (network.partitions.blocks(pool.origin[packet], this.index))
      return network.drop(packet, this.interface, this.name, "partition")
    const protocol = pool.protocol[packet]
    if (protocol === PROTOCOL.icmp) return this.receiveIcmp(packet)
    const listener = this.listenerOf(protocol, pool.destinationPort[packet], pool.destination[packet])
    if (listener === undefined) return this.refuse(packet)
    network.countDelivered(packet, this.interface, this.name)
    listener.receive(packet)
    pool.free(packet)
  }

  /** An ICMP error that the host's own link made: it comes back by the loopback. */
  sendIcmp(packet: number): void {
    this.send(packet)
  }

  private listenerOf(protocol: number, port: number, address: number): Listener | undefined {
    const there = this.listeners.get(portKey(protocol, port))
    if (there === undefined) return undefined
    for (let i = 0; i < there.length; i++) {
      const listener = there[i]
      if (listener.address === 0 || listener.address === address) return listener
    }
    return undefined
  }

  private receiveIcmp(packet: number): void {
    const { pool } = this.network
    this.network.countDelivered(packet, this.interface, this.name)
    const there = this.icmpReceivers.get(portKey(quotedProtocol(pool, packet), quotedSourcePort(pool, packet)))
    const kind = icmpKind(pool, packet)
    for (const receive of there ?? []) receive(kind, packet)
    pool.free(packet)
  }

  private refuse(packet: number): void {
    const { network } = this
    const { pool } = network
    const destination = pool.destination[packet]
    // RFC 1122 §3.2.2: no error about a broadcast.
    const answer = this.isBroadcast(destination) ? -1 : network.icmpAbout(packet, ICMP.portUnreachable, 0, destination)
    network.drop(packet, this.interface, this.name, "no-listener")
    if (answer >= 0) this.send(answer)
  }
}

const portKey = (protocol: number, port: number): number => {
  assert(port >= 0 && port <= 65_535 && protocol < 256, "a port has 16 bits and a protocol 8")
  return protocol * 65_536 + port
}

const removeFrom = <A>(map: Map<number, ReadonlyArray<A>>, key: number, entry: A): void => {
  const rest = (map.get(key) ?? []).filter((other) => other !== entry)
  if (rest.length === 0) map.delete(key)
  else map.set(key, rest)
}
