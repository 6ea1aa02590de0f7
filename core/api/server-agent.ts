/**
 * The link of a gateway or game server to the broker: registers, sends signed heartbeats, reports connections, learns revocations,
 * and comes back after an outage without a herd. One fiber does all signed requests, because their counter must grow.
 *
 * The server never waits for the broker: what the broker last said is cached, so tickets are checked while it is away, also after
 * a restart.
 */

import { Effect, Fiber, Option, type Scope } from "effect"
import type { HttpClient, HttpClientRequest } from "effect/http"
import type { Identity } from "../crypto/crypto.ts"
import { deviceId } from "../crypto/identity.ts"
import { Clock } from "../port/clock.ts"
import { Crypto } from "../port/crypto.ts"
import { Entropy } from "../port/entropy.ts"
import type { HostFact } from "../port/host-facts.ts"
import { Keys, type KeysError } from "../port/keys.ts"
import { Trace } from "../port/trace.ts"
import type { BackoffOptions } from "./backoff.ts"
import { brokerClient, CALL_TIMEOUT_MS } from "./broker-client.ts"
import { BrokerClock } from "./broker-clock.ts"
import type { ConnectionReport } from "./connection.ts"
import { fingerprintOf, formatFingerprint } from "./fingerprint.ts"
import { readRegistration } from "./registration-cache.ts"
import { RequestSigner } from "./request-signer.ts"
import type { Revocation, ServerDeclaration, ServerMetrics } from "./server.ts"
import { declarationOf, ServerLink } from "./server-link.ts"
import { storedIdentity } from "./stored-identity.ts"

export interface ServerAgentOptions extends Omit<ServerDeclaration, "publicKey"> {
  /** `http://address:port` */
  readonly brokerUrl: string
  /** `hzr_…`, secret. */
  readonly registrationKey: string
  /** The broker's Ed25519 key if the operator has pinned it; else the first one seen is kept. */
  readonly brokerKey?: Uint8Array
  /** What the host is made of; the broker gets hashes of it only. */
  readonly hostFacts?: ReadonlyArray<HostFact>
  /** Figures for the next heartbeat. */
  readonly metrics: () => Omit<ServerMetrics, "uptimeMs">
  /** Called for each ticket that was revoked, so that a live session on it can be ended. */
  readonly onRevoked?: (revocation: Revocation) => void
  readonly backoff?: BackoffOptions
  readonly timeoutMs?: number
  /** Open connections are reported again this often, ms. */
  readonly aliveEveryMs?: number
}

export interface ServerLinkState {
  /** `up`: the last signed request was answered. `refused`: the broker said no; a person must act. */
  readonly link: "connecting" | "up" | "down" | "refused"
  /** Failed attempts since the link was last up. */
  readonly attempts: number
  /** The broker's clock at its last answer; 0 = never heard in this life. */
  readonly lastHeardMs: number
  /** Why it is not up; empty if it is. */
  readonly message: string
}

export interface ServerAgent {
  readonly identity: Identity
  /** Hex, from the identity: known without the broker. */
  readonly serverId: string
  /** The key that signs tickets: cached; `undefined` only before the first registration. */
  brokerKey(): Uint8Array | undefined
  state(): ServerLinkState
  /** Queues reports; `atMs` is filled in. Never waits, never fails. */
  reportConnections(reports: ReadonlyArray<Omit<ConnectionReport, "atMs">>): void
  /** Whether the ticket with this device and end was revoked. */
  isRevoked(ticket: { readonly deviceId: string; readonly ticketExpiresMs: number }): boolean
  /** The broker's wall clock, estimated: for `openedMs` of reports. */
  brokerNowMs(): number
  /** Dies if the link has met a bug, else never ends: a node waits for it beside its own work, so that a bug stops the node. */
  readonly ended: Effect.Effect<never>
}

/** What the agent needs from the world. */
export type ServerAgentPorts = HttpClient.HttpClient | Keys | Crypto | Entropy | Clock

/**
 * Starts the link in a fiber that lives in the scope. Returns as soon as the identity and the cache are read: it does not wait for
 * the broker. Fails only if the key store does.
 */
export const serverAgent = (
  options: ServerAgentOptions
): Effect.Effect<ServerAgent, KeysError, ServerAgentPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const identity = yield* storedIdentity()
    const { agent, link } = yield* makeLink(options, identity)
    yield* Effect.addFinalizer(() => link.flush)
    const fiber = yield* Effect.forkScoped(link.run)
    return { ...agent, ended: Fiber.join(fiber) }
  })

const makeLink = (options: ServerAgentOptions, identity: Identity) =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const clock = yield* Clock
    const trace = yield* Trace
    const keys = yield* Keys
    const random = (yield* Entropy).source("broker-link")
    const serverId = deviceId(crypto, identity.publicKey)
    const brokerClock = new BrokerClock(clock)
    const declaration = JSON.stringify(declarationOf(options))
    const fingerprint = fingerprintOf(crypto, identity.publicKey, options.hostFacts ?? [])
    const cached = Option.filter(yield* readRegistration, (found) => found.serverId === serverId)
    const signer = new RequestSigner({
      crypto,
      identity,
      serverId,
      keys,
      declaration,
      fingerprint: fingerprint === undefined ? "" : formatFingerprint(fingerprint),
      cached: Option.getOrUndefined(cached)
    })
    const authorize = (request: HttpClientRequest.HttpClientRequest) => signer.authorize(request, brokerClock.nowMs())
    const open = yield* brokerClient({ brokerUrl: options.brokerUrl })
    const signed = yield* brokerClient({ brokerUrl: options.brokerUrl, authorize })
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS
    const link = new ServerLink({
      options,
      identity,
      fingerprint,
      crypto,
      clock,
      trace,
      brokerClock,
      signer,
      open,
      signed,
      timeoutMs,
      random
    })
    const agent: Omit<ServerAgent, "ended"> = {
      identity,
      serverId,
      brokerKey: () => options.brokerKey ?? signer.brokerKey(),
      state: () => link.state,
      reportConnections: (reports) => link.report(reports),
      isRevoked: (ticket) => signer.isRevoked(ticket.deviceId, ticket.ticketExpiresMs),
      brokerNowMs: () => brokerClock.nowMs()
    }
    return { agent, link }
  })
