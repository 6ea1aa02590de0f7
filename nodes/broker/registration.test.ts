import { toBase64Url } from "@horizon/core/api/base64url.ts"
import type { BrokerClient } from "@horizon/core/api/broker-client.ts"
import type { Problem } from "@horizon/core/api/problem.ts"
import { registrationProof } from "@horizon/core/api/proof.ts"
import { serverRecordBytes } from "@horizon/core/api/server.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { drive } from "@horizon/sim/kernel/drive.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Effect, Result } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { SqlClient } from "effect/sql"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, REGISTRATION } from "./broker-world.contract.ts"
import {
  beat,
  boot,
  declaration,
  identity,
  listed,
  problemOf,
  registered,
  registering,
  signed
} from "./by-hand.contract.ts"
import { toHex } from "./record-id.ts"
import { keyStore } from "./store/key-store.ts"

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
