/**
 * The members of a gateway: joins its sessions, its address pool and its switch.
 *
 * The session endpoint asks it whether to admit a device and what to tell it in READY, hands it opened packets and tells it
 * when a session ends; it says who joined and left. Everything here is a plain call under the gateway's shell.
 */

import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { assert } from "@horizon/core/assert.ts"
import { PENDING_MAX } from "@horizon/core/machine/session/pending.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import {
  CHANNEL,
  CLOSE,
  type CloseReason,
  type ServerEndpoint,
  type SessionEvent,
  type SessionHandler,
  type Subject
} from "@horizon/core/machine/session/session.ts"
import { encodeParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { AddressPool, type Lease } from "@horizon/core/machine/tunnel/pool.ts"
import { gatewayAddress, type Prefix } from "@horizon/core/machine/tunnel/prefix.ts"
import { TunnelSwitch } from "@horizon/core/machine/tunnel/switch.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { formatEndpoint, formatV4 } from "@horizon/core/wire/address.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"

export interface MembersOptions {
  readonly prefix: Prefix
  readonly leaseSeconds: number
  readonly leasesMax: number
  readonly sessionsMax: number
  readonly mtuBytes: number
  readonly broadcastCopiesPerSecond: number
  readonly faultPoint: (name: string) => boolean
  readonly trace: TraceWriter
  /** The broker's clock as estimated, Unix ms. */
  readonly brokerNowMs: () => number
  /** Whether the broker has revoked the ticket. */
  readonly isRevoked: (subject: Subject) => boolean
  /** Told what the broker should hear. */
  readonly report: (report: Omit<ConnectionReport, "atMs">) => void
  /** Told when what must survive a restart has changed. */
  readonly onLeasesChanged: () => void
}

/** A session that has an address. */
interface Member {
  readonly session: number
  readonly subject: Subject
  readonly lease: Lease
  /** Filled in when the session is established. */
  connectionId: number
  openedMs: number
  peer: { readonly address: string; readonly port: number }
}

export class Members implements SessionHandler, Companion {
  readonly pool: AddressPool
  readonly fabric: TunnelSwitch
  /** Handshakes refused by `admit`, and tickets that were refused for a full pool. */
  refused = 0
  exhausted = 0
  private readonly options: MembersOptions
  private endpoint: ServerEndpoint | undefined
  private shell: SessionShell | undefined
  private readonly members = new Map<number, Member>()
  /** The session that uses a lease now: a device that connects anew has two for a moment. */
  private readonly sessionOf = new Map<Lease, number>()
  private readonly bytesIn: Float64Array
  private readonly bytesOut: Float64Array

  constructor(options: MembersOptions) {
    this.options = options
    const { prefix, mtuBytes, broadcastCopiesPerSecond } = options
    const leaseNs = options.leaseSeconds * 1_000_000_000
    this.pool = new AddressPool({ prefix, leaseNs, leasesMax: options.leasesMax, faultPoint: options.faultPoint })
    // The endpoint numbers handshakes and sessions alike, so a session's number may be above the most sessions.
    const sessionNumbers = options.sessionsMax + PENDING_MAX
    this.bytesIn = new Float64Array(sessionNumbers)
    this.bytesOut = new Float64Array(sessionNumbers)
    this.fabric = new TunnelSwitch({
      prefix,
      sessionNumbers,
      mtuBytes,
      broadcastCopiesPerSecond,
      send: (nowNs, session, bytes, at, length) => this.send(nowNs, session, bytes, at, length)
    })
  }

  /** The endpoint and the shell that drives it; both are made after this, because the endpoint needs this. */
  attach(endpoint: ServerEndpoint, shell: SessionShell): void {
    this.endpoint = endpoint
    this.shell = shell
  }

  /** Sessions established now. */
  get size(): number {
    return this.members.size
  }

  /** Whether a device with a valid ticket may come in: the reason why not, else `undefined`. */
  admit(subject: Subject): CloseReason | undefined {
    const reason = this.refusal(subject)
    if (reason !== undefined) this.refused++
    if (reason === CLOSE.full) this.exhausted++
    return reason
  }

  /** Gives the session its address, and says what READY tells the member. */
  parameters(session: number, subject: Subject): Uint8Array {
    const { options, pool } = this
    const leasesBefore = pool.size
    const lease = pool.acquire(subject.tenant, subject.deviceId)
    assert(lease !== undefined, "a device that was admitted has an address")
    const peer = { address: "0.0.0.0", port: 0 }
    this.members.set(session, { session, subject, lease, connectionId: 0, openedMs: 0, peer })
    this.sessionOf.set(lease, session)
    this.fabric.join(session, lease.address, subject.tenant)
    this.bytesIn[session] = 0
    this.bytesOut[session] = 0
    if (pool.size > leasesBefore) this.traceGrant(lease)
    options.onLeasesChanged()
    return encodeParameters({
      address: lease.address,
      prefixLength: options.prefix.length,
      gateway: gatewayAddress(options.prefix),
      mtuBytes: options.mtuBytes,
      leaseSeconds: options.leaseSeconds
    })
  }

  onData(session: number, channel: number, bytes: Uint8Array, at: number, length: number): void {
    if (channel !== CHANNEL.tunnel) return
    this.bytesIn[session] += length
    this.fabric.handlePacket(this.shell?.nowNs ?? 0, session, bytes, at, length)
  }

  onEvent(event: SessionEvent): void {
    const { trace } = this.options
    switch (event.kind) {
      case "established":
        trace("session.established", {
          role: "server",
          connectionId: event.connectionId,
          peer: formatEndpoint(event.peer),
          subject: event.subject.deviceId
        })
        return this.opened(event.session, event.connectionId, event.peer)
      case "refused":
        return trace("session.refused", {
          role: "server",
          peer: formatEndpoint(event.peer),
          reason: describeClose(event.reason)
        })
      case "closed":
        trace("session.closed", {
          role: "server",
          connectionId: event.connectionId,
          reason: describeClose(event.reason)
        })
        return this.closed(event.session, event.reason)
      case "roamed":
        trace("session.roamed", {
          connectionId: event.connectionId,
          from: formatEndpoint(event.from),
          to: formatEndpoint(event.to)
        })
        return this.roamed(event.session, event.to)
    }
  }

  /** Ends the sessions that came in with a ticket that the broker has revoked since. */
  endRevoked(nowNs: number, deviceId: string, ticketExpiresMs: number): void {
    for (const { session, subject } of [...this.members.values()])
      if (subject.deviceId === deviceId && subject.ticketExpiresMs === ticketExpiresMs)
        this.endpoint?.close(nowNs, session, CLOSE.forbidden)
  }

  /** Reports every open connection with its traffic. */
  reportAlive(): void {
    for (const member of this.members.values()) if (member.openedMs > 0) this.reportOf(member, "alive", "")
  }

  /** Says which leases an earlier life of the gateway left behind. */
  traceRestored(): void {
    for (const lease of this.pool.leases()) this.traceGrant(lease)
  }

  handleTimeout(nowNs: number): void {
    const over = this.pool.expire(nowNs)
    for (const lease of over)
      this.options.trace("lease.released", {
        address: formatV4(lease.address),
        subject: lease.deviceId,
        reason: "the lease has expired"
      })
    if (over.length > 0) this.options.onLeasesChanged()
  }

  pollTimeout(): number {
    return this.pool.pollTimeout()
  }

  private refusal(subject: Subject): CloseReason | undefined {
    if ((subject.rights & RIGHT.tunnel) === 0 || this.options.isRevoked(subject)) return CLOSE.forbidden
    return this.pool.hasRoomFor(subject.tenant, subject.deviceId) ? undefined : CLOSE.full
  }

  private send(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    assert(this.endpoint !== undefined, "packets come only after the endpoint was attached")
    const code = this.endpoint.send(nowNs, session, CHANNEL.tunnel, bytes, at, length)
    if (code === 0) this.bytesOut[session] += length
    return code
  }

  private opened(session: number, connectionId: number, peer: Member["peer"]): void {
    const member = this.members.get(session)
    assert(member !== undefined, "an established session was given an address")
    member.connectionId = connectionId
    member.openedMs = this.options.brokerNowMs()
    member.peer = peer
    this.reportOf(member, "opened", "")
  }

  private roamed(session: number, peer: Member["peer"]): void {
    const member = this.members.get(session)
    if (member === undefined) return
    member.peer = peer
    this.reportOf(member, "alive", "")
  }

  private closed(session: number, reason: CloseReason): void {
    const member = this.members.get(session)
    if (member === undefined) return
    this.members.delete(session)
    this.fabric.leave(session)
    if (this.sessionOf.get(member.lease) === session) {
      this.sessionOf.delete(member.lease)
      this.pool.release(this.shell?.nowNs ?? 0, member.lease.tenant, member.lease.deviceId)
      this.options.onLeasesChanged()
    }
    if (member.openedMs > 0) this.reportOf(member, "closed", closeName(reason))
  }

  private reportOf(member: Member, event: ConnectionReport["event"], reason: string): void {
    this.options.report({
      event,
      connectionId: member.connectionId,
      openedMs: member.openedMs,
      deviceId: member.subject.deviceId,
      user: member.subject.user,
      tenant: member.subject.tenant,
      peer: member.peer,
      reason,
      bytesIn: this.bytesIn[member.session],
      bytesOut: this.bytesOut[member.session]
    })
  }

  private traceGrant(lease: Lease): void {
    this.options.trace("lease.granted", {
      address: formatV4(lease.address),
      subject: lease.deviceId,
      tenant: lease.tenant
    })
  }
}

/** The short name of a close reason, for the broker's records. */
const closeName = (reason: CloseReason): string =>
  Object.entries(CLOSE).find(([, number]) => number === reason)?.[0] ?? `reason ${reason}`
