/** A server's standing with the broker: session, counter, the broker's key and revoked tickets, kept in the key store. */

import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import type { Crypto, Identity } from "../crypto/crypto.ts"
import { Keys } from "../port/keys.ts"
import { toBase64Url } from "./base64url.ts"
import { formatCredential, requestProof, signedPath } from "./proof.ts"
import { COUNTER_BLOCK, type StoredRegistration, writeRegistration } from "./registration-cache.ts"
import type { Revocation } from "./server.ts"

export class RequestSigner {
  private readonly crypto: Crypto
  private readonly identity: Identity
  private readonly serverId: string
  private readonly keys: Keys["Service"]
  private readonly declaration: string
  private readonly fingerprint: string
  /** The fingerprint with which the session was made. */
  private told = ""
  private declined = false
  private session: Uint8Array | undefined
  private key: Uint8Array | undefined
  private counter = 0
  private counterEnd = 0
  private after = 0
  private revocations: ReadonlyArray<Revocation> = []
  private revoked = new Set<string>()

  constructor(options: {
    readonly crypto: Crypto
    readonly identity: Identity
    readonly serverId: string
    readonly keys: Keys["Service"]
    /** The declaration now wanted; a cached session for another one is not used. */
    readonly declaration: string
    /** The host's present fingerprint as text; empty = none. */
    readonly fingerprint: string
    readonly cached: StoredRegistration | undefined
  }) {
    this.crypto = options.crypto
    this.identity = options.identity
    this.serverId = options.serverId
    this.keys = options.keys
    this.declaration = options.declaration
    this.fingerprint = options.fingerprint
    const { cached } = options
    if (cached === undefined) return
    this.key = cached.brokerKey
    if (cached.declaration === options.declaration) this.session = cached.session
    this.told = cached.fingerprint ?? ""
    this.counter = cached.counterEnd
    this.counterEnd = cached.counterEnd
    this.after = cached.revocationsAfter
    this.setRevocations(cached.revocations)
  }

  registered(): boolean {
    return this.session !== undefined
  }

  /** Whether the broker should hear of another fingerprint, though the session is good. */
  owesFingerprint(): boolean {
    return this.session !== undefined && this.told !== this.fingerprint && !this.declined
  }

  /** The broker will not hear of it: the next start tries again. */
  declineFingerprint(): void {
    this.declined = true
  }

  brokerKey(): Uint8Array | undefined {
    return this.key
  }

  /** Takes over a new session, whose counter begins anew; the broker may number revocations anew too. */
  adopt(session: Uint8Array, brokerKey: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.session = session
      this.told = this.fingerprint
      this.key = brokerKey
      this.counter = 0
      this.counterEnd = 0
      this.after = 0
      return this.reserve()
    })
  }

  /** The broker knows the session no more: the next step is to register. */
  forget(): void {
    this.session = undefined
  }

  /** The broker has accepted `counter` already: goes on above it, unless it is too far to be true. */
  skipTo(counter: number): void {
    if (counter >= this.counter && counter < this.counter + COUNTER_SKIP_MAX) this.counter = counter + 1
  }

  /** Makes sure that the next counter is on record before it is used. */
  reserve(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.counter < this.counterEnd) return Effect.void
      this.counterEnd = this.counter + COUNTER_BLOCK
      return this.save()
    })
  }

  /** Signs a request; `timeMs` is the broker's clock as estimated. */
  authorize(request: HttpClientRequest.HttpClientRequest, timeMs: number): HttpClientRequest.HttpClientRequest {
    if (this.session === undefined) return request
    const counter = this.counter++
    const proof = requestProof({
      serverId: this.serverId,
      session: this.session,
      counter,
      timeMs,
      method: request.method,
      path: signedPath(request.url),
      bodySha256: this.crypto.sha256(request.body._tag === "Uint8Array" ? request.body.body : EMPTY)
    })
    const signature = toBase64Url(this.crypto.ed25519Sign(this.identity.seed, proof))
    const credential = formatCredential({ serverId: this.serverId, counter, timeMs, signature })
    return HttpClientRequest.setHeader(request, "authorization", `Horizon-Server ${credential}`)
  }

  /** Highest number of a revocation that was heard in this session. */
  revocationsAfter(): number {
    return this.after
  }

  /** Adds revocations and forgets those whose tickets have expired anyway; `save` makes it last. */
  learn(added: ReadonlyArray<Revocation>, nowMs: number): void {
    if (added.length === 0) return
    this.after = Math.max(this.after, ...added.map((each) => each.number))
    const known = new Map([...this.revocations, ...added].map((each) => [`${each.deviceId}/${each.expiresMs}`, each]))
    this.setRevocations([...known.values()].filter((each) => each.expiresMs > nowMs))
  }

  isRevoked(deviceId: string, ticketExpiresMs: number): boolean {
    return this.revoked.has(`${deviceId}/${ticketExpiresMs}`)
  }

  private setRevocations(revocations: ReadonlyArray<Revocation>): void {
    this.revocations = revocations
    this.revoked = new Set(revocations.map((each) => `${each.deviceId}/${each.expiresMs}`))
  }

  /**
   * Writes what must outlive the process. A key store that fails does not stop the link: after a restart the broker tells counter and
   * revocations again.
   */
  save(): Effect.Effect<void> {
    if (this.session === undefined || this.key === undefined) return Effect.void
    return writeRegistration({
      version: 1,
      declaration: this.declaration,
      fingerprint: this.told,
      serverId: this.serverId,
      session: this.session,
      brokerKey: this.key,
      counterEnd: this.counterEnd,
      revocationsAfter: this.after,
      revocations: this.revocations
    }).pipe(
      Effect.provideService(Keys, this.keys),
      Effect.catchTag("KeysError", (error) => Effect.logWarning(`The registration could not be kept: ${error.message}`))
    )
  }
}

/** A refusal may move the counter by no more than this: it is not signed, and a counter that is used up cannot be had back. */
const COUNTER_SKIP_MAX = 2 ** 32
const EMPTY = new Uint8Array(0)
