/** The loop of a server's agent: registers, beats, reports, and waits; what it does when something of that fails. */

import { Effect, Latch, Result } from "effect"
import type { Identity } from "../crypto/crypto.ts"
import type { Clock } from "../port/clock.ts"
import type { Crypto } from "../port/crypto.ts"
import type { Entropy } from "../port/entropy.ts"
import type { Trace } from "../port/trace.ts"
import { BACKOFF, Backoff, jitterMs } from "./backoff.ts"
import { BrokerCallError, type BrokerClient, callBroker } from "./broker-client.ts"
import type { BrokerClock } from "./broker-clock.ts"
import type { ConnectionReport } from "./connection.ts"
import type { Fingerprint } from "./fingerprint.ts"
import { registrationProof } from "./proof.ts"
import { ReportQueue } from "./report-queue.ts"
import type { RequestSigner } from "./request-signer.ts"
import type { ServerDeclaration } from "./server.ts"
import type { ServerAgentOptions, ServerLinkState } from "./server-agent.ts"

const ALIVE_EVERY_MS = 30_000
/** Between attempts that the broker has refused for a reason that only a person can remove. */
const REFUSED_RETRY_MS = 30_000
/** Reports wait this long for company, so that a burst of sessions is one request. */
const REPORT_GATHER_MS = 200
/** How long the last reports of a stopping server may take. */
const FLUSH_MS = 1_000

export interface LinkParts {
  readonly options: ServerAgentOptions
  readonly identity: Identity
  /** `undefined` if nothing is known of the host. */
  readonly fingerprint: Fingerprint | undefined
  readonly crypto: Crypto["Service"]
  readonly clock: Clock["Service"]
  readonly trace: typeof Trace.Service
  readonly brokerClock: BrokerClock
  readonly signer: RequestSigner
  readonly open: BrokerClient
  readonly signed: BrokerClient
  readonly timeoutMs: number
  readonly random: ReturnType<Entropy["Service"]["source"]>
}

/** The loop and its state. */
export class ServerLink {
  state: ServerLinkState = { link: "connecting", attempts: 0, lastHeardMs: 0, message: "not connected yet" }
  readonly run: Effect.Effect<never>
  private readonly parts: LinkParts
  private readonly backoff: Backoff
  private readonly reports = new ReportQueue()
  private readonly wake = Latch.makeUnsafe(false)
  private readonly startNs: number
  private nextHeartbeatNs = 0
  private nextAliveNs = 0
  /** Refusals in a row that were answered by trying again at once (clock, counter). */
  private corrections = 0
  /** For the trace: what the step in progress is about. */
  private doing = "register"

  constructor(parts: LinkParts) {
    this.parts = parts
    this.backoff = new Backoff(parts.random, parts.options.backoff ?? BACKOFF)
    this.startNs = parts.clock.nowNs()
    this.run = Effect.forever(Effect.suspend(() => this.turn()))
  }

  report(reports: ReadonlyArray<Omit<ConnectionReport, "atMs">>): void {
    const atMs = this.parts.brokerClock.nowMs()
    for (const report of reports) this.reports.add({ ...report, atMs })
    if (this.state.link === "up") this.wake.openUnsafe()
  }

  /** One turn of the loop: what is due, then the wait until something is. */
  private turn(): Effect.Effect<void> {
    return Effect.result(this.step()).pipe(
      Effect.flatMap((outcome) => {
        if (Result.isFailure(outcome)) return this.failed(outcome.failure)
        this.succeeded()
        return this.waitWhileUp()
      })
    )
  }

  /** Registers if need be, sends the heartbeat if it is due, then all reports. */
  private step(): Effect.Effect<void, BrokerCallError> {
    const self = this
    return Effect.gen(function* () {
      if (!self.parts.signer.registered()) {
        self.doing = "register"
        yield* self.register()
      } else if (self.parts.signer.owesFingerprint()) {
        self.doing = "register"
        yield* self.tellFingerprint()
      }
      if (self.state.link !== "up" || self.parts.clock.nowNs() >= self.nextHeartbeatNs) {
        self.doing = "heartbeat"
        yield* self.heartbeat()
      }
      self.doing = "report"
      yield* self.sendReports()
    })
  }

  private register(): Effect.Effect<void, BrokerCallError> {
    const { options, identity, fingerprint, crypto, signer, open } = this.parts
    const self = this
    return Effect.gen(function* () {
      const declaration = { ...declarationOf(options), publicKey: identity.publicKey }
      const payload = { ...declaration, registrationKey: options.registrationKey }
      const asked = yield* self.call(open.registration.register({ payload }), "register with the broker")
      yield* self.trustBrokerKey(asked.brokerKey)
      const proof = registrationProof(asked.challenge, identity.publicKey, asked.brokerKey, fingerprint)
      const signature = crypto.ed25519Sign(identity.seed, proof)
      const evidence = fingerprint === undefined ? {} : { fingerprint }
      const proved = yield* self.call(
        open.registration.prove({ payload: { challengeId: asked.challengeId, signature, ...evidence } }),
        "prove the server's key to the broker"
      )
      yield* self.trustBrokerKey(proved.brokerKey)
      yield* signer.adopt(proved.session, proved.brokerKey)
    })
  }

  /**
   * Registers anew because the hardware is not what it was. What the broker answers to that must not take the server down, for
   * example because the registration key has been revoked since: the session it has is as good as before.
   */
  private tellFingerprint(): Effect.Effect<void, BrokerCallError> {
    const { signer } = this.parts
    return this.register().pipe(
      Effect.catchIf(isAnswer, (error) => {
        if (!error.passing) signer.declineFingerprint()
        return Effect.logWarning(
          `The broker could not be told that this host's hardware has changed; the server goes on as registered before. ${error.message}`
        )
      })
    )
  }

  private heartbeat(): Effect.Effect<void, BrokerCallError> {
    const { options, signer, signed, clock } = this.parts
    const self = this
    return Effect.gen(function* () {
      let more = true
      for (let page = 0; more && page < HEARTBEAT_PAGES_MAX; page++) {
        yield* signer.reserve()
        const metrics = { ...options.metrics(), uptimeMs: Math.floor((clock.nowNs() - self.startNs) / 1_000_000) }
        const answer = yield* self.call(
          signed.serverLink.heartbeat({ payload: { metrics, revocationsAfter: signer.revocationsAfter() } }),
          "send the heartbeat"
        )
        signer.learn(answer.revoked, answer.brokerNowMs)
        for (const revocation of answer.revoked) options.onRevoked?.(revocation)
        if (answer.revoked.length > 0) yield* signer.save()
        const nextMs = jitterMs(self.parts.random, Math.floor(answer.nextMs * 0.85), answer.nextMs)
        self.nextHeartbeatNs = clock.nowNs() + nextMs * 1_000_000
        more = answer.more
      }
    })
  }

  private sendReports(): Effect.Effect<void, BrokerCallError> {
    const { clock, signer, signed, brokerClock, options } = this.parts
    const self = this
    return Effect.gen(function* () {
      // After an outage at once: the broker may have closed what it did not hear of.
      if (self.state.link !== "up" || clock.nowNs() >= self.nextAliveNs) {
        self.reports.addAlive(brokerClock.nowMs())
        self.nextAliveNs = clock.nowNs() + (options.aliveEveryMs ?? ALIVE_EVERY_MS) * 1_000_000
      }
      while (self.reports.length > 0) {
        const batch = self.reports.next()
        yield* signer.reserve()
        yield* self
          .call(signed.serverLink.reportConnections({ payload: { reports: batch } }), "report connections")
          .pipe(
            Effect.catchIf(isUnfit, (error) => {
              self.reports.dropped += batch.length
              return Effect.logError(`${batch.length} connection reports were given up: ${error.message}`)
            })
          )
        self.reports.sent(batch)
      }
    })
  }

  /** The last word of a server that stops: what waits is sent once, if the broker is there, within a moment. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() =>
    this.state.link === "up" && this.reports.length > 0
      ? Effect.ignore(Effect.timeoutOption(this.sendReports(), FLUSH_MS))
      : Effect.void
  )

  private call<A extends { readonly brokerNowMs: number }, E>(
    call: Effect.Effect<A, E>,
    what: string
  ): Effect.Effect<A, BrokerCallError> {
    return callBroker(call, what, this.parts.options.brokerUrl, this.parts.timeoutMs).pipe(
      Effect.tap((answer) =>
        Effect.sync(() => {
          this.parts.brokerClock.heard(answer.brokerNowMs)
          this.state = { ...this.state, lastHeardMs: answer.brokerNowMs }
        })
      )
    )
  }

  /** A broker with another key than the pinned or first seen one is not the broker. */
  private trustBrokerKey(key: Uint8Array): Effect.Effect<void, BrokerCallError> {
    const expected = this.parts.options.brokerKey ?? this.parts.signer.brokerKey()
    if (expected === undefined || sameBytes(expected, key)) return Effect.void
    return Effect.fail(
      new BrokerCallError({
        reason: "untrusted",
        passing: false,
        message:
          `The broker at ${this.parts.options.brokerUrl} does not have the key that this server knows. Somebody may stand ` +
          'between; if the broker was set up anew, remove the entry "broker.registration" from the key store, and correct a pinned key.'
      })
    )
  }

  private succeeded(): void {
    const { trace } = this.parts
    this.corrections = 0
    if (this.state.link === "up") return
    trace("broker-link.attempt", { outcome: "ok", what: "connect", reason: "" })
    trace("broker-link.up", { afterAttempts: this.backoff.attempts })
    this.backoff.reset()
    this.state = { ...this.state, link: "up", attempts: 0, message: "" }
  }

  private failed(error: BrokerCallError): Effect.Effect<void> {
    const { trace, random } = this.parts
    if (this.correct(error)) return Effect.void
    const reason = error.problem ?? error.reason
    trace("broker-link.attempt", { outcome: "failed", what: this.doing, reason })
    if (this.state.link === "up") trace("broker-link.down", { reason })
    const waitMs = this.backoff.nextMs()
    const refused = !error.passing && !(error.problem !== undefined && STALE_SESSION.has(error.problem))
    this.state = {
      link: refused ? "refused" : "down",
      attempts: this.backoff.attempts,
      lastHeardMs: this.state.lastHeardMs,
      message: error.message
    }
    return Effect.sleep(refused ? jitterMs(random, REFUSED_RETRY_MS / 2, REFUSED_RETRY_MS) : waitMs)
  }

  /** Puts right what the refusal tells; true = try again at once, which is done at most twice in a row. */
  private correct(error: BrokerCallError): boolean {
    const { brokerClock, signer } = this.parts
    if (error.problem !== undefined && STALE_SESSION.has(error.problem)) signer.forget()
    else if (error.problem === "clock-skew" && error.brokerNowMs !== undefined) brokerClock.heard(error.brokerNowMs)
    else if (error.problem === "counter-replayed" && error.counter !== undefined) signer.skipTo(error.counter)
    else return false
    this.corrections++
    return this.corrections <= 2
  }

  /** Sleeps until the heartbeat is due or a report waits; then gathers what comes in the next moment. */
  private waitWhileUp(): Effect.Effect<void> {
    const { clock } = this.parts
    const waitMs = (Math.min(this.nextHeartbeatNs, this.nextAliveNs) - clock.nowNs()) / 1_000_000
    this.wake.closeUnsafe()
    if (this.reports.length > 0) return Effect.sleep(REPORT_GATHER_MS)
    const woken = Effect.andThen(this.wake.await, Effect.sleep(REPORT_GATHER_MS))
    return Effect.raceFirst(Effect.sleep(Math.max(1, waitMs)), woken)
  }
}

/** The broker is there and has said no, or something that is not understood. */
const isAnswer = (error: BrokerCallError): boolean => error.reason === "refused" || error.reason === "protocol"
/** A batch that will never be taken must not keep the ones behind it, and the heartbeats, from the broker. */
const isUnfit = (error: BrokerCallError): boolean => error.problem === "malformed" || error.reason === "protocol"
/** Refusals after which the server registers anew. */
const STALE_SESSION: ReadonlySet<string> = new Set(["server-unknown", "signature-invalid"])
/** Pages of revocations taken in one go. */
const HEARTBEAT_PAGES_MAX = 16

/** What the options declare. */
export const declarationOf = (options: ServerAgentOptions): Omit<ServerDeclaration, "publicKey"> => ({
  name: options.name,
  kind: options.kind,
  endpoint: options.endpoint,
  region: options.region,
  capacity: options.capacity,
  capabilities: options.capabilities
})

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
