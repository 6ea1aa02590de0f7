/**
 * The translation table of a NAT (RFC 4787 for UDP, RFC 5382 for streams), as a machine without a clock or a network.
 *
 * Mapping (§4.1): one outside port for each inside endpoint, or for each pair of inside and remote endpoint (`symmetric`).
 * Filtering (§5): who may send to an outside port: anybody (`full-cone`), addresses that were sent to, or endpoints that were
 * sent to. Both age by the same rule: only what leaves refreshes (REQ-6 demands that and leaves inbound refresh open; without
 * it nobody outside can keep a port open, and a peer that falls silent loses its mapping, which is the harder case to survive).
 * Ports (§4.2): the inside port is kept if it is free, else one is drawn from the same range (REQ-3b) with the same parity
 * (REQ-4); two live flows never share one (REQ-3).
 */

import type { NatKind } from "@horizon/core/lab/topology.ts"
import type { Rng } from "../kernel/rng.ts"
import { EndpointMap } from "./endpoint-map.ts"
import { PROTOCOL } from "./packet.ts"

/** Life of an unused stream mapping. */
export const STREAM_TIMEOUT_NS = 2 * 3600 * 1e9

/** Remote endpoints that one mapping remembers for filtering; then an early one is forgotten. */
const SESSIONS_MAX = 4096

/** An inside endpoint as seen from outside. */
export interface Mapping {
  readonly protocol: number
  readonly insideAddress: number
  readonly insidePort: number
  /** The only remote endpoint that it is for, if the NAT is symmetric; else 0. */
  readonly remoteAddress: number
  readonly remotePort: number
  outsidePort: number
  /** Last outbound packet. */
  lastNs: number
  /** Who has been sent to, and when last. Full cone keeps none. */
  readonly sessions: EndpointMap<Session>
}

interface Session {
  lastNs: number
}

/** Why an inbound packet is refused. */
export type NatRefusal = "nat-no-mapping" | "nat-filtered"

export interface NatOptions {
  readonly kind: NatKind
  readonly udpTimeoutNs: number
  readonly rng: Rng
}

export class Nat {
  /** Why the last `inbound` returned nothing. */
  refusal: NatRefusal = "nat-no-mapping"
  private readonly kind: NatKind
  private readonly udpTimeoutNs: number
  private readonly rng: Rng
  /** By protocol and outside port. */
  private readonly outside = new Map<number, Mapping>()
  /** By protocol and inside endpoint. */
  private readonly inside = { [PROTOCOL.udp]: new EndpointMap<Flow>(), [PROTOCOL.stream]: new EndpointMap<Flow>() }

  constructor(options: NatOptions) {
    this.kind = options.kind
    this.udpTimeoutNs = options.udpTimeoutNs
    this.rng = options.rng
  }

  /** Mappings in the table, dead ones that nobody has asked for since included. */
  get size(): number {
    return this.outside.size
  }

  /** The mapping by which a packet leaves, made if need be and refreshed; `undefined` if no outside port is left. */
  outbound(
    nowNs: number,
    protocol: number,
    insideAddress: number,
    insidePort: number,
    remoteAddress: number,
    remotePort: number
  ): Mapping | undefined {
    const mapping =
      this.find(nowNs, protocol, insideAddress, insidePort, remoteAddress, remotePort) ??
      this.create(nowNs, protocol, insideAddress, insidePort, remoteAddress, remotePort)
    if (mapping === undefined) return undefined
    mapping.lastNs = nowNs
    if (this.kind === "full-cone") return mapping
    const port = this.sessionPort(remotePort)
    const session = mapping.sessions.get(remoteAddress, port)
    if (session !== undefined) session.lastNs = nowNs
    else {
      if (mapping.sessions.size >= SESSIONS_MAX) mapping.sessions.deleteFirst()
      mapping.sessions.set(remoteAddress, port, { lastNs: nowNs })
    }
    return mapping
  }

  /** The mapping by which a packet from a remote endpoint enters; `undefined`, with `refusal` set, if it may not. */
  inbound(
    nowNs: number,
    protocol: number,
    outsidePort: number,
    remoteAddress: number,
    remotePort: number
  ): Mapping | undefined {
    const mapping = this.byOutsidePort(nowNs, protocol, outsidePort)
    if (mapping === undefined) {
      this.refusal = "nat-no-mapping"
      return undefined
    }
    if (this.kind === "full-cone") return mapping
    const session = mapping.sessions.get(remoteAddress, this.sessionPort(remotePort))
    if (session !== undefined && nowNs - session.lastNs < this.timeoutNs(protocol)) return mapping
    this.refusal = "nat-filtered"
    return undefined
  }

  /** The live mapping of an outside port, whoever asks: for ICMP errors (RFC 5508 REQ-4). */
  byOutsidePort(nowNs: number, protocol: number, outsidePort: number): Mapping | undefined {
    return this.alive(nowNs, this.outside.get(portKey(protocol, outsidePort)))
  }

  /** The live mapping of an inside endpoint towards a remote one, without refreshing it. */
  find(
    nowNs: number,
    protocol: number,
    insideAddress: number,
    insidePort: number,
    remoteAddress: number,
    remotePort: number
  ): Mapping | undefined {
    const flow = this.flows(protocol).get(insideAddress, insidePort)
    if (flow === undefined) return undefined
    const symmetric = this.kind === "symmetric"
    return this.alive(nowNs, symmetric ? flow.get(remoteAddress, remotePort) : flow.get(0, 0))
  }

  /** Forgets everything, as a router does that restarts. */
  wipe(): void {
    this.outside.clear()
    this.inside[PROTOCOL.udp].clear()
    this.inside[PROTOCOL.stream].clear()
  }

  /** Gives every live flow a new outside port; what may enter by it stays as it was. Dead flows are forgotten. */
  rebind(nowNs: number): void {
    for (const mapping of [...this.outside.values()]) {
      if (this.alive(nowNs, mapping) === undefined) continue
      const port = this.drawPort(nowNs, mapping.protocol, mapping.insidePort)
      if (port === undefined) continue
      this.outside.delete(portKey(mapping.protocol, mapping.outsidePort))
      mapping.outsidePort = port
      this.outside.set(portKey(mapping.protocol, port), mapping)
    }
  }

  private create(
    nowNs: number,
    protocol: number,
    insideAddress: number,
    insidePort: number,
    remoteAddress: number,
    remotePort: number
  ): Mapping | undefined {
    const kept = insidePort > 0 && this.byOutsidePort(nowNs, protocol, insidePort) === undefined
    const outsidePort = kept ? insidePort : this.drawPort(nowNs, protocol, insidePort)
    if (outsidePort === undefined) return undefined
    const symmetric = this.kind === "symmetric"
    const mapping: Mapping = {
      protocol,
      insideAddress,
      insidePort,
      remoteAddress: symmetric ? remoteAddress : 0,
      remotePort: symmetric ? remotePort : 0,
      outsidePort,
      lastNs: nowNs,
      sessions: new EndpointMap()
    }
    this.outside.set(portKey(protocol, outsidePort), mapping)
    const flows = this.flows(protocol)
    let flow = flows.get(insideAddress, insidePort)
    if (flow === undefined) {
      flow = new EndpointMap()
      flows.set(insideAddress, insidePort, flow)
    }
    flow.set(mapping.remoteAddress, mapping.remotePort, mapping)
    return mapping
  }

  /** A free outside port from a seeded start, never the inside port itself; `undefined` if there is none. */
  private drawPort(nowNs: number, protocol: number, insidePort: number): number | undefined {
    const low = insidePort < 1024 ? 0 : 1024
    const pairs = (insidePort < 1024 ? 1024 : 65_536 - 1024) / 2
    const parity = insidePort & 1
    const start = this.rng.below(pairs)
    for (let i = 0; i < pairs; i++) {
      const port = low + ((start + i) % pairs) * 2 + parity
      if (port === 0 || port === insidePort) continue
      if (this.byOutsidePort(nowNs, protocol, port) === undefined) return port
    }
    return undefined
  }

  /** The mapping if it lives; a dead one is removed from both tables. */
  private alive(nowNs: number, mapping: Mapping | undefined): Mapping | undefined {
    if (mapping === undefined || nowNs - mapping.lastNs < this.timeoutNs(mapping.protocol)) return mapping
    this.outside.delete(portKey(mapping.protocol, mapping.outsidePort))
    const flows = this.flows(mapping.protocol)
    const flow = flows.get(mapping.insideAddress, mapping.insidePort)
    flow?.delete(mapping.remoteAddress, mapping.remotePort)
    if (flow?.size === 0) flows.delete(mapping.insideAddress, mapping.insidePort)
    return undefined
  }

  private flows(protocol: number): EndpointMap<Flow> {
    return protocol === PROTOCOL.udp ? this.inside[PROTOCOL.udp] : this.inside[PROTOCOL.stream]
  }

  private timeoutNs(protocol: number): number {
    return protocol === PROTOCOL.udp ? this.udpTimeoutNs : STREAM_TIMEOUT_NS
  }

  /** Address-dependent filtering does not look at the port. */
  private sessionPort(remotePort: number): number {
    return this.kind === "address-restricted" ? 0 : remotePort
  }
}

/** Mappings of an inside endpoint by remote endpoint; a NAT that is not symmetric keeps one, at 0.0.0.0:0. */
type Flow = EndpointMap<Mapping>

const portKey = (protocol: number, port: number): number => protocol * 65_536 + port
