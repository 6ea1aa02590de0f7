/** One connection at a time: handshake, virtual interface, proof; carries packets until it is lost, and says why. */

import type { MemberAgent } from "@horizon/core/api/member-agent.ts"
import { makeClientEndpoint } from "@horizon/core/machine/session/client.ts"
import {
  CLOSE,
  type ClientEndpoint,
  type CloseReason,
  type SessionEvent
} from "@horizon/core/machine/session/session.ts"
import { type SessionTraffic, TrafficCounts } from "@horizon/core/machine/session/traffic.ts"
import { decodeParameters, TUNNEL_MTU, type TunnelParameters } from "@horizon/core/machine/tunnel/parameters.ts"
import { formatCidr } from "@horizon/core/machine/tunnel/prefix.ts"
import type { ProofState, TunnelProof } from "@horizon/core/machine/tunnel/proof.ts"
import type { Crypto } from "@horizon/core/port/crypto.ts"
import type { RandomSource } from "@horizon/core/port/entropy.ts"
import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import { traceSession } from "@horizon/core/port/session-trace.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import type { Tun } from "@horizon/core/port/tun.ts"
import { fromTun, type NodeError } from "@horizon/core/server/node-error.ts"
import { formatEndpoint } from "@horizon/core/wire/address.ts"
import { dropCounters } from "@horizon/core/wire/drop.ts"
import { SEALED_OVERHEAD_BYTES } from "@horizon/core/wire/header.ts"
import { Effect, Exit, Option, Queue, Scope } from "effect"
import type { HeldTicket } from "./gateways.ts"
import { badParameters, deadTunnel, lostSession, type Setback } from "./setback.ts"
import type { StatusBoard } from "./status.ts"
import { TunnelLink } from "./tunnel-link.ts"

export interface ConnectorOptions {
  readonly agent: MemberAgent
  readonly shell: SessionShell
  readonly board: StatusBoard
  readonly trace: TraceWriter
  readonly crypto: Crypto["Service"]
  readonly random: RandomSource
  readonly tun: Tun["Service"]
  readonly faultPoint: (name: string) => boolean
  /** Name of the virtual interface. */
  readonly interface: string
  /** Called at each proof. */
  readonly onProved: (parameters: TunnelParameters, server: string) => void
}

type Happening = SessionEvent | { readonly kind: "tunnel-dead"; readonly everProved: boolean }

/** An open virtual interface. */
interface OpenDevice {
  readonly name: string
  readonly cidr: string
  readonly mtuBytes: number
  readonly scope: Scope.Closeable
}

/** Packets by which one may be late and still be accepted. */
const REPLAY_WINDOW = 8_192
/** A handshake that the endpoint itself has not given up by then is given up, ms. */
const HANDSHAKE_MS = 15_000
/** A degraded tunnel through which a packet came within this time is said to carry some. */
const STILL_CARRYING_NS = 1_000_000_000

export class Connector {
  readonly link: TunnelLink
  /** Of the connection in progress. */
  session: ClientEndpoint | undefined
  private readonly options: ConnectorOptions
  /** Of the connections that are over. */
  private readonly pastTraffic = new TrafficCounts()
  private readonly pastDrops = dropCounters()
  private device: OpenDevice | undefined
  private parameters: TunnelParameters | undefined
  private server = ""
  private happenings: Queue.Queue<Happening> | undefined

  constructor(options: ConnectorOptions) {
    this.options = options
    this.link = new TunnelLink({
      shell: options.shell,
      fill: (bytes) => options.random.fill(bytes),
      onProof: (nowNs, state, proof) => this.onProof(nowNs, state, proof)
    })
  }

  /** Connects with `ticket` and carries packets; ends only when that is over. */
  run(ticket: HeldTicket): Effect.Effect<never, Setback | NodeError> {
    const { board } = this.options
    const { name, endpoint } = ticket.server.record
    const self = this
    return Effect.gen(function* () {
      board.set("connecting", `${name} at ${formatEndpoint(endpoint)} is being connected to.`)
      const happenings = yield* Queue.dropping<Happening>(64)
      self.happenings = happenings
      self.server = name
      const session = self.start(ticket, happenings)
      const first = yield* Effect.timeoutOption(Queue.take(happenings), HANDSHAKE_MS)
      const event: Happening = Option.getOrElse(first, () => HANDSHAKE_TIMEOUT)
      if (event.kind !== "established") return yield* Effect.fail(self.setback(event, ticket))
      const { parameters } = self
      if (parameters === undefined) return yield* Effect.fail(badParameters(name))
      yield* self.openDevice(parameters)
      self.options.shell.act((nowNs) => self.link.open(nowNs, session, parameters))
      for (;;) {
        const next = yield* Queue.take(happenings)
        if (next.kind !== "established" && next.kind !== "roamed") return yield* Effect.fail(self.setback(next, ticket))
      }
    }).pipe(Effect.ensuring(Effect.sync(() => this.leave())))
  }

  /** Datagrams of all connections: the one in progress and those before it. */
  traffic(): SessionTraffic {
    const traffic = new TrafficCounts()
    traffic.add(this.pastTraffic)
    if (this.session !== undefined) traffic.add(this.session.traffic())
    return traffic
  }

  /** Datagrams that all connections dropped, by drop code. */
  drops(): Uint32Array {
    return this.pastDrops.map((count, code) => count + (this.session?.drops[code] ?? 0))
  }

  /** Closes the virtual interface; for the end of the client. */
  closeDevice(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { device } = this
      this.device = undefined
      this.link.detach()
      if (device === undefined) return Effect.void
      this.options.trace("client.interface", { name: device.name, address: "" })
      return Scope.close(device.scope, Exit.void)
    })
  }

  private start(ticket: HeldTicket, happenings: Queue.Queue<Happening>): ClientEndpoint {
    const { agent, crypto, random, shell, faultPoint } = this.options
    this.parameters = undefined
    const session = makeClientEndpoint(
      {
        crypto,
        identity: agent.identity,
        fill: (bytes) => random.fill(bytes),
        wallMs: () => agent.brokerNowMs(),
        replayWindow: REPLAY_WINDOW,
        // The MTU that the gateway tells bounds what is sent; it knows what the paths of its network carry.
        datagramBytesMax: TUNNEL_MTU.maximum + SEALED_OVERHEAD_BYTES,
        faultPoint,
        server: ticket.server.record.endpoint,
        serverKey: ticket.server.record.publicKey,
        ticket: ticket.ticket,
        onReady: (parameters) => {
          this.parameters = decodeParameters(parameters)
        }
      },
      shell.outbox,
      this.link
    )
    this.session = session
    shell.drive(
      session,
      (event) => {
        traceSession(this.options.trace, "client", event)
        Queue.offerUnsafe(happenings, event)
      },
      this.link
    )
    shell.act((nowNs) => session.connect(nowNs))
    return session
  }

  /** Says goodbye if there is somebody to say it to, and lets go of the socket. */
  private leave(): void {
    const { session } = this
    const { shell } = this.options
    this.happenings = undefined
    this.link.close()
    if (session?.state === "established") shell.act((nowNs) => session.close(nowNs, CLOSE.normal))
    this.pastDrops.set(this.drops())
    if (session !== undefined) this.pastTraffic.add(session.traffic())
    this.session = undefined
    shell.rest()
  }

  private setback(event: Happening, ticket: HeldTicket): Setback {
    switch (event.kind) {
      case "tunnel-dead":
        return deadTunnel(this.server, event.everProved)
      case "refused":
      case "closed":
        return lostSession(event.reason, this.server, !ticket.cached)
      case "established":
      case "roamed":
        return lostSession(CLOSE.normal, this.server, !ticket.cached)
    }
  }

  /** The virtual interface with the address that the gateway gave: the one already open if it has it. */
  private openDevice(parameters: TunnelParameters): Effect.Effect<void, NodeError> {
    const cidr = formatCidr(parameters.address, parameters.prefixLength)
    const { mtuBytes } = parameters
    const { tun, board, trace } = this.options
    const self = this
    return Effect.gen(function* () {
      board.address(cidr)
      if (self.device?.cidr === cidr && self.device.mtuBytes === mtuBytes) return
      yield* self.closeDevice()
      const scope = yield* Scope.make()
      const name = self.options.interface
      self.device = { name, cidr, mtuBytes, scope }
      const device = yield* Scope.provide(tun.open({ name, cidr, mtuBytes }), scope)
      self.link.attach(device)
      trace("client.interface", { name: device.name, address: cidr })
    }).pipe(Effect.mapError(fromTun))
  }

  private onProof(nowNs: number, state: ProofState, proof: TunnelProof): void {
    const { board, onProved } = this.options
    const { parameters, server } = this
    if (parameters === undefined) return
    if (state === "proved") {
      board.proved(nowNs, proof.lastProvedNs, Math.round(proof.rttNs / 1_000))
      return onProved(parameters, server)
    }
    if (state === "stale") board.set("degraded", degradedDetail(server, nowNs - proof.lastPacketNs < STILL_CARRYING_NS))
    if (proof.isLost(nowNs) && this.happenings !== undefined)
      Queue.offerUnsafe(this.happenings, { kind: "tunnel-dead", everProved: state === "stale" })
  }
}

const degradedDetail = (server: string, carrying: boolean): string =>
  carrying
    ? `The session with ${server} is up and packets come through the tunnel, but the gateway's answers do not at present.`
    : `The session with ${server} is up, but nothing comes back through the tunnel at present.`

const HANDSHAKE_TIMEOUT: Happening = {
  kind: "refused",
  peer: { address: "0.0.0.0", port: 0 },
  reason: CLOSE.handshakeTimeout satisfies CloseReason
}
