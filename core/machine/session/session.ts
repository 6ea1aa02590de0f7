/**
 * The secure datagram session of docs/wire as two sans-IO machines: `ServerEndpoint` (many sessions behind one socket: gateway,
 * game server) and `ClientEndpoint` (one session: client, player).
 *
 * The verbs are those of every machine: `handle…(nowNs, …)` in, `pollTimeout` for the one timer, `pollEvent` for rare
 * events. What is to be sent is written straight into the slots of an `Outbox`; what arrives is handed, decrypted in place, to a
 * handler that must use or copy it before it returns. Nothing is allocated for a data packet.
 */

import type { Crypto, Identity } from "../../crypto/crypto.ts"
import type { Endpoint } from "../../wire/address.ts"
import type { DatagramBatch } from "../../wire/batch.ts"
import type { SessionTraffic } from "./traffic.ts"

/** Channels (header, low four bits). Channel 4 carries exactly one IP packet or Ethernet frame. */
export const CHANNEL = { unreliable: 0, ordered: 1, unordered: 2, control: 3, tunnel: 4 } as const

/** Who the peer of a session is: from the ticket on the server side, from configuration on the client side. */
export interface Subject {
  /** 32 bytes: the device's (or server's) Ed25519 public key. */
  readonly publicKey: Uint8Array
  /** Device id as lower-case hex of the first 16 bytes of SHA-256 of the public key. */
  readonly deviceId: string
  /** Person or account that the ticket names. */
  readonly user: string
  readonly tenant: string
  /** Bits of `RIGHT` in core/wire/ticket.ts. */
  readonly rights: number
  /** Wall-clock end of the ticket; an established session outlives it. */
  readonly ticketExpiresMs: number
}

/** What a machine does with application data: the bytes are valid until it returns. */
export interface SessionHandler {
  /**
   * Payload of a data packet of session `session`. Channel 4: one IP packet. Channels 0 to 2: the frames from the first
   * application frame (type 16 and up) to the end.
   */
  onData(session: number, channel: number, bytes: Uint8Array, at: number, length: number): void
}

/**
 * Rare events, for the control side. A server's session number is given out again only after its `closed` event was polled. For a
 * client `refused` is the server's word (or its wrong identity) before the session stood; everything else that ends it is `closed`.
 */
export type SessionEvent =
  | {
      readonly kind: "established"
      readonly session: number
      readonly connectionId: number
      readonly peer: Endpoint
      readonly subject: Subject
    }
  | { readonly kind: "refused"; readonly peer: Endpoint; readonly reason: CloseReason }
  | { readonly kind: "closed"; readonly session: number; readonly connectionId: number; readonly reason: CloseReason }
  /** The peer has proved that it is now at `to`; data goes there from now on. */
  | {
      readonly kind: "roamed"
      readonly session: number
      readonly connectionId: number
      readonly from: Endpoint
      readonly to: Endpoint
    }

/** Why a session ended or was refused; the numbers go over the wire in BYE. */
export const CLOSE = {
  /** The peer said goodbye. */
  normal: 0,
  /** Nothing was heard for the dead time (10 s). */
  timeout: 1,
  /** Ticket malformed, or not signed by the broker. */
  ticketInvalid: 2,
  ticketExpired: 3,
  /** The ticket names another server. */
  ticketWrongServer: 4,
  /** The device key did not sign the handshake. */
  deviceInvalid: 5,
  /** No version or suite in common. */
  noCommonSuite: 6,
  /** The server's identity is not the expected one. */
  serverInvalid: 7,
  /** No free session slot or address. */
  full: 8,
  /** The server is stopping. */
  shutdown: 9,
  /** The same device has connected anew. */
  replaced: 10,
  /** The handshake was not completed in time. */
  handshakeTimeout: 11,
  /** A sequence or packet limit was reached. */
  limit: 12,
  /** Refused by the application (rights, tenant). */
  forbidden: 13,
  /** The ticket was issued further in the future than clocks may differ. */
  ticketNotYetValid: 14
} as const
export type CloseReason = (typeof CLOSE)[keyof typeof CLOSE]

/** Text of a close reason and what to do about it, for messages to people. */
export { describeClose } from "./reasons.ts"

/** Figures of one session; `undefined` from `info` if there is no such session. */
export interface SessionInfo {
  readonly connectionId: number
  readonly peer: Endpoint
  readonly subject: Subject
  readonly establishedNs: number
  readonly lastHeardNs: number
  /** Smoothed round-trip time; 0 before the first sample. */
  readonly rttNs: number
  readonly packetsIn: number
  readonly packetsOut: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Result of `send`: 0 = written to the outbox, else why not. */
export const SEND = { ok: 0, noSession: 1, tooLong: 2, notEstablished: 3, exhausted: 4 } as const

interface Machine {
  /**
   * Opens the sealed datagrams in slots `first` to `end - 1` of `batch` together, AHEAD_MAX at most, before each is handed to `handleDatagram`.
   * May be left out: it makes nothing but speed.
   */
  prepare(batch: DatagramBatch, first: number, end: number): void
  /** Takes datagram `index` of `batch`, which it may decrypt in place. Never throws, whatever the bytes. */
  handleDatagram(nowNs: number, batch: DatagramBatch, index: number): void
  /** Does what is due at `nowNs`. */
  handleTimeout(nowNs: number): void
  /** When `handleTimeout` wants to be called next; `Infinity` = never. */
  pollTimeout(): number
  /** The next event, or `undefined`. */
  pollEvent(): SessionEvent | undefined
  /** Datagrams dropped, by drop code (index into DROP of core/wire/drop.ts). */
  readonly drops: Uint32Array
  /** What it has taken and made since it was made, by kind: all that is no drop. */
  traffic(): SessionTraffic
}

export interface ServerEndpoint extends Machine {
  /** Seals `length` bytes at `at` for `session` into the outbox; a SEND code. */
  send(nowNs: number, session: number, channel: number, bytes: Uint8Array, at: number, length: number): number
  /** Says goodbye (three times, for loss) and forgets the session; the event follows. */
  close(nowNs: number, session: number, reason: CloseReason): void
  /** Closes all sessions. */
  closeAll(nowNs: number, reason: CloseReason): void
  info(session: number): SessionInfo | undefined
  /** Sessions that are established now, ascending. */
  sessions(): ReadonlyArray<number>
}

export interface ClientEndpoint extends Machine {
  /** Starts the handshake (again). Session number is always 0. */
  connect(nowNs: number): void
  send(nowNs: number, channel: number, bytes: Uint8Array, at: number, length: number): number
  close(nowNs: number, reason: CloseReason): void
  info(): SessionInfo | undefined
  readonly state: "idle" | "connecting" | "established" | "closed"
}

/** What both machines need. */
export interface SessionOptions {
  readonly crypto: Crypto
  /** Ed25519 identity: the server's, or the device's. */
  readonly identity: Identity
  /** Unpredictable bytes. */
  readonly fill: (bytes: Uint8Array) => void
  /** Wall clock for cookie times and ticket expiry. */
  readonly wallMs: () => number
  /** Positions of the replay window: 64 (game) to 8,192 (tunnel). */
  readonly replayWindow: number
  /** Longest datagram to send, 1,200 if left out; at most what a slot of the outbox holds. */
  readonly datagramBytesMax?: number
  /** Planted faults, for canaries (core/port/fault-points.ts). */
  readonly faultPoint: (name: string) => boolean
}

export interface ServerOptions extends SessionOptions {
  /** Ed25519 key with which the broker signs tickets; may be replaced at run time by `setBrokerKey` of the implementation. */
  readonly brokerKey: () => Uint8Array | undefined
  /** Application's word on a valid ticket, before READY: a close reason to refuse, `undefined` to admit. */
  readonly admit: (subject: Subject) => CloseReason | undefined
  /** Bytes put into READY for the client (for example its tunnel address); at most 256. */
  readonly parameters: (session: number, subject: Subject) => Uint8Array
  readonly sessionsMax: number
  /** Bits 0 to 7 of connection ids. */
  readonly worker: number
}

export interface ClientOptions extends SessionOptions {
  readonly server: Endpoint
  /** The server's Ed25519 key from the broker's signed record. */
  readonly serverKey: Uint8Array
  /** The ticket to present (core/wire/ticket.ts). */
  readonly ticket: Uint8Array
  /** Receives the server's READY parameters when the session is established. */
  readonly onReady: (parameters: Uint8Array) => void
}
