/**
 * The host's network stack on the far side of a TUN device, as a pure machine: sockets of applications on one side, IP packets on
 * the other. It speaks IPv4 with UDP and answers ping, reads no clock and calls nobody but the receivers of its sockets.
 *
 * Sockets outlive the interface: a tunnel that goes down and comes up again finds them bound as before.
 */

import { ICMP_HEADER_BYTES, ICMP_TYPE, sealIcmp } from "@horizon/core/wire/icmp.ts"
import {
  IPV4_HEADER_BYTES,
  internetChecksum,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalBytes,
  LIMITED_BROADCAST
} from "@horizon/core/wire/ipv4.ts"
import {
  checkIpHeader,
  checkUdp,
  IP_DROP,
  IP_DROP_NAMES,
  type IpFields,
  ipEcn,
  UDP_HEADER_BYTES,
  udpDataBytes,
  udpDestinationPort,
  udpSourcePort,
  writeIpHeader,
  writeUdpHeader
} from "./ip-packet.ts"
import { PROTOCOL } from "./packet.ts"
import type { PacketRing } from "./packet-ring.ts"

const EPHEMERAL_PORTS = { first: 32_768, last: 60_999 } as const
/** Code of `ICMP_TYPE.unreachable`: nobody listens at the port. */
const PORT_UNREACHABLE = 3

/** Address and prefix of the interface. */
export interface IpInterface {
  readonly address: number
  readonly prefixBits: number
  readonly mtuBytes: number
}

/** Takes a datagram for a socket; the bytes are lent until it returns. False if it had no room. */
export type IpReceiver = (
  source: number,
  sourcePort: number,
  ecn: number,
  bytes: Uint8Array,
  at: number,
  length: number
) => boolean

interface Binding {
  /** 0 = any address that the interface ever has. */
  readonly address: number
  readonly receive: IpReceiver
  /** Whether the socket's owner lives: a dead one's port is free. */
  readonly alive: () => boolean
}

export class IpStack {
  /** Packets thrown away on their way in, by `IP_DROP` code. */
  readonly drops = new Uint32Array(IP_DROP_NAMES.length)
  /** Where packets towards the device go. */
  private readonly out: PacketRing
  private own: IpInterface | undefined
  private readonly bindings = new Map<number, Binding>()
  private nextPort: number = EPHEMERAL_PORTS.first
  private readonly fields: IpFields = { source: 0, destination: 0, protocol: 0, ecn: 0, identification: 0 }

  constructor(out: PacketRing) {
    this.out = out
  }

  /** Brings the interface up, or down with `undefined`. */
  configure(own: IpInterface | undefined): void {
    this.own = own
  }

  get interface(): IpInterface | undefined {
    return this.own
  }

  /** A free port, 0 if there is none. */
  freePort(): number {
    const count = EPHEMERAL_PORTS.last - EPHEMERAL_PORTS.first + 1
    for (let i = 0; i < count; i++) {
      const port = this.nextPort
      this.nextPort = port === EPHEMERAL_PORTS.last ? EPHEMERAL_PORTS.first : port + 1
      if (!this.bindings.has(port)) return port
    }
    return 0
  }

  /** Binds a port (not 0); the returned function releases it. `undefined` if it is taken by somebody who lives. */
  bind(address: number, port: number, receive: IpReceiver, alive: () => boolean): (() => void) | undefined {
    if (this.bindings.get(port)?.alive() === true) return undefined
    const binding: Binding = { address, receive, alive }
    this.bindings.set(port, binding)
    return () => {
      if (this.bindings.get(port) === binding) this.bindings.delete(port)
    }
  }

  /**
   * Sends a datagram from a bound port; false if it cannot leave: no interface, no route, too long, broadcast not allowed. A full
   * queue drops it silently, as a device's does. A datagram to the own address comes back at once.
   */
  sendUdp(
    port: number,
    destination: number,
    destinationPort: number,
    ecn: number,
    mayBroadcast: boolean,
    bytes: Uint8Array,
    at: number,
    length: number
  ): boolean {
    const { own } = this
    if (own === undefined) return false
    if (destination === own.address) {
      this.deliverUdp(own.address, own.address, port, destinationPort, ecn, bytes, at, length)
      return true
    }
    const broadcast = this.isBroadcast(own, destination)
    if (broadcast ? !mayBroadcast : !isWithin(own, destination)) return false
    const total = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + length
    if (total > own.mtuBytes) return false
    const slot = this.out.push(total)
    if (slot < 0) return true
    const { slab } = this.out.slots
    const start = this.out.slots.offset(slot)
    const fields = this.fill(own.address, destination, PROTOCOL.udp, ecn)
    slab.set(bytes.subarray(at, at + length), start + IPV4_HEADER_BYTES + UDP_HEADER_BYTES)
    writeUdpHeader(slab, start + IPV4_HEADER_BYTES, fields, port, destinationPort, length)
    writeIpHeader(slab, start, fields, UDP_HEADER_BYTES + length)
    return true
  }

  /** Takes an IP packet from the device; an `IP_DROP` code, counted. Never throws, whatever the bytes. */
  handlePacket(bytes: Uint8Array, at: number, length: number): number {
    const code = this.classify(bytes, at, length)
    if (code !== IP_DROP.none) this.drops[code]++
    return code
  }

  private classify(bytes: Uint8Array, at: number, length: number): number {
    const { own } = this
    if (own === undefined) return IP_DROP.notForUs
    const code = checkIpHeader(bytes, at, length)
    if (code !== IP_DROP.none) return code
    const source = ipv4Source(bytes, at)
    const destination = ipv4Destination(bytes, at)
    const broadcast = this.isBroadcast(own, destination)
    if (destination !== own.address && !broadcast) return IP_DROP.notForUs
    // Nobody else may speak as this host, and nobody speaks from a broadcast, multicast or zero address (RFC 1122 §3.2.1.3).
    if (source === own.address || source === 0 || source >>> 28 >= 14 || this.isBroadcast(own, source))
      return IP_DROP.badSource
    switch (ipv4Protocol(bytes, at)) {
      case PROTOCOL.udp:
        return this.handleUdp(own, bytes, at, source, destination, broadcast)
      case PROTOCOL.icmp:
        return this.handleIcmp(own, bytes, at, source, broadcast)
      default:
        return IP_DROP.protocol
    }
  }

  private handleUdp(
    own: IpInterface,
    bytes: Uint8Array,
    at: number,
    source: number,
    destination: number,
    broadcast: boolean
  ): number {
    const code = checkUdp(bytes, at)
    if (code !== IP_DROP.none) return code
    const udp = at + ipv4HeaderBytes(bytes, at)
    const port = udpDestinationPort(bytes, udp)
    const data = udp + UDP_HEADER_BYTES
    const ecn = ipEcn(bytes, at)
    const count = udpDataBytes(bytes, udp)
    const target = broadcast ? own.address : destination
    const outcome = this.deliverUdp(target, source, udpSourcePort(bytes, udp), port, ecn, bytes, data, count)
    if (outcome === IP_DROP.noListener && !broadcast) this.answerUnreachable(own, bytes, at, source)
    return outcome
  }

  private deliverUdp(
    target: number,
    source: number,
    sourcePort: number,
    port: number,
    ecn: number,
    bytes: Uint8Array,
    at: number,
    length: number
  ): number {
    const binding = this.bindings.get(port)
    if (binding === undefined || !binding.alive() || (binding.address !== 0 && binding.address !== target))
      return IP_DROP.noListener
    return binding.receive(source, sourcePort, ecn, bytes, at, length) ? IP_DROP.none : IP_DROP.full
  }

  private handleIcmp(own: IpInterface, bytes: Uint8Array, at: number, source: number, broadcast: boolean): number {
    const icmp = at + ipv4HeaderBytes(bytes, at)
    const length = at + ipv4TotalBytes(bytes, at) - icmp
    if (length < ICMP_HEADER_BYTES) return IP_DROP.transportShort
    if (internetChecksum(bytes, icmp, length) !== 0) return IP_DROP.transportChecksum
    // Echo to a broadcast address is not answered, as Linux has it by default; other messages are for nobody here.
    if (bytes[icmp] !== ICMP_TYPE.echoRequest || broadcast) return IP_DROP.protocol
    const reply = this.startIcmp(own, source, length)
    if (reply < 0) return IP_DROP.full
    const { slab } = this.out.slots
    slab.set(bytes.subarray(icmp, icmp + length), reply)
    slab[reply] = ICMP_TYPE.echoReply
    sealIcmp(slab, reply, length)
    return IP_DROP.none
  }

  /** RFC 1122 §4.1.3.1: the port is unreachable; quotes the IP header and the first 8 bytes behind it. */
  private answerUnreachable(own: IpInterface, bytes: Uint8Array, at: number, source: number): void {
    const quoted = ipv4HeaderBytes(bytes, at) + UDP_HEADER_BYTES
    const start = this.startIcmp(own, source, ICMP_HEADER_BYTES + quoted)
    if (start < 0) return
    const { slab } = this.out.slots
    slab.fill(0, start, start + ICMP_HEADER_BYTES)
    slab[start] = ICMP_TYPE.unreachable
    slab[start + 1] = PORT_UNREACHABLE
    slab.set(bytes.subarray(at, at + quoted), start + ICMP_HEADER_BYTES)
    sealIcmp(slab, start, ICMP_HEADER_BYTES + quoted)
  }

  /** Queues a packet for an ICMP message of `length` bytes, with its IP header; where the message goes, -1 if there is no room. */
  private startIcmp(own: IpInterface, destination: number, length: number): number {
    const slot = this.out.push(IPV4_HEADER_BYTES + length)
    if (slot < 0) return -1
    const start = this.out.slots.offset(slot)
    writeIpHeader(this.out.slots.slab, start, this.fill(own.address, destination, PROTOCOL.icmp, 0), length)
    return start + IPV4_HEADER_BYTES
  }

  private fill(source: number, destination: number, protocol: number, ecn: number): IpFields {
    const { fields } = this
    fields.source = source
    fields.destination = destination
    fields.protocol = protocol
    fields.ecn = ecn
    fields.identification = (fields.identification + 1) & 0xffff
    return fields
  }

  private isBroadcast(own: IpInterface, address: number): boolean {
    return address === LIMITED_BROADCAST || (own.prefixBits < 31 && address === directedBroadcast(own))
  }
}

/** Bits of the host part. */
const hostMask = (own: IpInterface): number =>
  own.prefixBits === 0 ? LIMITED_BROADCAST : 0xffff_ffff >>> own.prefixBits

const directedBroadcast = (own: IpInterface): number => (own.address | hostMask(own)) >>> 0

const isWithin = (own: IpInterface, address: number): boolean =>
  ((address ^ own.address) & ~hostMask(own)) === 0 && (own.prefixBits >= 31 || (address & hostMask(own)) !== 0)
