/**
 * The switch of a gateway: moves IP packets between the tunnels of its members.
 *
 * A packet has been opened in place when it comes here; it is checked, its destination looked up in flat arrays, and handed
 * to `send`, which seals it straight into an outgoing slot. The source must be the address that the member was given, and no
 * packet ever goes from one tenant to another: both hold here and nowhere else.
 */

import { assert } from "../../assert.ts"
import {
  echoReplyInPlace,
  isEchoRequest,
  mayAnswerWithError,
  UNREACHABLE_BYTES_MAX,
  writeHostUnreachable
} from "../../wire/icmp.ts"
import { ipv4Destination, ipv4Source, isIpv4Packet, isMulticast, LIMITED_BROADCAST } from "../../wire/ipv4.ts"
import { broadcastAddress, gatewayAddress, type Prefix, prefixIndex, prefixSize } from "./prefix.ts"
import { TokenBucket } from "./token-bucket.ts"

/** What became of a packet: 0 = delivered (forwarded, copied or answered), else why it was dropped. */
export const FATE = {
  delivered: 0,
  /** From a session that has no address. */
  notMember: 1,
  /** Not one IPv4 packet with a sound header. */
  malformed: 2,
  /** Above the MTU of the tunnel. */
  tooLong: 3,
  /** Source is not the member's own address. */
  spoofedSource: 4,
  /** No member has the destination. */
  unknownDestination: 5,
  /** The destination is a member of another tenant. */
  otherTenant: 6,
  /** Destination outside the tunnel's prefix. */
  outsidePrefix: 7,
  /** To the gateway itself, which takes nothing but echo requests, or whose host did not take it. */
  notForGateway: 8,
  /** Broadcast or multicast above the tenant's allowance. */
  broadcastLimited: 9,
  /** The session of the destination did not take it. */
  notSent: 10,
  /** Data of a session on another channel than the tunnel's; counted by who hands packets over. */
  notTunnel: 11
} as const
export type Fate = (typeof FATE)[keyof typeof FATE]
/** Names of the fates, by number. */
export const FATE_NAMES: ReadonlyArray<keyof typeof FATE> = Object.keys(FATE) as Array<keyof typeof FATE>

/** ICMP errors that a gateway sends at most (RFC 1812 §4.3.2.8 asks for a limit). */
const UNREACHABLES_PER_SECOND = 100

export interface SwitchOptions {
  readonly prefix: Prefix
  /** Session numbers are below this. */
  readonly sessionNumbers: number
  readonly mtuBytes: number
  /** Copies of broadcast and multicast packets that one tenant may cause. */
  readonly broadcastCopiesPerSecond: number
  /** Seals and sends a packet to a session; 0 = done. */
  readonly send: (nowNs: number, session: number, bytes: Uint8Array, at: number, length: number) => number
  /** Takes a packet for the gateway's own address, if its host has an interface in the network; whether it was taken. */
  readonly toHost?: (bytes: Uint8Array, at: number, length: number) => boolean
}

/** Members that may see each other. */
interface Tenant {
  readonly name: string
  readonly sessions: Array<number>
  readonly broadcast: TokenBucket
}

export class TunnelSwitch {
  /** Packets by fate. A Float64Array counts exactly to 2^53. */
  readonly fates = new Float64Array(FATE_NAMES.length)
  /** Packets that went out to members, copies counted one by one, and their bytes. */
  forwardedPackets = 0
  forwardedBytes = 0
  /** Echo requests to the gateway that were answered: each came in and went out again. */
  echoReplies = 0
  /** Packets to all members of a tenant, and the copies of them that went out; a copy that a session does not take is no more than not made. */
  broadcasts = 0
  broadcastCopies = 0
  /** ICMP errors that went out beside the packets that they are about, which are dropped. */
  unreachablesSent = 0
  private readonly options: SwitchOptions
  private readonly gateway: number
  private readonly broadcast: number
  /** Session + 1 of each address of the prefix; 0 = nobody. */
  private readonly sessionAt: Uint32Array
  /** Address of each session; 0 = not a member. */
  private readonly addressOf: Uint32Array
  private readonly tenantOf: Array<Tenant | undefined>
  private readonly tenants = new Map<string, Tenant>()
  private readonly unreachables = new TokenBucket(UNREACHABLES_PER_SECOND)
  private readonly scratch = new Uint8Array(UNREACHABLE_BYTES_MAX)

  constructor(options: SwitchOptions) {
    this.options = options
    this.gateway = gatewayAddress(options.prefix)
    this.broadcast = broadcastAddress(options.prefix)
    this.sessionAt = new Uint32Array(prefixSize(options.prefix))
    this.addressOf = new Uint32Array(options.sessionNumbers)
    this.tenantOf = new Array<Tenant | undefined>(options.sessionNumbers).fill(undefined)
  }

  /** Gives `session` an address. A session that had it before (the device has connected anew) loses it. */
  join(session: number, address: number, tenantName: string): void {
    const index = prefixIndex(this.options.prefix, address)
    assert(index > 1 && session < this.options.sessionNumbers, "a member has a session and an address of the prefix")
    this.leave(session)
    let tenant = this.tenants.get(tenantName)
    if (tenant === undefined) {
      tenant = { name: tenantName, sessions: [], broadcast: new TokenBucket(this.options.broadcastCopiesPerSecond) }
      this.tenants.set(tenantName, tenant)
    }
    tenant.sessions.push(session)
    this.tenantOf[session] = tenant
    this.addressOf[session] = address
    this.sessionAt[index] = session + 1
  }

  /** Takes the session out; its address stays with whoever has got it since. */
  leave(session: number): void {
    const tenant = this.tenantOf[session]
    if (tenant === undefined) return
    const index = prefixIndex(this.options.prefix, this.addressOf[session])
    if (this.sessionAt[index] === session + 1) this.sessionAt[index] = 0
    tenant.sessions.splice(tenant.sessions.indexOf(session), 1)
    if (tenant.sessions.length === 0) this.tenants.delete(tenant.name)
    this.tenantOf[session] = undefined
    this.addressOf[session] = 0
  }

  /** Number of members. */
  get size(): number {
    let size = 0
    for (const tenant of this.tenants.values()) size += tenant.sessions.length
    return size
  }

  /** Takes one packet of a member; the bytes may be changed in place. */
  handlePacket(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): Fate {
    const fate = this.route(nowNs, session, bytes, at, length)
    this.fates[fate]++
    return fate
  }

  /**
   * Takes one packet of the gateway's own host. It belongs to no tenant and reaches the members of all by their addresses, and by those only: a
   * broadcast of it would tell one tenant what concerns another.
   */
  handleHostPacket(nowNs: number, bytes: Uint8Array, at: number, length: number): Fate {
    const fate = this.routeFromHost(nowNs, bytes, at, length)
    this.fates[fate]++
    return fate
  }

  private routeFromHost(nowNs: number, bytes: Uint8Array, at: number, length: number): Fate {
    if (length > this.options.mtuBytes) return FATE.tooLong
    if (!isIpv4Packet(bytes, at, length)) return FATE.malformed
    if (ipv4Source(bytes, at) !== this.gateway) return FATE.spoofedSource
    const index = prefixIndex(this.options.prefix, ipv4Destination(bytes, at))
    if (index < 0) return FATE.outsidePrefix
    const target = this.sessionAt[index] - 1
    if (target < 0) return FATE.unknownDestination
    return this.deliver(nowNs, target, bytes, at, length) ? FATE.delivered : FATE.notSent
  }

  private route(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): Fate {
    const tenant = this.tenantOf[session]
    if (tenant === undefined) return FATE.notMember
    if (length > this.options.mtuBytes) return FATE.tooLong
    if (!isIpv4Packet(bytes, at, length)) return FATE.malformed
    if (ipv4Source(bytes, at) !== this.addressOf[session]) return FATE.spoofedSource
    const destination = ipv4Destination(bytes, at)
    if (destination === this.gateway) return this.answer(nowNs, session, bytes, at, length)
    if (destination === this.broadcast || destination === LIMITED_BROADCAST || isMulticast(destination))
      return this.copyToAll(nowNs, session, tenant, bytes, at, length)
    const index = prefixIndex(this.options.prefix, destination)
    if (index < 0) return FATE.outsidePrefix
    const target = this.sessionAt[index] - 1
    if (target < 0 || this.tenantOf[target] !== tenant) {
      // The answer is the same in both cases, so that a tenant cannot learn which addresses another one uses.
      this.sayUnreachable(nowNs, session, bytes, at, length)
      return target < 0 ? FATE.unknownDestination : FATE.otherTenant
    }
    return this.deliver(nowNs, target, bytes, at, length) ? FATE.delivered : FATE.notSent
  }

  private deliver(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): boolean {
    if (this.options.send(nowNs, session, bytes, at, length) !== 0) return false
    this.forwardedPackets++
    this.forwardedBytes += length
    return true
  }

  /**
   * The gateway itself answers echo requests to its address, whatever its host thinks of them: members prove with them that the tunnel
   * works. All else is the host's.
   */
  private answer(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): Fate {
    if (!isEchoRequest(bytes, at, length))
      return this.options.toHost?.(bytes, at, length) === true ? FATE.delivered : FATE.notForGateway
    echoReplyInPlace(bytes, at, length)
    if (!this.deliver(nowNs, session, bytes, at, length)) return FATE.notSent
    this.echoReplies++
    return FATE.delivered
  }

  /** Broadcast reaches every other member of the tenant, or nobody when the tenant is over its allowance. */
  private copyToAll(nowNs: number, from: number, tenant: Tenant, bytes: Uint8Array, at: number, length: number): Fate {
    const { sessions } = tenant
    if (!tenant.broadcast.take(nowNs, sessions.length - 1)) return FATE.broadcastLimited
    for (let i = 0; i < sessions.length; i++)
      if (sessions[i] !== from && this.deliver(nowNs, sessions[i], bytes, at, length)) this.broadcastCopies++
    this.broadcasts++
    return FATE.delivered
  }

  private sayUnreachable(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): void {
    if (!mayAnswerWithError(bytes, at, length) || !this.unreachables.take(nowNs, 1)) return
    const answerBytes = writeHostUnreachable(this.scratch, this.gateway, bytes, at, length)
    if (this.deliver(nowNs, session, this.scratch, 0, answerBytes)) this.unreachablesSent++
  }
}
