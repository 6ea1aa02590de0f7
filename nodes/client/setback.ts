/** Why an attempt to have a tunnel ended, what the client says about it and what it does next. */

import type { BrokerCallError } from "@horizon/core/api/broker-client.ts"
import { describeClose } from "@horizon/core/machine/session/reasons.ts"
import { CLOSE, type CloseReason } from "@horizon/core/machine/session/session.ts"
import type { ClientState } from "./status.ts"

export interface Setback {
  readonly _tag: "Setback"
  readonly state: Extract<ClientState, "contacting-broker" | "choosing" | "reconnecting" | "refused">
  /** What happened and what to do. */
  readonly detail: string
  /**
   * `soon`: with backoff. `later`: a person must act first, so it is tried only now and then. `elsewhere`: soon if there is another
   * gateway, else later.
   */
  readonly again: "soon" | "later" | "elsewhere"
  /** The ticket must not be used again. */
  readonly dropTicket: boolean
  /** The gateway must not be used for a while. */
  readonly avoidServer: boolean
}

const setback = (change: Omit<Setback, "_tag" | "dropTicket" | "avoidServer"> & Partial<Setback>): Setback => ({
  dropTicket: false,
  avoidServer: false,
  ...change,
  _tag: "Setback"
})

/** The broker gave no answer, or said no. */
export const brokerSetback = (error: BrokerCallError): Setback =>
  error.passing
    ? setback({ state: "contacting-broker", detail: error.message, again: "soon" })
    : setback({ state: "refused", detail: error.message, again: "later" })

/** There is no gateway to connect to, or none that answers. */
export const noServer = (detail: string, passing: boolean): Setback =>
  setback({ state: passing ? "choosing" : "refused", detail, again: passing ? "soon" : "later" })

/** The tunnel was up or being set up, and is not any more. */
export const lostSession = (reason: CloseReason, server: string, ticketIsFresh: boolean): Setback => {
  const detail = `${server}: ${describeClose(reason)}`
  switch (reason) {
    case CLOSE.normal:
    case CLOSE.timeout:
    case CLOSE.shutdown:
    case CLOSE.handshakeTimeout:
    case CLOSE.limit:
      return setback({ state: "reconnecting", detail, again: "soon" })
    case CLOSE.ticketExpired:
    case CLOSE.ticketNotYetValid:
      // Broker and gateway differ about the time. That passes: a gateway takes over the broker's clock when it hears it.
      return ticketIsFresh
        ? setback({ state: "refused", detail, again: "soon", dropTicket: true, avoidServer: true })
        : staleTicket(detail)
    case CLOSE.ticketInvalid:
    case CLOSE.ticketWrongServer:
    case CLOSE.deviceInvalid:
      return ticketIsFresh
        ? setback({ state: "refused", detail, again: "later", dropTicket: true })
        : staleTicket(detail)
    case CLOSE.noCommonSuite:
    case CLOSE.serverInvalid:
    case CLOSE.full:
    case CLOSE.forbidden:
      return setback({ state: "refused", detail, again: "elsewhere", dropTicket: true, avoidServer: true })
    case CLOSE.replaced:
      // To connect again at once would throw the other one out, which would throw us out, without end.
      return setback({ state: "refused", detail, again: "later" })
  }
}

/** A ticket from earlier is refused: a new one settles it. */
const staleTicket = (detail: string): Setback =>
  setback({ state: "reconnecting", detail, again: "soon", dropTicket: true })

/**
 * Nothing comes back through the tunnel. One that worked before is likely to come back at the same gateway; one that never did is
 * tried elsewhere.
 */
export const deadTunnel = (server: string, everProved: boolean): Setback =>
  setback({
    state: "reconnecting",
    detail: everProved
      ? `${server}: nothing comes back through the tunnel any more. A new session is tried.`
      : `${server}: the session stands, but its tunnel does not answer. Another gateway is tried if there is one.`,
    again: "soon",
    avoidServer: !everProved
  })

/** The gateway's READY made no sense. */
export const badParameters = (server: string): Setback =>
  setback({
    state: "refused",
    detail: `${server}: the gateway's parameters are not of this version. Update the older of the two.`,
    again: "elsewhere",
    avoidServer: true
  })
