/**
 * The members of a gateway: joins its sessions, its address pool and its switch.
 *
 * The session endpoint asks it whether to admit a device and what to tell it in READY, hands it opened packets and tells it
 * when a session ends; it says who joined and left. Everything here is a plain call under the gateway's shell.
 */

import { assert } from "@horizon/core/assert.ts"
import {
  CHANNEL,
  CLOSE,
  type CloseReason,
  type ServerEndpoint,
  type SessionEvent,
  type Subject
} from "@horizon/core/machine/session/session.ts"
import { encodeParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { AddressPool, type Lease } from "@horizon/core/machine/tunnel/pool.ts"
import { gatewayAddress, type Prefix } from "@horizon/core/machine/tunnel/prefix.ts"
import { FATE, TunnelSwitch } from "@horizon/core/machine/tunnel/switch.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { Application } from "@horizon/core/server/server.ts"
import { SessionBook, type SessionBookOptions, sessionNumbers } from "@horizon/core/server/session-book.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import type { HostLink } from "./host-link.ts"

export interface MembersOptions extends SessionBookOptions {
  readonly prefix: Prefix
  readonly leaseSeconds: number
  readonly leasesMax: number
  readonly mtuBytes: number
  readonly broadcastCopiesPerSecond: number
  readonly faultPoint: (name: string) => boolean
  /** Whether the broker has revoked the ticket. */
  readonly isRevoked: (subject: Subject) => boolean
  /** Told when what must survive a restart has changed. */
  readonly onLeasesChanged: () => void
}

export class Members implements Application, Companion {
  readonly pool: AddressPool
  readonly fabric: TunnelSwitch
  readonly book: SessionBook
  /** Handshakes refused by `admit`, and tickets that were refused for a full pool. */
  refused = 0
  exhausted = 0
  /** The gateway's own host, if it has an interface in the network. */
  host: HostLink | undefined
  private readonly options: MembersOptions
  private endpoint: ServerEndpoint | undefined
  private shell: SessionShell | undefined
  private readonly leaseOf = new Map<number, Lease>()
  /** The session that uses a lease now: a device that connects anew has two for a moment. */
  private readonly sessionOf = new Map<Lease, number>()

  constructor(options: MembersOptions) {
    this.options = options
    this.book = new SessionBook(options)
    const { prefix, mtuBytes, broadcastCopiesPerSecond } = options
    const leaseNs = options.leaseSeconds * 1_000_000_000
    this.pool = new AddressPool({ prefix, leaseNs, leasesMax: options.leasesMax, faultPoint: options.faultPoint })
    this.fabric = new TunnelSwitch({
      prefix,
      sessionNumbers: sessionNumbers(options.sessionsMax),
      mtuBytes,
      broadcastCopiesPerSecond,
      send: (nowNs, session, bytes, at, length) => this.send(nowNs, session, bytes, at, length),
      toHost: (bytes, at, length) => this.host?.take(bytes, at, length) === true
    })
  }

  /** The endpoint and the shell that drives it; both are made after this, because the endpoint needs this. */
  attach(endpoint: ServerEndpoint, shell: SessionShell): void {
    this.endpoint = endpoint
    this.shell = shell
    this.book.attach(endpoint)
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
    this.leaseOf.set(session, lease)
    this.sessionOf.set(lease, session)
    this.fabric.join(session, lease.address, subject.tenant)
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
    if (channel !== CHANNEL.tunnel) {
      this.fabric.fates[FATE.notTunnel]++
      return
    }
    this.book.countIn(session, length)
    this.fabric.handlePacket(this.shell?.nowNs ?? 0, session, bytes, at, length)
  }

  onEvent(event: SessionEvent): void {
    if (event.kind === "established")
      assert(this.leaseOf.has(event.session), "an established session was given an address")
    if (event.kind === "closed") this.left(event.session)
    this.book.onEvent(event)
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

  flush(): void {
    this.host?.flush()
  }

  private refusal(subject: Subject): CloseReason | undefined {
    if ((subject.rights & RIGHT.tunnel) === 0 || this.options.isRevoked(subject)) return CLOSE.forbidden
    return this.pool.hasRoomFor(subject.tenant, subject.deviceId) ? undefined : CLOSE.full
  }

  private send(nowNs: number, session: number, bytes: Uint8Array, at: number, length: number): number {
    assert(this.endpoint !== undefined, "packets come only after the endpoint was attached")
    const code = this.endpoint.send(nowNs, session, CHANNEL.tunnel, bytes, at, length)
    if (code === 0) this.book.countOut(session, length)
    return code
  }

  private left(session: number): void {
    const lease = this.leaseOf.get(session)
    if (lease === undefined) return
    this.leaseOf.delete(session)
    this.fabric.leave(session)
    if (this.sessionOf.get(lease) !== session) return
    this.sessionOf.delete(lease)
    this.pool.release(this.shell?.nowNs ?? 0, lease.tenant, lease.deviceId)
    this.options.onLeasesChanged()
  }

  private traceGrant(lease: Lease): void {
    this.options.trace("lease.granted", {
      address: formatV4(lease.address),
      subject: lease.deviceId,
      tenant: lease.tenant
    })
  }
}
