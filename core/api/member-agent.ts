/**
 * What a client or player asks the broker: which servers there are, and a ticket for one. What the broker last said is kept in the
 * key store, so a member with a valid ticket connects while the broker is away; a new one gets an error that says so.
 */

import { bytesToUtf8, utf8ToBytes } from "@noble/ciphers/utils.js"
import { Effect, Option, Schema } from "effect"
import { type HttpClient, HttpClientRequest } from "effect/http"
import type { Identity } from "../crypto/crypto.ts"
import { Clock } from "../port/clock.ts"
import { Crypto } from "../port/crypto.ts"
import type { Entropy } from "../port/entropy.ts"
import { Keys, type KeysError } from "../port/keys.ts"
import { BrokerCallError, type BrokerClient, brokerClient, CALL_TIMEOUT_MS, callBroker } from "./broker-client.ts"
import { BrokerClock } from "./broker-clock.ts"
import { possessionProof } from "./proof.ts"
import { Count, PublicKey, TimeMs } from "./scalar.ts"
import { ServerEntry, type ServerKind, serverRecordBytes } from "./server.ts"
import { storedIdentity } from "./stored-identity.ts"
import { TicketAnswer } from "./ticket.ts"

export interface MemberAgentOptions {
  /** `http://address:port` */
  readonly brokerUrl: string
  /** `hzp_…`, secret. */
  readonly personalKey: string
  /** The broker's Ed25519 key if the member has pinned it; else the first one seen is kept. */
  readonly brokerKey?: Uint8Array
  readonly timeoutMs?: number
}

/** Servers, as of a moment of the broker's clock. */
export interface ServerListing {
  readonly servers: ReadonlyArray<ServerEntry>
  readonly asOfMs: number
  /** True if the broker could not be asked and this is what it said earlier. */
  readonly cached: boolean
}

/** A ticket, with the server it is for: `ticket` and `server.record.publicKey` go into the session's options. */
export interface GrantedTicket {
  readonly ticket: Uint8Array
  readonly expiresMs: number
  readonly rights: number
  readonly user: string
  readonly tenant: string
  readonly server: ServerEntry
  /** True if the broker could not be asked and this is a ticket from earlier that still holds. */
  readonly cached: boolean
}

export interface MemberAgent {
  /** The device's key: it must sign the handshake. */
  readonly identity: Identity
  brokerKey(): Uint8Array | undefined
  /**
   * All servers of a kind, with the broker's signature on each checked. From the cache if the broker cannot be reached now; an
   * error if there is none, or if the broker refuses.
   */
  listServers(kind: ServerKind): Effect.Effect<ServerListing, BrokerCallError>
  /**
   * A ticket for a server. A fresh one if the broker answers; else one from the cache that holds for at least `TICKET_LEAST_MS`; else
   * the error.
   */
  ticket(serverId: string): Effect.Effect<GrantedTicket, BrokerCallError>
  /** What the broker said earlier about servers of a kind, without asking it; `undefined` if nothing is kept. */
  cachedServers(kind: ServerKind): ServerListing | undefined
  /** A kept ticket for a server that holds for at least `TICKET_LEAST_MS`, without asking the broker. */
  cachedTicket(serverId: string): GrantedTicket | undefined
  /** The broker's wall clock, estimated. */
  brokerNowMs(): number
}

export type MemberAgentPorts = HttpClient.HttpClient | Keys | Crypto | Entropy | Clock

/** A cached ticket with less life than this is not handed out: a handshake takes time. */
export const TICKET_LEAST_MS = 5_000
/** Name of the cache's entry in the key store. */
export const MEMBER_CACHE_KEY = "broker.cache"
/** Most servers that a list gives. */
const SERVERS_MAX = 1_000
/** Most servers in the cache: it must fit into one entry of the key store, whatever the servers declare. */
const SERVERS_KEPT_MAX = 256
const TICKETS_KEPT_MAX = 16

const Cache = Schema.Struct({
  version: Schema.Literal(1),
  brokerKey: PublicKey,
  asOfMs: TimeMs,
  servers: Schema.Array(ServerEntry),
  tickets: Schema.Array(Schema.Struct({ ...TicketAnswer.fields, brokerNowMs: Count }))
})
type Cache = typeof Cache.Type
const cacheJson = Schema.fromJsonString(Schema.toCodecJson(Cache))
const decodeCache = Schema.decodeUnknownOption(cacheJson)
const encodeCache = Schema.encodeSync(cacheJson)

/** Reads identity and cache; asks nothing yet. Fails only if the key store does. */
export const memberAgent = (options: MemberAgentOptions): Effect.Effect<MemberAgent, KeysError, MemberAgentPorts> =>
  Effect.gen(function* () {
    const identity = yield* storedIdentity()
    const crypto = yield* Crypto
    const keys = yield* Keys
    const brokerClock = new BrokerClock(yield* Clock)
    const client = yield* brokerClient({
      brokerUrl: options.brokerUrl,
      authorize: HttpClientRequest.bearerToken(options.personalKey)
    })
    const stored = Option.flatMap(yield* keys.read(MEMBER_CACHE_KEY), (bytes) => decodeCache(bytesToUtf8(bytes)))
    return new Member({ options, identity, crypto, keys, brokerClock, client, cache: Option.getOrUndefined(stored) })
  })

interface MemberParts {
  readonly options: MemberAgentOptions
  readonly identity: Identity
  readonly crypto: Crypto["Service"]
  readonly keys: Keys["Service"]
  readonly brokerClock: BrokerClock
  readonly client: BrokerClient
  readonly cache: Cache | undefined
}

class Member implements MemberAgent {
  readonly identity: Identity
  private readonly parts: MemberParts
  private cache: Cache | undefined

  constructor(parts: MemberParts) {
    this.parts = parts
    this.identity = parts.identity
    this.cache = parts.cache
  }

  brokerKey(): Uint8Array | undefined {
    return this.parts.options.brokerKey ?? this.cache?.brokerKey
  }

  brokerNowMs(): number {
    return this.parts.brokerClock.nowMs()
  }

  listServers(kind: ServerKind): Effect.Effect<ServerListing, BrokerCallError> {
    return this.fetchServers(kind).pipe(
      Effect.catchTag("BrokerCallError", (error) => {
        const kept = this.cachedServers(kind)
        return error.passing && kept !== undefined ? Effect.succeed(kept) : Effect.fail(error)
      })
    )
  }

  cachedServers(kind: ServerKind): ServerListing | undefined {
    const servers = this.cache?.servers.filter((each) => each.record.kind === kind) ?? []
    return servers.length > 0 ? { servers, asOfMs: this.cache?.asOfMs ?? 0, cached: true } : undefined
  }

  ticket(serverId: string): Effect.Effect<GrantedTicket, BrokerCallError> {
    return this.fetchTicket(serverId, true).pipe(
      Effect.map((answer): GrantedTicket => ({ ...answer, cached: false })),
      Effect.catchTag("BrokerCallError", (error) => {
        const kept = this.cachedTicket(serverId)
        return error.passing && kept !== undefined ? Effect.succeed(kept) : Effect.fail(error)
      })
    )
  }

  cachedTicket(serverId: string): GrantedTicket | undefined {
    const kept = this.cache?.tickets.find((each) => each.server.record.id === serverId)
    const holds = kept !== undefined && kept.expiresMs >= this.brokerNowMs() + TICKET_LEAST_MS
    return holds ? { ...kept, cached: true } : undefined
  }

  private fetchServers(kind: ServerKind): Effect.Effect<ServerListing, BrokerCallError> {
    const self = this
    return Effect.gen(function* () {
      const servers: Array<ServerEntry> = []
      let cursor: string | null = null
      let asOfMs = 0
      do {
        const query: { kind: ServerKind; cursor?: string } = cursor === null ? { kind } : { kind, cursor }
        const page = yield* self.call(self.parts.client.members.listServers({ query }), "list the servers")
        yield* self.trust(page.brokerKey)
        servers.push(...page.servers)
        cursor = page.cursor
        asOfMs = page.brokerNowMs
      } while (cursor !== null && servers.length < SERVERS_MAX)
      const brokerKey = self.brokerKey()
      for (const entry of servers) yield* self.trustRecord(entry, brokerKey)
      const others = self.cache?.servers.filter((each) => each.record.kind !== kind) ?? []
      yield* self.keep({ servers: [...servers, ...others].slice(0, SERVERS_KEPT_MAX), asOfMs })
      return { servers, asOfMs, cached: false }
    })
  }

  /** `again`: whether a refusal for the clock may be answered by signing once more with the broker's time. */
  private fetchTicket(serverId: string, again: boolean): Effect.Effect<TicketAnswer, BrokerCallError> {
    const { crypto, options, identity, client, brokerClock } = this.parts
    const self = this
    return Effect.gen(function* () {
      const signedMs = brokerClock.nowMs()
      const personalKeySha256 = crypto.sha256(utf8ToBytes(options.personalKey))
      const message = possessionProof({ serverId, deviceKey: identity.publicKey, signedMs, personalKeySha256 })
      const proof = crypto.ed25519Sign(identity.seed, message)
      const payload = { serverId, deviceKey: identity.publicKey, signedMs, proof }
      const answer = yield* self.call(client.members.issueTicket({ payload }), "get a ticket")
      yield* self.trust(answer.brokerKey)
      yield* self.trustRecord(answer.server, self.brokerKey())
      const others = self.cache?.tickets.filter((each) => each.server.record.id !== serverId) ?? []
      yield* self.keep({ tickets: [answer, ...others].slice(0, TICKETS_KEPT_MAX) })
      return answer
    }).pipe(
      Effect.catchTag("BrokerCallError", (error) => {
        if (!again || error.problem !== "clock-skew" || error.brokerNowMs === undefined) return Effect.fail(error)
        brokerClock.heard(error.brokerNowMs)
        return self.fetchTicket(serverId, false)
      })
    )
  }

  private call<A extends { readonly brokerNowMs: number; readonly brokerKey: Uint8Array }, E>(
    call: Effect.Effect<A, E>,
    what: string
  ): Effect.Effect<A, BrokerCallError> {
    const { options, brokerClock } = this.parts
    return callBroker(call, what, options.brokerUrl, options.timeoutMs ?? CALL_TIMEOUT_MS).pipe(
      Effect.tap((answer) => Effect.sync(() => brokerClock.heard(answer.brokerNowMs)))
    )
  }

  /** Keeps the first key that the broker shows; another one later is refused. */
  private trust(key: Uint8Array): Effect.Effect<void, BrokerCallError> {
    const expected = this.brokerKey()
    if (expected === undefined) {
      this.cache = { version: 1, brokerKey: key, asOfMs: 0, servers: [], tickets: [] }
      return Effect.void
    }
    if (expected.every((byte, i) => byte === key[i])) return Effect.void
    return this.distrust("does not have the key that this device knows")
  }

  private trustRecord(entry: ServerEntry, brokerKey: Uint8Array | undefined): Effect.Effect<void, BrokerCallError> {
    const { crypto } = this.parts
    return brokerKey !== undefined && crypto.ed25519Verify(brokerKey, serverRecordBytes(entry.record), entry.signature)
      ? Effect.void
      : this.distrust(`sent a record of the server "${entry.record.name}" that its key did not sign`)
  }

  private distrust(what: string): Effect.Effect<never, BrokerCallError> {
    return Effect.fail(
      new BrokerCallError({
        reason: "untrusted",
        passing: false,
        message:
          `The broker at ${this.parts.options.brokerUrl} ${what}. Somebody may stand between; if the broker was set up anew, remove ` +
          `the entry "${MEMBER_CACHE_KEY}" from ${this.parts.keys.where}, and correct a pinned key.`
      })
    )
  }

  /** Changes the cache and writes it; a key store that fails costs only what the cache is for. */
  private keep(change: Partial<Cache>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const brokerKey = this.brokerKey()
      if (brokerKey === undefined) return Effect.void
      const empty: Cache = { version: 1, brokerKey, asOfMs: 0, servers: [], tickets: [] }
      this.cache = { ...(this.cache ?? empty), ...change }
      return this.parts.keys
        .write(MEMBER_CACHE_KEY, utf8ToBytes(encodeCache(this.cache)))
        .pipe(
          Effect.catchTag("KeysError", (error) =>
            Effect.logWarning(`What the broker said could not be kept: ${error.message}`)
          )
        )
    })
  }
}
