import { toBase64Url, utf8 } from "@horizon/core/api/base64url.ts"
import { type BrokerClient, brokerClient } from "@horizon/core/api/broker-client.ts"
import type { ConnectionReport } from "@horizon/core/api/connection.ts"
import { isProblem, type Problem } from "@horizon/core/api/problem.ts"
import {
  formatCredential,
  possessionProof,
  registrationProof,
  requestProof,
  signedPath
} from "@horizon/core/api/proof.ts"
import { serverRecordBytes } from "@horizon/core/api/server.ts"
import { deviceId, identityFromSeed } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { RIGHT, verifyTicket } from "@horizon/core/wire/ticket.ts"
import { drive } from "@horizon/sim/kernel/drive.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Effect, Result } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { SqlClient } from "effect/sql"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, BERT, BrokerWorld, REGISTRATION } from "./broker-world.contract.ts"
import { toHex } from "./record-id.ts"
import { keyStore } from "./store/key-store.ts"

const boot = (config = {}): BrokerWorld => {
  const world = new BrokerWorld({ config })
  expect(world.startBroker()).toBe(undefined)
  return world
}

const identity = (n: number) => identityFromSeed(nobleCrypto, new Uint8Array(32).fill(n))
const declaration = (n: number) => ({
  name: `gateway-${n}`,
  kind: "gateway" as "gateway" | "game",
  publicKey: identity(n).publicKey,
  endpoint: { address: "10.0.0.9", port: 4000 + n },
  region: "eu",
  capacity: 100,
  capabilities: ["ipv4"]
})
const metrics = { sessions: 3, loadPpm: 10_000, rttUs: null, bytesIn: 5, bytesOut: 6, uptimeMs: 7 }

/** The problem that a call fails with; any other failure is thrown. */
const problemOf = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<Problem, never, R> =>
  Effect.map(Effect.flip(call) as Effect.Effect<E, never, R>, (error) => {
    if (!isProblem(error)) throw error
    return error
  })

interface Standing {
  readonly n: number
  readonly serverId: string
  readonly session: Uint8Array
  readonly brokerKey: Uint8Array
}

/** Registers server `n` as its agent would. */
const registering = (
  client: BrokerClient,
  n: number,
  change: Partial<ReturnType<typeof declaration>> = {},
  key = REGISTRATION
) =>
  Effect.gen(function* () {
    const payload = { ...declaration(n), ...change, registrationKey: key }
    const asked = yield* client.registration.register({ payload })
    const proof = registrationProof(asked.challenge, payload.publicKey, asked.brokerKey)
    const signature = nobleCrypto.ed25519Sign(identity(n).seed, proof)
    const proved = yield* client.registration.prove({ payload: { challengeId: asked.challengeId, signature } })
    return { n, ...proved }
  })

const registered = (world: BrokerWorld, n: number, change = {}, key = REGISTRATION): Standing =>
  world.call(undefined, (client) => registering(client, n, change, key))

interface Forgery {
  readonly timeMs?: number
  readonly seed?: Uint8Array
  readonly session?: Uint8Array
  readonly path?: string
  readonly body?: string
}

/** Calls as server `who`, signed with `counter`; `forgery` changes what is signed. */
const signed = <A, E>(
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

const beat = (client: BrokerClient) => client.serverLink.heartbeat({ payload: { metrics, revocationsAfter: 0 } })
const listed = (world: BrokerWorld, query = {}) =>
  world.call(ANNA, (client) => client.members.listServers({ query })).servers

/** Asks for a ticket as device `n` of the holder of `key`. */
const ticket = (
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
const issued = (world: BrokerWorld, key: string, n: number, serverId: string) =>
  world.call(key, (client) => ticket(client, key, n, serverId, world.nowMs()))

describe("registration", () => {
  test("a server that proves its key is listed, with a record that the broker's key signs", () => {
    const world = boot()
    const one = registered(world, 1)
    expect(one.serverId).toBe(deviceId(nobleCrypto, identity(1).publicKey))
    const [entry] = listed(world)
    expect(entry.record).toMatchObject({ ...declaration(1), id: one.serverId })
    expect(nobleCrypto.ed25519Verify(one.brokerKey, serverRecordBytes(entry.record), entry.signature)).toBe(true)
    expect([entry.status, entry.metrics]).toEqual(["online", null])
    expect(world.events("broker.server-registered")[0].fields).toEqual({ serverId: one.serverId, name: "gateway-1" })
  })

  test.each([
    ["an unknown registration key", { registrationKey: `hzr_${"x".repeat(43)}` }, 403, "registration-key-unknown"],
    ["a key of another kind", { registrationKey: ANNA }, 403, "registration-key-unknown"],
    ["no key at all", { registrationKey: "" }, 403, "registration-key-unknown"],
    ["a name with a line break", { name: "a\nb" }, 400, "malformed"],
    ["a host name for an address", { endpoint: { address: "example.org", port: 1 } }, 400, "malformed"],
    ["the unspecified address", { endpoint: { address: "0.0.0.0", port: 1 } }, 400, "malformed"],
    ["a port out of range", { endpoint: { address: "10.0.0.1", port: 65_536 } }, 400, "malformed"]
  ])("%s is refused", (_, change, status, reason) => {
    const world = boot()
    const body = {
      ...declaration(1),
      publicKey: toBase64Url(identity(1).publicKey),
      registrationKey: REGISTRATION,
      ...change
    }
    const answer = world.on(
      "one",
      Effect.gen(function* () {
        const request = HttpClientRequest.post(`${world.url}/api/v1/servers/register`)
        const response = yield* HttpClient.execute(HttpClientRequest.bodyJsonUnsafe(request, body))
        return { status: response.status, body: (yield* response.json) as { reason: string } }
      })
    )
    expect([answer.status, answer.body.reason]).toEqual([status, reason])
    expect(listed(world)).toEqual([])
  })

  test("a signature by another key, or over another challenge, proves nothing, and the right one still does", () => {
    const world = boot()
    world.call(undefined, (client) =>
      Effect.gen(function* () {
        const payload = { ...declaration(1), registrationKey: REGISTRATION }
        const asked = yield* client.registration.register({ payload })
        const good = registrationProof(asked.challenge, payload.publicKey, asked.brokerKey)
        const other = registrationProof(new Uint8Array(32), payload.publicKey, asked.brokerKey)
        const otherBroker = registrationProof(asked.challenge, payload.publicKey, new Uint8Array(32))
        const by = (n: number, message: Uint8Array) => nobleCrypto.ed25519Sign(identity(n).seed, message)
        for (const signature of [by(2, good), by(1, other), by(1, otherBroker), new Uint8Array(64)]) {
          const refused = yield* problemOf(
            client.registration.prove({ payload: { challengeId: asked.challengeId, signature } })
          )
          expect(refused.reason).toBe("proof-invalid")
        }
        const payload2 = { challengeId: asked.challengeId, signature: by(1, good) }
        yield* client.registration.prove({ payload: payload2 })
        expect((yield* problemOf(client.registration.prove({ payload: payload2 }))).reason).toBe("challenge-unknown")
      })
    )
  })

  test("a challenge that is answered too late is gone", () => {
    const world = boot({ challengeLifetimeMs: 1_000, sweepIntervalMs: 60_000 })
    const refused = world.call(undefined, (client) =>
      Effect.gen(function* () {
        const payload = { ...declaration(1), registrationKey: REGISTRATION }
        const asked = yield* client.registration.register({ payload })
        yield* Effect.sleep(1_000)
        const message = registrationProof(asked.challenge, payload.publicKey, asked.brokerKey)
        const signature = nobleCrypto.ed25519Sign(identity(1).seed, message)
        return yield* problemOf(client.registration.prove({ payload: { challengeId: asked.challengeId, signature } }))
      })
    )
    expect([refused.status, refused.reason]).toEqual([410, "challenge-expired"])
  })

  test("registering again with the same key is the same server with new data and a new session, at no cost of a use", () => {
    const world = boot()
    const { key } = world.call(ADMIN, (client) => client.admin.createRegistrationKey({ payload: { usesMax: 1 } }))
    const first = registered(world, 1, {}, key)
    signed(world, first, 0, beat)
    const second = registered(world, 1, { endpoint: { address: "10.0.0.77", port: 1 } }, key)
    expect(second.serverId).toBe(first.serverId)
    expect(listed(world).map((entry) => entry.record.endpoint.address)).toEqual(["10.0.0.77"])
    const keys = world.call(ADMIN, (client) => client.admin.listRegistrationKeys({ query: {} })).keys
    expect(keys.find((each) => each.usesMax === 1)?.uses).toBe(1)
    const old = signed(world, first, 1, (client) => problemOf(beat(client)))
    expect(old.reason).toBe("signature-invalid")
    signed(world, second, 0, beat)
  })

  test("of two servers that want the last use of a key at once, exactly one gets it", () => {
    const world = boot()
    const { key } = world.call(ADMIN, (client) =>
      client.admin.createRegistrationKey({ payload: { usesMax: 1, tags: ["lab"] } })
    )
    const outcomes = world.call(undefined, (client) =>
      Effect.all([Effect.result(registering(client, 1, {}, key)), Effect.result(registering(client, 2, {}, key))], {
        concurrency: 2
      })
    )
    expect(outcomes.filter(Result.isSuccess)).toHaveLength(1)
    const lost = outcomes.find(Result.isFailure)!.failure as Problem
    expect([lost.status, lost.reason]).toEqual([403, "registration-key-used-up"])
    expect(listed(world).map((entry) => entry.tags)).toEqual([["lab"]])
  })

  test("the store itself gives the last use of a key to one taker, whatever was read before", () => {
    const world = boot()
    const made = world.call(ADMIN, (client) => client.admin.createRegistrationKey({ payload: { usesMax: 1 } }))
    const { disk, process } = world.station("broker")
    const take = SqlClient.SqlClient.use((sql) => keyStore(sql).takeRegistrationUse(toHex(made.id), world.nowMs()))
    const takes = drive(process, Effect.provide(Effect.all([take, take]), layerStore(disk)))
    expect(takes).toEqual([true, false])
  })

  test("an expired key takes no new server and lets a known one come back; a revoked one lets nobody", () => {
    const world = boot()
    const made = world.call(ADMIN, (client) => client.admin.createRegistrationKey({ payload: { lifeMs: 10_000 } }))
    registered(world, 1, {}, made.key)
    world.advance(10_000)
    const reasonFor = (n: number) =>
      world.call(undefined, (client) => problemOf(registering(client, n, {}, made.key))).reason
    expect(reasonFor(2)).toBe("registration-key-expired")
    registered(world, 1, {}, made.key)
    world.call(ADMIN, (client) => client.admin.revokeRegistrationKey({ params: { id: toBase64Url(made.id) } }))
    expect(reasonFor(1)).toBe("registration-key-revoked")
  })

  test("registrations that wait for their proof are limited, and expired ones make room", () => {
    const world = boot({ challengesMax: 2, challengeLifetimeMs: 2_000, sweepIntervalMs: 500 })
    const ask = (n: number) => (client: BrokerClient) =>
      client.registration.register({ payload: { ...declaration(n), registrationKey: REGISTRATION } })
    for (const n of [1, 2, 2, 1]) world.call(undefined, ask(n))
    const refused = world.call(undefined, (client) => problemOf(ask(3)(client)))
    expect([refused.status, refused.reason]).toEqual([429, "too-many-challenges"])
    world.advance(3_000)
    world.call(undefined, ask(3))
  })

  test("a server that an administrator revoked is listed no more, may say nothing, and may not come back", () => {
    const world = boot()
    const one = registered(world, 1)
    world.call(ADMIN, (client) => client.admin.revokeServer({ params: { id: one.serverId } }))
    expect(listed(world)).toEqual([])
    expect(signed(world, one, 0, (client) => problemOf(beat(client))).reason).toBe("server-revoked")
    expect(world.call(undefined, (client) => problemOf(registering(client, 1))).reason).toBe("server-revoked")
  })

  test("a gateway does not turn into a game server while it is registered", () => {
    const world = boot()
    const one = registered(world, 1)
    const refused = world.call(undefined, (client) => problemOf(registering(client, 1, { kind: "game" })))
    expect([refused.status, refused.reason]).toEqual([409, "kind-changed"])
    signed(world, one, 0, (client) => client.serverLink.deregister())
    registered(world, 1, { kind: "game" })
  })
})

describe("signed requests", () => {
  test("a heartbeat keeps the figures and answers with the time and the next date", () => {
    const world = boot({ heartbeatIntervalMs: 4_000 })
    const one = registered(world, 1)
    world.advance(1_000)
    const answer = signed(world, one, 0, beat)
    expect(answer).toMatchObject({ nextMs: 4_000, revoked: [], more: false })
    const [entry] = listed(world)
    expect(entry.metrics).toEqual(metrics)
    expect(Math.abs(entry.lastHeardMs - answer.brokerNowMs)).toBeLessThan(5)
  })

  test.each<[string, Forgery]>([
    ["by another key", { seed: new Uint8Array(32).fill(9) }],
    ["for another session", { session: new Uint8Array(16) }],
    ["for another path", { path: "/api/v1/servers/deregister" }],
    ["for another body", { body: "{}" }]
  ])("a signature %s is refused", (_, forgery) => {
    const world = boot()
    const one = registered(world, 1)
    const refused = signed(world, one, 0, (client) => problemOf(beat(client)), forgery)
    expect([refused.status, refused.reason]).toEqual([401, "signature-invalid"])
    expect(listed(world)[0].metrics).toBe(null)
  })

  test("a request that was accepted is not accepted again, nor one with a lower counter, and the answer tells the highest", () => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 7, beat)
    for (const counter of [7, 6, 0]) {
      const refused = signed(world, one, counter, (client) => problemOf(beat(client)))
      expect([refused.status, refused.reason, "counter" in refused && refused.counter]).toEqual([
        409,
        "counter-replayed",
        7
      ])
    }
    signed(world, one, 8, beat)
  })

  test("of two copies of one request at once, exactly one is accepted", () => {
    const world = boot()
    const one = registered(world, 1)
    const outcomes = signed(world, one, 3, (client) =>
      Effect.all([Effect.result(beat(client)), Effect.result(beat(client))], { concurrency: 2 })
    )
    expect(outcomes.filter(Result.isSuccess)).toHaveLength(1)
    expect((outcomes.find(Result.isFailure)!.failure as Problem).reason).toBe("counter-replayed")
  })

  test("a request from too long ago or ahead is refused with the broker's time, and moves nothing", () => {
    const world = boot()
    const one = registered(world, 1)
    for (const byMs of [-61_000, 61_000]) {
      const timeMs = world.nowMs() + byMs
      const refused = signed(world, one, 5, (client) => problemOf(beat(client)), { timeMs })
      expect([refused.status, refused.reason]).toEqual([401, "clock-skew"])
      expect(Math.abs(("brokerNowMs" in refused ? refused.brokerNowMs! : 0) - world.nowMs())).toBeLessThan(20)
    }
    signed(world, one, 5, beat, { timeMs: world.nowMs() - 59_000 })
  })

  test("the header must be complete and the server known", () => {
    const world = boot()
    const one = registered(world, 1)
    const bare = world.call("whatever", (client) => problemOf(beat(client)))
    expect(bare.reason).toBe("credential-missing")
    const unknown = signed(world, { ...one, serverId: "0".repeat(32) }, 0, (client) => problemOf(beat(client)))
    expect([unknown.status, unknown.reason]).toEqual([404, "server-unknown"])
  })

  test("a server that deregisters is listed no more and unknown, until it registers again", () => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 0, (client) => client.serverLink.deregister())
    expect(listed(world)).toEqual([])
    expect(signed(world, one, 1, (client) => problemOf(beat(client))).reason).toBe("server-unknown")
    registered(world, 1)
    expect(listed(world)).toHaveLength(1)
  })
})

describe("the list of servers", () => {
  test("a server is online while it was heard within the window, offline after it, online again when it is heard", () => {
    const world = boot({ serverStaleMs: 10_000, sweepIntervalMs: 1_000 })
    const one = registered(world, 1)
    world.advance(9_000)
    expect(listed(world)[0].status).toBe("online")
    world.advance(2_500)
    expect(listed(world)[0].status).toBe("offline")
    expect(listed(world, { status: "online" })).toEqual([])
    expect(world.events("broker.server-offline").map((event) => event.fields.serverId)).toEqual([one.serverId])
    signed(world, one, 0, beat)
    expect(listed(world, { status: "online" })).toHaveLength(1)
    expect(world.call(ADMIN, (client) => client.admin.status()).servers).toEqual({ online: 1, offline: 0 })
  })

  test("filters choose, and pages neither repeat nor miss a server", () => {
    const world = boot()
    for (let n = 1; n <= 5; n++)
      registered(world, n, { kind: n === 5 ? "game" : "gateway", region: n % 2 === 0 ? "us" : "eu" })
    expect(listed(world, { kind: "game" })).toHaveLength(1)
    expect(listed(world, { region: "us" })).toHaveLength(2)
    const ids: Array<string> = []
    let cursor: string | null = null
    do {
      const query: { limit: number; cursor?: string } = cursor === null ? { limit: 2 } : { limit: 2, cursor }
      const page = world.call(ANNA, (client) => client.members.listServers({ query }))
      ids.push(...page.servers.map((entry) => entry.record.id))
      cursor = page.cursor
    } while (cursor !== null && ids.length < 20)
    expect(ids).toEqual(listed(world).map((entry) => entry.record.id))
    expect(new Set(ids).size).toBe(5)
  })
})

describe("tickets", () => {
  test("a ticket verifies offline with the broker's key, for that server and device, with the rights of key and kind", () => {
    const world = boot({ ticketLifetimeMs: 60_000 })
    const one = registered(world, 1)
    const answer = issued(world, ANNA, 20, one.serverId)
    const now = world.nowMs()
    const verdict = verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now, identity(1).publicKey)
    if (!verdict.ok) throw new Error(`refused: ${verdict.reason}`)
    expect(verdict.ticket).toMatchObject({
      user: "anna",
      tenant: "home",
      rights: RIGHT.tunnel,
      expiresMs: answer.expiresMs
    })
    expect(verdict.ticket.devicePublicKey).toEqual(identity(20).publicKey)
    expect(verdict.ticket.expiresMs - verdict.ticket.issuedMs).toBe(60_000)
    expect(verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now, identity(2).publicKey).ok).toBe(false)
    expect(verifyTicket(nobleCrypto, one.brokerKey, answer.ticket, now + 60_000, identity(1).publicKey).ok).toBe(false)
    expect(answer.server.record.id).toBe(one.serverId)
  })

  test("a ticket does not outlive the personal key that it comes from", () => {
    const world = boot({ ticketLifetimeMs: 600_000 })
    const one = registered(world, 1)
    const payload = { user: "carla", tenant: "home", rights: 3, lifeMs: 30_000 }
    const made = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    expect(issued(world, made.key, 20, one.serverId).expiresMs).toBe(made.expiresMs)
  })

  test("each thing that is wrong with a request for a ticket has its own refusal", () => {
    const world = boot()
    const one = registered(world, 1)
    const game = registered(world, 2, { kind: "game" })
    const refused = (key: string, n: number, serverId: string, signedMs = world.nowMs(), seed = identity(n).seed) =>
      world.call(key, (client) => problemOf(ticket(client, key, n, serverId, signedMs, seed))).reason
    const payload = { user: "carla", tenant: "home", rights: RIGHT.tunnel, devicesMax: 1 }
    const { key } = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    expect(refused(ANNA, 20, "0".repeat(32))).toBe("server-unknown")
    expect(refused(ANNA, 20, one.serverId, world.nowMs(), identity(21).seed)).toBe("proof-invalid")
    expect(refused(ANNA, 20, one.serverId, world.nowMs() - 61_000)).toBe("clock-skew")
    expect(refused(key, 20, game.serverId)).toBe("right-missing")
    issued(world, key, 20, one.serverId)
    issued(world, key, 20, one.serverId)
    expect(refused(key, 21, one.serverId)).toBe("device-limit")
    world.call(ADMIN, (client) => client.admin.revokeServer({ params: { id: one.serverId } }))
    expect(refused(ANNA, 20, one.serverId)).toBe("server-unknown")
  })

  test("a proof made under one personal key is worthless under another", () => {
    const world = boot()
    const one = registered(world, 1)
    const reason = world.call(BERT, (client) => problemOf(ticket(client, ANNA, 20, one.serverId, world.nowMs()))).reason
    expect(reason).toBe("proof-invalid")
  })

  test("when a personal key is revoked its live tickets reach the servers that they name, once each", () => {
    const world = boot()
    const one = registered(world, 1)
    const two = registered(world, 2)
    const a = issued(world, ANNA, 20, one.serverId)
    const b = issued(world, ANNA, 21, one.serverId)
    issued(world, ANNA, 20, two.serverId)
    issued(world, BERT, 22, one.serverId)
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
    const anna = keys.find((each) => each.user === "anna")!
    expect(anna.devices).toBe(2)
    const revoked = world.call(ADMIN, (client) =>
      client.admin.revokePersonalKey({ params: { id: toBase64Url(anna.id) } })
    )
    expect(revoked.tickets).toBe(3)
    const heard = signed(world, one, 0, beat).revoked
    expect(heard.map((each) => toBase64Url(each.ticketId)).sort()).toEqual(
      [a, b].map((each) => toBase64Url(each.ticketId)).sort()
    )
    expect(heard.map((each) => each.deviceId)).toContain(deviceId(nobleCrypto, identity(20).publicKey))
    const highest = Math.max(...heard.map((each) => each.number))
    const after = signed(world, one, 1, (client) =>
      client.serverLink.heartbeat({ payload: { metrics, revocationsAfter: highest } })
    )
    expect(after.revoked).toEqual([])
  })

  test("expired tickets leave the store and the revocation list", () => {
    const world = boot({ ticketLifetimeMs: 5_000, sweepIntervalMs: 500 })
    const one = registered(world, 1)
    issued(world, ANNA, 20, one.serverId)
    expect(world.call(ADMIN, (client) => client.admin.status()).ticketsValid).toBe(1)
    world.advance(6_000)
    const rows = world.station("broker").disk.database().run("SELECT COUNT(*) FROM tickets", []).rows
    expect(rows).toEqual([[0]])
  })
})

describe("connections", () => {
  const report = (
    world: BrokerWorld,
    connectionId: number,
    change: Partial<ConnectionReport> = {}
  ): ConnectionReport => ({
    event: "opened",
    connectionId,
    openedMs: 1_000,
    deviceId: "a".repeat(32),
    user: "anna",
    tenant: "home",
    peer: { address: "192.0.2.1", port: 5_000 },
    atMs: world.nowMs(),
    reason: "",
    bytesIn: 0,
    bytesOut: 0,
    ...change
  })
  const send = (world: BrokerWorld, who: Standing, counter: number, reports: ReadonlyArray<ConnectionReport>) =>
    signed(world, who, counter, (client) => client.serverLink.reportConnections({ payload: { reports } }))
  const all = (world: BrokerWorld, query = {}) =>
    world.call(ADMIN, (client) => client.admin.listConnections({ query })).connections

  test("a connection is recorded when it opens, kept up to date, and closed with its reason", () => {
    const world = boot()
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5), report(world, 6)])
    world.advance(1_000)
    send(world, one, 1, [
      report(world, 5, { event: "alive", bytesIn: 10 }),
      report(world, 6, { event: "closed", reason: "timeout" })
    ])
    const [open] = all(world, { state: "open" })
    expect(open).toMatchObject({ connectionId: 5, serverName: "gateway-1", user: "anna", bytesIn: 10, closedMs: null })
    const [closed] = all(world, { state: "closed" })
    expect(closed).toMatchObject({ connectionId: 6, reason: "timeout", closedMs: expect.any(Number) })
    expect(world.call(ADMIN, (client) => client.admin.status()).connectionsOpen).toBe(1)
  })

  test("reports that come twice, late or out of order change nothing, and a closed connection stays closed", () => {
    const world = boot()
    const one = registered(world, 1)
    const opened = report(world, 5)
    world.advance(10)
    const closed = report(world, 5, { event: "closed", reason: "normal", bytesIn: 9 })
    send(world, one, 0, [closed])
    send(world, one, 1, [opened, closed])
    world.advance(10)
    send(world, one, 2, [report(world, 5, { event: "alive" })])
    expect(all(world).map((each) => [each.state, each.reason, each.bytesIn])).toEqual([["closed", "normal", 9]])
  })

  test("a connection of which nobody speaks is closed as stale, and lives again when its server speaks of it", () => {
    const world = boot({ connectionStaleMs: 5_000, sweepIntervalMs: 1_000 })
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5)])
    world.advance(7_000)
    expect(all(world)[0]).toMatchObject({ state: "closed", reason: "stale" })
    expect(world.events("broker.stale-connections-closed").map((event) => event.fields.count)).toEqual([1])
    send(world, one, 1, [report(world, 5, { event: "alive" })])
    expect(all(world)[0]).toMatchObject({ state: "open", reason: "", closedMs: null })
  })

  test("records of closed connections are forgotten after their time", () => {
    const world = boot({ connectionHistoryMs: 60_000, sweepIntervalMs: 1_000 })
    const one = registered(world, 1)
    send(world, one, 0, [report(world, 5, { event: "closed" }), report(world, 6)])
    world.advance(62_000)
    expect(all(world).map((each) => each.connectionId)).toEqual([6])
  })

  test("a batch over the limit is refused as a whole by the broker", () => {
    const world = boot()
    const one = registered(world, 1)
    const body = JSON.stringify({ reports: Array.from({ length: 257 }, (_, i) => report(world, i)) })
    const timeMs = world.nowMs()
    const path = "/api/v1/connections/report"
    const message = requestProof({
      ...one,
      counter: 0,
      timeMs,
      method: "POST",
      path,
      bodySha256: nobleCrypto.sha256(utf8(body))
    })
    const signature = toBase64Url(nobleCrypto.ed25519Sign(identity(1).seed, message))
    const credential = formatCredential({ serverId: one.serverId, counter: 0, timeMs, signature })
    const request = HttpClientRequest.post(`${world.url}${path}`).pipe(
      HttpClientRequest.setHeader("authorization", `Horizon-Server ${credential}`),
      HttpClientRequest.bodyText(body, "application/json")
    )
    const answer = world.on(
      "one",
      Effect.flatMap(HttpClient.execute(request), (response) => response.json)
    )
    expect(answer).toMatchObject({ status: 400, errors: [{ path: ["payload", "reports"] }] })
    expect(all(world)).toEqual([])
  })

  test("one server's connections are not another's, though their numbers are the same", () => {
    const world = boot()
    const one = registered(world, 1)
    const two = registered(world, 2)
    send(world, one, 0, [report(world, 5)])
    send(world, two, 0, [report(world, 5, { event: "closed", reason: "normal" })])
    expect(all(world, { serverId: one.serverId }).map((each) => each.state)).toEqual(["open"])
    expect(all(world, { serverId: two.serverId }).map((each) => each.state)).toEqual(["closed"])
  })
})

test("after a crash the broker still knows servers, sessions, counters, revocations and connections", () => {
  const world = boot()
  const one = registered(world, 1)
  signed(world, one, 4, beat)
  issued(world, ANNA, 20, one.serverId)
  const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
  const anna = keys.find((each) => each.user === "anna")!
  world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id: toBase64Url(anna.id) } }))
  world.killBroker()
  expect(world.startBroker()).toBe(undefined)
  expect(signed(world, one, 4, (client) => problemOf(beat(client))).reason).toBe("counter-replayed")
  expect(signed(world, one, 5, beat).revoked).toHaveLength(1)
  expect(world.call(BERT, (client) => client.members.listServers({ query: {} })).servers).toHaveLength(1)
})

test("the same seed gives the same run, to the last event", () => {
  const run = (): string => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 0, beat)
    issued(world, ANNA, 20, one.serverId)
    world.advance(30_000)
    return `${world.kernel.digest.hex()} ${world.kernel.events} ${JSON.stringify(world.trace.events)}`
  }
  expect(run()).toBe(run())
})
