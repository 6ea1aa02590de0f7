/**
 * Which gateway, and with which ticket: what the broker said is kept, so that a lost tunnel comes back without it. The broker is
 * asked when nothing usable is at hand, and now and then in the background, to know whether it is there.
 */

import type { BrokerCallError } from "@horizon/core/api/broker-client.ts"
import { type GrantedTicket, type MemberAgent, TICKET_LEAST_MS } from "@horizon/core/api/member-agent.ts"
import type { ServerEntry } from "@horizon/core/api/server.ts"
import { PROBE_TARGETS_MAX, ProbeCounts, Prober } from "@horizon/core/machine/tunnel/prober.ts"
import type { SessionShell } from "@horizon/core/port/session-shell.ts"
import type { TraceWriter } from "@horizon/core/port/trace.ts"
import { Deferred, Effect, Exit } from "effect"
import { type Candidate, chooseServer } from "./choose.ts"
import { brokerSetback, noServer, type Setback } from "./setback.ts"
import type { StatusBoard } from "./status.ts"

export interface GatewaysOptions {
  readonly agent: MemberAgent
  readonly shell: SessionShell
  readonly board: StatusBoard
  readonly trace: TraceWriter
  readonly fill: (bytes: Uint8Array) => void
  readonly nowNs: () => number
  /** Id or name of the one gateway to use; empty = any. */
  readonly pinned: string
}

/** A ticket at hand. */
export interface HeldTicket extends GrantedTicket {
  /** When it was had, by the broker's clock. */
  readonly sinceMs: number
}

/** How long a gateway that refused this member, or whose tunnel was dead, is left alone. */
const AVOID_NS = 60_000_000_000
/** How long a client that starts with a list from earlier waits for a new one, ms. */
const HEDGE_MS = 500
/** Refusals of a ticket that are about the gateway and not about this member. */
const SERVER_GONE: ReadonlySet<string> = new Set(["server-unknown", "server-revoked"])

export class Gateways {
  /** Datagrams of all measurements. */
  readonly probes = new ProbeCounts()
  private readonly options: GatewaysOptions
  private entries: ReadonlyArray<ServerEntry> = []
  private readonly tickets = new Map<string, HeldTicket>()
  /** End of the last ticket of each gateway that was refused: it is not taken from the agent's cache again. */
  private readonly refused = new Map<string, number>()
  private readonly avoided = new Map<string, number>()
  /** Id of the gateway used last. */
  private home: string | undefined

  constructor(options: GatewaysOptions) {
    this.options = options
  }

  /**
   * Takes over what the broker said in an earlier life of this client, but lets the broker speak first if it does so at once:
   * after a long time there may be a nearer gateway.
   */
  prepare(): Effect.Effect<void> {
    const kept = this.options.agent.cachedServers("gateway")
    if (kept === undefined) return Effect.void
    return Effect.andThen(
      Effect.timeoutOption(Effect.ignore(this.fetchList()), HEDGE_MS),
      Effect.sync(() => {
        if (this.entries.length === 0) this.entries = this.wanted(kept.servers)
      })
    )
  }

  /** A gateway that answers now, and a ticket for it. */
  pick(): Effect.Effect<HeldTicket, Setback> {
    const self = this
    return Effect.gen(function* () {
      const answering = (yield* self.measureKnown()) ?? (yield* self.measureListed())
      const { serverId } = answering
      return self.held(serverId) ?? (yield* self.fetchTicket(serverId))
    })
  }

  /** The ticket is not to be used again. */
  dropTicket(ticket: HeldTicket): void {
    const serverId = ticket.server.record.id
    this.tickets.delete(serverId)
    this.refused.set(serverId, ticket.expiresMs)
  }

  /** Leaves the gateway alone for a while, if there is another one to use. */
  avoid(serverId: string): void {
    this.avoided.set(serverId, this.options.nowNs() + AVOID_NS)
    if (this.home === serverId) this.home = undefined
  }

  /** Whether there is a gateway that has not refused this member lately. */
  hasAlternative(): boolean {
    return this.entries.some((entry) => !this.avoided.has(entry.record.id))
  }

  /** What is worth asking the broker for in the background: a ticket that nears its end, else the list. */
  refresh(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const held = this.home === undefined ? undefined : this.tickets.get(this.home)
      const ask = held !== undefined && this.isAging(held) ? this.fetchTicket(held.server.record.id) : this.fetchList()
      return Effect.catchTag(Effect.asVoid(ask), "Setback", () => Effect.void)
    })
  }

  /** The gateway to use among those already known; `undefined` if none is known or none answers. */
  private measureKnown(): Effect.Effect<Candidate | undefined> {
    return this.usable().length === 0 ? Effect.as(Effect.void, undefined) : this.measure()
  }

  private measureListed(): Effect.Effect<Candidate, Setback> {
    const self = this
    return Effect.gen(function* () {
      // When the gateways known so far do not answer, that is what the status goes on to say.
      if (self.options.board.status.state !== "choosing") self.sayAsked("The broker is asked for the gateways.")
      yield* self.fetchList()
      if (self.entries.length === 0) return yield* Effect.fail(self.nothingListed())
      const chosen = yield* self.measure()
      if (chosen !== undefined) return chosen
      const words = self.usable().length === 1 ? "The gateway does not answer" : "None of the gateways answers"
      return yield* Effect.fail(
        noServer(`${words}. Check this device's network and that UDP is not blocked; it is tried again.`, true)
      )
    })
  }

  private nothingListed(): Setback {
    const { pinned } = this.options
    return pinned === ""
      ? noServer("The broker knows no gateway. Start one and register it with this broker; it is tried again.", true)
      : noServer(`The broker knows no gateway "${pinned}". Correct the setting "server", or leave it out.`, false)
  }

  /** Measures the usable gateways and chooses. */
  private measure(): Effect.Effect<Candidate | undefined> {
    const self = this
    return Effect.gen(function* () {
      const entries = self.usable()
      const { board, trace } = self.options
      const count = entries.length === 1 ? "One gateway is" : `${entries.length} gateways are`
      if (board.status.state !== "choosing") board.set("choosing", `${count} measured.`)
      const results = yield* self.probe(entries)
      const candidates = entries.flatMap((entry): ReadonlyArray<Candidate> => {
        const rttUs = results.get(entry.record.id)
        const loadPpm = entry.metrics?.loadPpm ?? 0
        return rttUs === undefined ? [] : [{ serverId: entry.record.id, rttUs, loadPpm }]
      })
      const chosen = chooseServer(candidates, self.home)
      if (chosen === undefined) return undefined
      const { serverId, rttUs } = chosen
      trace("client.server-chosen", { serverId, rttUs, among: candidates.length })
      self.home = serverId
      board.server(entries.find((entry) => entry.record.id === serverId)?.record.name ?? serverId)
      return chosen
    })
  }

  private probe(entries: ReadonlyArray<ServerEntry>): Effect.Effect<ReadonlyMap<string, number>> {
    const { shell, fill } = this.options
    return Effect.suspend(() => {
      const done = Deferred.makeUnsafe<void>()
      const prober = new Prober(this.options.nowNs(), {
        targets: entries.map(({ record }) => ({ id: record.id, endpoint: record.endpoint })),
        preferred: this.home,
        fill,
        outbox: shell.outbox,
        counts: this.probes,
        onDone: () => Deferred.doneUnsafe(done, Exit.void)
      })
      shell.drive(prober, () => {})
      return Deferred.await(done).pipe(
        Effect.map(() => prober.results()),
        Effect.ensuring(Effect.sync(() => shell.rest()))
      )
    })
  }

  /** Gateways that may be used now: as pinned, not avoided unless all are; those that the broker hears of first. */
  private usable(): ReadonlyArray<ServerEntry> {
    const nowNs = this.options.nowNs()
    for (const [serverId, untilNs] of this.avoided) if (untilNs <= nowNs) this.avoided.delete(serverId)
    const welcome = this.entries.filter((entry) => !this.avoided.has(entry.record.id))
    const entries = welcome.length > 0 ? welcome : this.entries
    const home = entries.filter((entry) => entry.record.id === this.home)
    const online = entries.filter((entry) => entry.record.id !== this.home && entry.status === "online")
    const rest = entries.filter((entry) => entry.record.id !== this.home && entry.status !== "online")
    return [...home, ...online, ...rest].slice(0, PROBE_TARGETS_MAX)
  }

  private held(serverId: string): HeldTicket | undefined {
    const { agent } = this.options
    const ticket = this.tickets.get(serverId)
    if (ticket !== undefined && ticket.expiresMs >= agent.brokerNowMs() + TICKET_LEAST_MS) return ticket
    const kept = agent.cachedTicket(serverId)
    return kept === undefined || kept.expiresMs === this.refused.get(serverId) ? undefined : this.hold(kept)
  }

  private hold(granted: GrantedTicket): HeldTicket {
    const held: HeldTicket = { ...granted, sinceMs: this.options.agent.brokerNowMs() }
    this.tickets.set(granted.server.record.id, held)
    return held
  }

  /** Whether two thirds of the ticket's life are over: time to have the next one, while the broker may still be there. */
  private isAging(ticket: HeldTicket): boolean {
    const leftMs = ticket.expiresMs - this.options.agent.brokerNowMs()
    return leftMs * 3 < ticket.expiresMs - ticket.sinceMs
  }

  /** Those among `servers` that the configuration allows. */
  private wanted(servers: ReadonlyArray<ServerEntry>): ReadonlyArray<ServerEntry> {
    const { pinned } = this.options
    return servers.filter(({ record }) => pinned === "" || record.id === pinned || record.name === pinned)
  }

  private fetchList(): Effect.Effect<void, Setback> {
    const { agent } = this.options
    return agent.listServers("gateway").pipe(
      Effect.flatMap((listing) =>
        Effect.sync(() => {
          this.heardBroker(listing.cached)
          this.entries = this.wanted(listing.servers)
        })
      ),
      Effect.catchTag("BrokerCallError", (error) => this.brokerFailed(error))
    )
  }

  private fetchTicket(serverId: string): Effect.Effect<HeldTicket, Setback> {
    const { agent, board } = this.options
    return Effect.suspend(() => {
      if (board.status.state === "choosing") this.sayAsked("The broker is asked for a ticket.")
      return agent.ticket(serverId)
    }).pipe(
      Effect.map((granted) => {
        this.heardBroker(granted.cached)
        return this.hold(granted)
      }),
      Effect.catchTag("BrokerCallError", (error) => {
        if (error.problem !== undefined && SERVER_GONE.has(error.problem)) this.avoid(serverId)
        return this.brokerFailed(error)
      })
    )
  }

  /** While the broker is away the status goes on to say so, whatever is tried. */
  private sayAsked(detail: string): void {
    const { board } = this.options
    const { broker } = board.status
    const troubled = broker.state === "away" || broker.state === "refused"
    board.set("contacting-broker", troubled ? broker.message : detail)
  }

  /** `cached` means that the agent answered from what it has, because the broker did not answer. */
  private heardBroker(cached: boolean): void {
    const message = "It does not answer, so what it said earlier is used. Nothing needs to be done while that holds."
    this.options.board.broker(cached ? { state: "away", message } : { state: "reachable", message: "" })
  }

  private brokerFailed(error: BrokerCallError): Effect.Effect<never, Setback> {
    this.options.board.broker({ state: error.passing ? "away" : "refused", message: error.message })
    return Effect.fail(brokerSetback(error))
  }
}
