/**
 * The client's packet path: host ⇄ virtual interface ⇄ session, and the proof that it works.
 *
 * Plain calls on preallocated slots. What does not belong into the tunnel is dropped and counted here, in both directions: the
 * gateway would drop what the host sends under a foreign source, and the host must not be handed what is not for it.
 */

import { CHANNEL, type ClientEndpoint, SEND, type SessionHandler } from "@horizon/core/machine/session/session.ts"
import type { TunnelParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { broadcastAddress, type Prefix, prefixIndex, prefixOf } from "@horizon/core/machine/tunnel/prefix.ts"
import { PROOF_TOKEN_BYTES, type ProofState, TunnelProof } from "@horizon/core/machine/tunnel/proof.ts"
import type { Companion, SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TunDevice } from "@horizon/core/port/tun.ts"
import { Outbox } from "@horizon/core/wire/batch.ts"
import { ipv4Destination, ipv4Source, isIpv4Packet, isMulticast, LIMITED_BROADCAST } from "@horizon/core/wire/ipv4.ts"

export interface TunnelLinkOptions {
  readonly shell: SessionShell
  readonly fill: (bytes: Uint8Array) => void
  /** Told at each proof and whenever the state of the proof changes. */
  readonly onProof: (nowNs: number, state: ProofState, proof: TunnelProof) => void
}

/** A session with the parameters that its READY gave. */
interface Live {
  readonly endpoint: ClientEndpoint
  readonly parameters: TunnelParameters
  readonly prefix: Prefix
  readonly broadcast: number
  readonly proof: TunnelProof
}

/** Why a packet did not pass. */
export const LINK_DROP = {
  /** From the host while there is no session. */
  noSession: 0,
  /** From the host: not IPv4, a foreign source, above the MTU. */
  notOwn: 1,
  /** From the host: not taken by the session. */
  notSent: 2,
  /** From the gateway while there is no interface. */
  noInterface: 3,
  /** From the gateway: not a sound packet for this member. */
  notForHost: 4,
  /** From the gateway before the client has opened the link: parameters were told, the interface is on its way. */
  notOpen: 5,
  /** From the gateway, on another channel than the tunnel's. */
  notTunnel: 6
} as const
/** Names of the reasons, by number. */
export const LINK_DROP_NAMES: ReadonlyArray<keyof typeof LINK_DROP> = Object.keys(LINK_DROP) as Array<
  keyof typeof LINK_DROP
>

export class TunnelLink implements SessionHandler, Companion {
  /** Packets dropped by reason. A Float64Array counts exactly to 2^53. */
  readonly drops = new Float64Array(LINK_DROP_NAMES.length)
  /** Proofs that were sent, and answers to them: packets that are neither from the host nor for it. */
  proofsOut = 0
  proofsIn = 0
  /** The interface whose packets are moved. */
  device: TunDevice | undefined
  private readonly options: TunnelLinkOptions
  private toHost: Outbox | undefined
  private live: Live | undefined
  private lastState: ProofState = "unproved"

  constructor(options: TunnelLinkOptions) {
    this.options = options
  }

  /** Moves packets of `device` from now on. */
  attach(device: TunDevice): void {
    this.device = device
    this.toHost = new Outbox(device.tx, (count) => device.send(count))
    device.onBatch((nowNs, count) => {
      if (this.device === device) this.handleHostBatch(nowNs, count)
    })
  }

  detach(): void {
    this.device = undefined
    this.toHost = undefined
  }

  /** The session is established; the proof starts at once. */
  open(nowNs: number, endpoint: ClientEndpoint, parameters: TunnelParameters): void {
    const token = new Uint8Array(PROOF_TOKEN_BYTES)
    this.options.fill(token)
    const { address, gateway, prefixLength } = parameters
    const proof = new TunnelProof(nowNs, {
      address,
      gateway,
      token,
      send: (atNs, bytes, at, length) => {
        if (endpoint.send(atNs, CHANNEL.tunnel, bytes, at, length) === SEND.ok) this.proofsOut++
      }
    })
    this.lastState = "unproved"
    const prefix = prefixOf(address, prefixLength)
    this.live = { endpoint, parameters, prefix, proof, broadcast: broadcastAddress(prefix) }
  }

  /** The session is gone; what the host sends is dropped until there is another one. */
  close(): void {
    this.live = undefined
  }

  onData(_session: number, channel: number, bytes: Uint8Array, at: number, length: number): void {
    const { live } = this
    if (live === undefined || channel !== CHANNEL.tunnel) {
      this.drops[live === undefined ? LINK_DROP.notOpen : LINK_DROP.notTunnel]++
      return
    }
    const { nowNs } = this.options.shell
    if (live.proof.handlePacket(nowNs, bytes, at, length)) {
      this.proofsIn++
      this.lastState = "proved"
      return this.options.onProof(nowNs, "proved", live.proof)
    }
    const { toHost } = this
    if (toHost === undefined) this.drops[LINK_DROP.noInterface]++
    else if (!isForHost(live, bytes, at, length) || length > toHost.batch.slotBytes) this.drops[LINK_DROP.notForHost]++
    else toHost.copy(bytes, at, length)
  }

  flush(): void {
    this.toHost?.flush()
  }

  handleTimeout(nowNs: number): void {
    const { live } = this
    if (live === undefined) return
    live.proof.handleTimeout(nowNs)
    const state = live.proof.state(nowNs)
    if (state === "proved" && this.lastState === "proved") return
    this.lastState = state
    this.options.onProof(nowNs, state, live.proof)
  }

  pollTimeout(): number {
    return this.live?.proof.pollTimeout() ?? Number.POSITIVE_INFINITY
  }

  private handleHostBatch(nowNs: number, count: number): void {
    const { device, live } = this
    if (device === undefined) return
    if (live === undefined) {
      this.drops[LINK_DROP.noSession] += count
      return
    }
    const { rx } = device
    this.options.shell.enter(nowNs)
    for (let i = 0; i < count; i++) {
      const at = rx.offset(i)
      const length = rx.length[i]
      if (!isFromHost(live, rx.slab, at, length)) this.drops[LINK_DROP.notOwn]++
      else if (live.endpoint.send(nowNs, CHANNEL.tunnel, rx.slab, at, length) !== SEND.ok)
        this.drops[LINK_DROP.notSent]++
    }
    this.options.shell.leave()
  }
}

/** Whether the host may send this into the tunnel: IPv4 under its own tunnel address, not above the MTU. */
const isFromHost = ({ parameters }: Live, bytes: Uint8Array, at: number, length: number): boolean =>
  length <= parameters.mtuBytes && isIpv4Packet(bytes, at, length) && ipv4Source(bytes, at) === parameters.address

/** Whether the host may be handed this: from an address of the tunnel, to this member or to all. */
const isForHost = ({ parameters, prefix, broadcast }: Live, bytes: Uint8Array, at: number, length: number): boolean => {
  if (!isIpv4Packet(bytes, at, length)) return false
  const destination = ipv4Destination(bytes, at)
  const forUs =
    destination === parameters.address ||
    destination === broadcast ||
    destination === LIMITED_BROADCAST ||
    isMulticast(destination)
  return forUs && prefixIndex(prefix, ipv4Source(bytes, at)) >= 0
}
