/**
 * What an endpoint has taken and made, by kind, so that all its datagrams can be accounted for: each one that it was handed is one of those
 * here or a drop, and each one that it wrote into its outbox is one of those here.
 *
 *     handed over = handshakesIn + packetsIn - discarded + drops
 *     packetsIn   = given to the handler + controlIn + discarded
 *     packetsOut  = sent by the application + controlOut
 *     written     = handshakesOut + packetsOut
 *
 * A data packet costs nothing but the count that its session keeps anyway: what is common is had as a difference from what is rare.
 */

/** Datagrams of all sessions since the endpoint was made, those that have ended too. */
export interface SessionTraffic {
  /** Sealed datagrams that were opened, and those that were sealed. */
  readonly packetsIn: number
  readonly packetsOut: number
  /** Those of them with nothing for the application: ping, pong, path challenge and response, READY, BYE. */
  readonly controlIn: number
  readonly controlOut: number
  /** Opened and dropped all the same (malformed frames, data before READY); they are among the drops too. */
  readonly discarded: number
  /** Unsealed datagrams that were taken, and those that were sent: HELLO, RETRY, ACCEPT, CONFIRM, REFUSE. */
  readonly handshakesIn: number
  readonly handshakesOut: number
}

export class TrafficCounts implements SessionTraffic {
  packetsIn = 0
  packetsOut = 0
  controlIn = 0
  controlOut = 0
  discarded = 0
  handshakesIn = 0
  handshakesOut = 0

  /** Adds what one of several parts has counted: a session, or an endpoint that came after another. */
  add(part: Partial<SessionTraffic>): void {
    this.packetsIn += part.packetsIn ?? 0
    this.packetsOut += part.packetsOut ?? 0
    this.controlIn += part.controlIn ?? 0
    this.controlOut += part.controlOut ?? 0
    this.discarded += part.discarded ?? 0
    this.handshakesIn += part.handshakesIn ?? 0
    this.handshakesOut += part.handshakesOut ?? 0
  }
}
