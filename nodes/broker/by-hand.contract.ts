/** Requests to the broker made by hand: as agents make them, or with one thing wrong. */

import { toBase64Url, utf8 } from "@horizon/core/api/base64url.ts"
import { type BrokerClient, brokerClient } from "@horizon/core/api/broker-client.ts"
import type { Fingerprint } from "@horizon/core/api/fingerprint.ts"
import { isProblem, type Problem } from "@horizon/core/api/problem.ts"
import {
  formatCredential,
  possessionProof,
  registrationProof,
  requestProof,
  signedPath
} from "@horizon/core/api/proof.ts"
import { identityFromSeed } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import { expect } from "vitest"
import { ANNA, BrokerWorld, REGISTRATION } from "./broker-world.contract.ts"

/** A broker that is ready. */
export const boot = (config = {}): BrokerWorld => {
  const world = new BrokerWorld({ config })
  expect(world.startBroker()).toBe(undefined)
  return world
}

export const identity = (n: number) => identityFromSeed(nobleCrypto, new Uint8Array(32).fill(n))
export const declaration = (n: number) => ({
  name: `gateway-${n}`,
  kind: "gateway" as "gateway" | "game",
  publicKey: identity(n).publicKey,
  endpoint: { address: "10.0.0.9", port: 4000 + n },
  region: "eu",
  capacity: 100,
  capabilities: ["ipv4"]
})
export const metrics = { sessions: 3, loadPpm: 10_000, rttUs: null, bytesIn: 5, bytesOut: 6, uptimeMs: 7 }

/** The problem that a call fails with; any other failure is thrown. */
export const problemOf = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<Problem, never, R> =>
  Effect.map(Effect.flip(call) as Effect.Effect<E, never, R>, (error) => {
    if (!isProblem(error)) throw error
    return error
  })

export interface Standing {
  readonly n: number
  readonly serverId: string
  readonly session: Uint8Array
  readonly brokerKey: Uint8Array
}

/** Registers server `n` as its agent would. */
export const registering = (
  client: BrokerClient,
  n: number,
  change: Partial<ReturnType<typeof declaration>> = {},
  key = REGISTRATION,
  fingerprint?: Fingerprint
) =>
  Effect.gen(function* () {
    const payload = { ...declaration(n), ...change, registrationKey: key }
    const asked = yield* client.registration.register({ payload })
    const proof = registrationProof(asked.challenge, payload.publicKey, asked.brokerKey, fingerprint)
    const signature = nobleCrypto.ed25519Sign(identity(n).seed, proof)
    const evidence = fingerprint === undefined ? {} : { fingerprint }
    const proved = yield* client.registration.prove({
      payload: { challengeId: asked.challengeId, signature, ...evidence }
    })
    return { n, ...proved }
  })

export const registered = (world: BrokerWorld, n: number, change = {}, key = REGISTRATION): Standing =>
  world.call(undefined, (client) => registering(client, n, change, key))

export interface Forgery {
  readonly timeMs?: number
  readonly seed?: Uint8Array
  readonly session?: Uint8Array
  readonly path?: string
  readonly body?: string
}

/** Calls as server `who`, signed with `counter`; `forgery` changes what is signed. */
export const signed = <A, E>(
  world: BrokerWorld,
  who: Standing,
  counter: number,
  body: (client: BrokerClient) => Effect.Effect<A, E>,
  forgery: Forgery = {}
): A => {
  const authorize = (request: HttpClientRequest.HttpClientRequest) => {
    const timeMs = forgery.timeMs ?? world.nowMs()
    const bytes = request.body._tag === "Uint8Array" ? request.body.body : new Uint8Array(0)
    const message = requestProof({
      serverId: who.serverId,
      session: forgery.session ?? who.session,
      counter,
      timeMs,
      method: request.method,
      path: forgery.path ?? signedPath(request.url),
      bodySha256: nobleCrypto.sha256(forgery.body === undefined ? bytes : utf8(forgery.body))
    })
    const signature = toBase64Url(nobleCrypto.ed25519Sign(forgery.seed ?? identity(who.n).seed, message))
    const credential = formatCredential({ serverId: who.serverId, counter, timeMs, signature })
    return HttpClientRequest.setHeader(request, "authorization", `Horizon-Server ${credential}`)
  }
  return world.on("one", Effect.flatMap(brokerClient({ brokerUrl: world.url, authorize }), body))
}

export const beat = (client: BrokerClient) => client.serverLink.heartbeat({ payload: { metrics, revocationsAfter: 0 } })
export const listed = (world: BrokerWorld, query = {}) =>
  world.call(ANNA, (client) => client.members.listServers({ query })).servers

/** Asks for a ticket as device `n` of the holder of `key`. */
export const ticket = (
  client: BrokerClient,
  key: string,
  n: number,
  serverId: string,
  signedMs: number,
  seed = identity(n).seed
) => {
  const deviceKey = identity(n).publicKey
  const personalKeySha256 = nobleCrypto.sha256(utf8(key))
  const proof = nobleCrypto.ed25519Sign(seed, possessionProof({ serverId, deviceKey, signedMs, personalKeySha256 }))
  return client.members.issueTicket({ payload: { serverId, deviceKey, signedMs, proof } })
}
export const issued = (world: BrokerWorld, key: string, n: number, serverId: string) =>
  world.call(key, (client) => ticket(client, key, n, serverId, world.nowMs()))
