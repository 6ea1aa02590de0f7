/**
 * The sessions of a server: who is connected since when and from where, and how much each has moved.
 *
 * From it the trace hears every event of a session, and the broker each connection: opened, alive with its traffic, closed. What
 * the server does with its sessions is its own matter. Everything here is a plain call under the server's shell.
 */

import type { ConnectionReport } from "../api/connection.ts"
import type { Revocation } from "../api/server.ts"
import { assert } from "../assert.ts"
import { PENDING_MAX } from "../machine/session/pending.ts"
import {
  CLOSE,
  type CloseReason,
  type ServerEndpoint,
  type SessionEvent,
  type Subject
} from "../machine/session/session.ts"
import { traceSession } from "../port/session-trace.ts"
import type { TraceWriter } from "../port/trace.ts"
import type { Endpoint } from "../wire/address.ts"

export interface SessionBookOptions {
  readonly sessionsMax: number
  readonly trace: TraceWriter
  /** The broker's clock as estimated, Unix ms. */
  readonly brokerNowMs: () => number
  /** Told what the broker should hear. */
  readonly report: (report: Omit<ConnectionReport, "atMs">) => void
}

/** An established session. */
interface Booked {
  readonly session: number
  readonly subject: Subject
  readonly connectionId: number
  readonly openedMs: number
  peer: Endpoint
}

/**
 * How many numbers an endpoint needs for its sessions, of which each is below that: it numbers handshakes and sessions alike, so a
 * session's number may be above the most sessions.
 */
export const sessionNumbers = (sessionsMax: number): number => sessionsMax + PENDING_MAX

export class SessionBook {
  private readonly options: SessionBookOptions
  private endpoint: Pick<ServerEndpoint, "close"> | undefined
  private readonly booked = new Map<number, Booked>()
  /** Bytes of the application, by session: counted for each packet, so flat. */
  private readonly bytesIn: Float64Array
  private readonly bytesOut: Float64Array

  constructor(options: SessionBookOptions) {
    this.options = options
    this.bytesIn = new Float64Array(sessionNumbers(options.sessionsMax))
    this.bytesOut = new Float64Array(sessionNumbers(options.sessionsMax))
  }

  /** The endpoint whose sessions these are; it is made after this, because it asks whoever keeps this book whom to admit. */
  attach(endpoint: Pick<ServerEndpoint, "close">): void {
    this.endpoint = endpoint
  }

  /** Sessions established now. */
  get size(): number {
    return this.booked.size
  }

  /** Who is at the other end; `undefined` if there is no such session. */
  subjectOf(session: number): Subject | undefined {
    return this.booked.get(session)?.subject
  }

  countIn(session: number, bytes: number): void {
    this.bytesIn[session] += bytes
  }

  countOut(session: number, bytes: number): void {
    this.bytesOut[session] += bytes
  }

  /** Takes an event of the session endpoint: writes it into the trace, and tells the broker what it says of a connection. */
  onEvent(event: SessionEvent): void {
    traceSession(this.options.trace, "server", event)
    switch (event.kind) {
      case "established":
        return this.opened(event.session, event.connectionId, event.peer, event.subject)
      case "closed":
        return this.closed(event.session, event.reason)
      case "roamed":
        return this.roamed(event.session, event.to)
      case "refused":
        return
    }
  }

  /** Reports every open connection with its traffic. */
  reportAlive(): void {
    for (const booked of this.booked.values()) this.reportOf(booked, "alive", "")
  }

  /** Ends the sessions that came in with a ticket that the broker has revoked since. */
  endRevoked(nowNs: number, ticket: Pick<Revocation, "deviceId" | "expiresMs">): void {
    for (const { session, subject } of [...this.booked.values()])
      if (subject.deviceId === ticket.deviceId && subject.ticketExpiresMs === ticket.expiresMs)
        this.endpoint?.close(nowNs, session, CLOSE.forbidden)
  }

  private opened(session: number, connectionId: number, peer: Endpoint, subject: Subject): void {
    assert(!this.booked.has(session), "a session number is given out again only after its end was told")
    const booked = { session, subject, connectionId, openedMs: this.options.brokerNowMs(), peer }
    this.booked.set(session, booked)
    this.bytesIn[session] = 0
    this.bytesOut[session] = 0
    this.reportOf(booked, "opened", "")
  }

  private roamed(session: number, peer: Endpoint): void {
    const booked = this.booked.get(session)
    if (booked === undefined) return
    booked.peer = peer
    this.reportOf(booked, "alive", "")
  }

  private closed(session: number, reason: CloseReason): void {
    const booked = this.booked.get(session)
    if (booked === undefined) return
    this.booked.delete(session)
    this.reportOf(booked, "closed", closeName(reason))
  }

  private reportOf(booked: Booked, event: ConnectionReport["event"], reason: string): void {
    this.options.report({
      event,
      connectionId: booked.connectionId,
      openedMs: booked.openedMs,
      deviceId: booked.subject.deviceId,
      user: booked.subject.user,
      tenant: booked.subject.tenant,
      peer: booked.peer,
      reason,
      bytesIn: this.bytesIn[booked.session],
      bytesOut: this.bytesOut[booked.session]
    })
  }
}

/** The short name of a close reason, for records. */
export const closeName = (reason: CloseReason): string =>
  Object.entries(CLOSE).find(([, number]) => number === reason)?.[0] ?? `reason ${reason}`
