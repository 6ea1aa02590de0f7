/**
 * Proof that the tunnel works: the client sends ICMP echo requests to the gateway's tunnel address and believes nothing but
 * the answers. A session that is up with a gateway that does not forward is not "connected".
 *
 * Only the gateway can send from its own tunnel address (it drops spoofed sources), and each request carries a random token,
 * so an answer cannot be another program's ping or one from an earlier session.
 *
 * To be unproved is one thing, to be given up another. Full queues lose echoes for many seconds while the tunnel carries all they
 * hold, and a new session would only add a handshake to them. So a tunnel whose packets still arrive is kept for a while: only the
 * gateway that holds this session's keys can have sent them, hence it was not started anew, and it forwards.
 *
 * They do not prove the way there. For that there is the gateway's own clock: it ends a session on which it has heard nothing for
 * 10 s (DEAD_AFTER_NS), so what arrives says that something of ours reached it at most 10 s before. If from some moment on
 * nothing of ours reaches it, the tunnel is given up
 * - 10 s later with its goodbye (said three times), or
 * - 14 s later at most without: after 10 s it is silent, 3.5 s later that counts (PACKET_FRESH_NS), and a retry may pass until it is looked at.
 * Delay on the way adds to both. If some of ours reaches it, but never an echo there and back, PROOF_OVERDUE_NS is the end.
 */

import { assert } from "../../assert.ts"
import {
  ECHO_OVERHEAD_BYTES,
  echoDataAt,
  echoIdentifier,
  echoSequence,
  isEchoReply,
  writeEchoRequest
} from "../../wire/icmp.ts"
import { ipv4Destination, ipv4Source, isIpv4Packet } from "../../wire/ipv4.ts"

const MS_NS = 1_000_000
/** How often the tunnel is proved while it works. */
export const PROOF_INTERVAL_NS = 2_000 * MS_NS
/** How often it is tried while there is no fresh proof. */
export const PROOF_RETRY_NS = 500 * MS_NS
/** Age of the last proof from which on the tunnel counts as degraded: one interval and three retries. */
export const PROOF_STALE_NS = PROOF_INTERVAL_NS + 3 * PROOF_RETRY_NS
/**
 * A silent tunnel that was not proved for so long is given up, though the session is not: a gateway that has started anew knows
 * nothing of the session, and a new handshake finds that out sooner than the session's own dead time of 10 s.
 */
export const PROOF_LOST_NS = 6_000 * MS_NS
/**
 * For so long a packet through the tunnel is a sign of life. No shorter than a proof is fresh, and no longer than what remains of
 * PROOF_LOST_NS after one interval: then a tunnel in which all stops is given up as soon as if packets did not count.
 */
export const PACKET_FRESH_NS = PROOF_STALE_NS
/**
 * Without a proof for so long a tunnel is given up whatever arrives. By then 56 echoes are lost: if nine in ten are, a proof that fails to
 * come is mistaken for a lost tunnel once in 365 times; by PROOF_LOST_NS only 8 are, and it would be two times in five.
 */
export const PROOF_OVERDUE_NS = 30_000 * MS_NS

/** Bytes of the random token. */
export const PROOF_TOKEN_BYTES = 16
/** Requests whose sending time is remembered: answers to older ones still prove, but give no round-trip time. */
const REMEMBERED = 16

export type ProofState = "unproved" | "proved" | "stale"

export interface ProofOptions {
  /** Own tunnel address. */
  readonly address: number
  /** The gateway's tunnel address. */
  readonly gateway: number
  /** PROOF_TOKEN_BYTES unpredictable bytes. */
  readonly token: Uint8Array
  /** Sends an IP packet through the tunnel. */
  readonly send: (nowNs: number, bytes: Uint8Array, at: number, length: number) => void
}

export class TunnelProof {
  /** When the tunnel was last proved; -Infinity = never. */
  lastProvedNs = Number.NEGATIVE_INFINITY
  /** When a packet last came through the tunnel, a proof or any other, as far as that is known; -Infinity = never. */
  lastPacketNs = Number.NEGATIVE_INFINITY
  /** Round-trip time of the last proof, through the tunnel. */
  rttNs = 0
  sent = 0
  answered = 0
  private readonly options: ProofOptions
  private readonly identifier: number
  private readonly packet = new Uint8Array(ECHO_OVERHEAD_BYTES + PROOF_TOKEN_BYTES)
  private readonly sentNs = new Float64Array(REMEMBERED)
  private readonly startedNs: number
  private nextNs: number

  /** The first request is due at `nowNs`. */
  constructor(nowNs: number, options: ProofOptions) {
    assert(options.token.length === PROOF_TOKEN_BYTES, "a proof token has 16 bytes")
    this.options = options
    this.identifier = (options.token[0] << 8) | options.token[1]
    this.startedNs = nowNs
    this.nextNs = nowNs
  }

  state(nowNs: number): ProofState {
    if (this.lastProvedNs === Number.NEGATIVE_INFINITY) return "unproved"
    return nowNs - this.lastProvedNs < PROOF_STALE_NS ? "proved" : "stale"
  }

  /** Whether the tunnel is to be given up. It can become so at any time, and is worth a look whenever a request was sent. */
  isLost(nowNs: number): boolean {
    const unprovedForNs = nowNs - Math.max(this.startedNs, this.lastProvedNs)
    if (unprovedForNs < PROOF_LOST_NS) return false
    return nowNs - this.lastPacketNs >= PACKET_FRESH_NS || unprovedForNs >= PROOF_OVERDUE_NS
  }

  pollTimeout(): number {
    return this.nextNs
  }

  /** Sends a request if one is due. */
  handleTimeout(nowNs: number): void {
    if (nowNs < this.nextNs) return
    const sequence = this.sent & 0xffff
    this.packet.set(this.options.token, ECHO_OVERHEAD_BYTES)
    const { address, gateway } = this.options
    const length = writeEchoRequest(this.packet, 0, address, gateway, this.identifier, sequence, PROOF_TOKEN_BYTES)
    this.sentNs[this.sent % REMEMBERED] = nowNs
    this.sent++
    this.nextNs = nowNs + PROOF_RETRY_NS
    this.options.send(nowNs, this.packet, 0, length)
  }

  /** Takes each packet that the session opened. Whether it was an answer to one of our requests; then it is not for the host. */
  handlePacket(nowNs: number, bytes: Uint8Array, at: number, length: number): boolean {
    // Whoever is late with his own request stood still, and what he reads now may have waited for him as long: it says nothing of today.
    if (nowNs - this.nextNs < PROOF_RETRY_NS) this.lastPacketNs = nowNs
    if (length !== this.packet.length || bytes[at] !== 0x45 || ipv4Source(bytes, at) !== this.options.gateway)
      return false
    if (ipv4Destination(bytes, at) !== this.options.address || !isIpv4Packet(bytes, at, length)) return false
    if (!isEchoReply(bytes, at, length) || echoIdentifier(bytes, at) !== this.identifier) return false
    const data = echoDataAt(bytes, at)
    for (let i = 0; i < PROOF_TOKEN_BYTES; i++) if (bytes[data + i] !== this.options.token[i]) return false
    this.prove(nowNs, echoSequence(bytes, at))
    return true
  }

  private prove(nowNs: number, sequence: number): void {
    const age = (this.sent - 1 - sequence) & 0xffff
    if (age < REMEMBERED && age < this.sent) this.rttNs = nowNs - this.sentNs[(this.sent - 1 - age) % REMEMBERED]
    this.answered++
    this.lastProvedNs = nowNs
    this.nextNs = nowNs + PROOF_INTERVAL_NS
  }
}
