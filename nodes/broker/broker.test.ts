import { toBase64Url } from "@horizon/core/api/base64url.ts"
import type { BrokerClient } from "@horizon/core/api/broker-client.ts"
import { isProblem, type Problem } from "@horizon/core/api/problem.ts"
import { RIGHT } from "@horizon/core/wire/ticket.ts"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { describe, expect, test } from "vitest"
import { ADMIN, ANNA, BERT, BrokerWorld, REGISTRATION } from "./broker-world.contract.ts"
import { bootstrapPersonalKey } from "./settings.ts"

const boot = (config = {}): BrokerWorld => {
  const world = new BrokerWorld({ config })
  expect(world.startBroker()).toBe(undefined)
  return world
}

/** The refusal that a call meets. */
const refusal = <A, E>(
  world: BrokerWorld,
  token: string | undefined,
  body: (client: BrokerClient) => Effect.Effect<A, E, HttpClient.HttpClient>
): Problem =>
  world.call(token, (client) =>
    Effect.flip(body(client)).pipe(
      Effect.map((error) => {
        if (!isProblem(error)) throw error
        return error
      })
    )
  )

/** A raw request, as a program that is not ours would send it. */
const raw = (world: BrokerWorld, request: HttpClientRequest.HttpClientRequest) =>
  world.on(
    "one",
    Effect.gen(function* () {
      const response = yield* HttpClient.execute(HttpClientRequest.prependUrl(request, world.url))
      const text = yield* response.text
      return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) }
    })
  )

describe("the API as a whole", () => {
  test("a broker that is ready answers with its key and its time, without credentials", () => {
    const world = boot()
    const answer = world.call(undefined, (client) => client.health.get())
    expect(answer.status).toBe("ok")
    expect(toBase64Url(answer.brokerKey)).toBe(world.ready[0].brokerKey)
    expect(Math.abs(answer.brokerNowMs - world.nowMs())).toBeLessThan(20)
  })

  test("a body that does not fit is answered with 400 that says what and where, as a problem document", () => {
    const world = boot()
    const answer = raw(
      world,
      HttpClientRequest.post("/api/v1/servers/prove").pipe(HttpClientRequest.bodyJsonUnsafe({ challengeId: "AA" }))
    )
    expect(answer.status).toBe(400)
    expect(answer.headers["content-type"]).toContain("application/problem+json")
    expect(answer.body).toMatchObject({ type: "about:blank", status: 400, title: "Bad Request", reason: "malformed" })
    expect(answer.body.errors[0].path).toEqual(["payload", "challengeId"])
    expect(answer.body.detail).toContain("payload.challengeId")
  })

  test.each([
    ["not JSON", "{", "Expected a valid JSON body"],
    ["nothing", "", "Expected"]
  ])("a body that is %s is a documented 400", (_, text, words) => {
    const world = boot()
    const answer = raw(
      world,
      HttpClientRequest.post("/api/v1/servers/prove").pipe(HttpClientRequest.bodyText(text, "application/json"))
    )
    expect(answer.status).toBe(400)
    expect(answer.body.reason).toBe("malformed")
    expect(answer.body.detail).toContain(words)
  })

  test("a number that is not one does not get into a query", () => {
    const world = boot()
    for (const limit of ["NaN", "1.5", "0", "1e9", ""]) {
      const request = HttpClientRequest.get(`/api/v1/servers?limit=${limit}`).pipe(HttpClientRequest.bearerToken(ANNA))
      const answer = raw(world, request)
      expect([limit, answer.status]).toEqual([limit, 400])
      expect(answer.body.errors[0].path).toEqual(["query", "limit"])
    }
  })

  test("a body over the limit is refused with 413 and not read", () => {
    const world = boot({ requestBytesMax: 1_024 })
    const body = JSON.stringify({ challengeId: "A".repeat(2_000) })
    const answer = raw(
      world,
      HttpClientRequest.post("/api/v1/servers/prove").pipe(HttpClientRequest.bodyText(body, "application/json"))
    )
    expect([answer.status, answer.body.reason]).toEqual([413, "body-too-large"])
  })

  test("an unknown path and an unknown method are problem documents too, with the headers of every answer", () => {
    const world = boot()
    for (const request of [HttpClientRequest.get("/nothing"), HttpClientRequest.delete("/api/v1/health")]) {
      const answer = raw(world, request)
      expect([answer.status, answer.body.reason]).toEqual([404, "route-unknown"])
      expect(answer.headers).toMatchObject({ "cache-control": "no-store", "x-content-type-options": "nosniff" })
    }
  })

  test("the OpenAPI document describes every path and the problems", () => {
    const world = boot()
    const { body } = raw(world, HttpClientRequest.get("/api/v1/openapi.json"))
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([
        "/api/v1/health",
        "/api/v1/servers/register",
        "/api/v1/tickets",
        "/api/v1/admin/personal-keys/{id}/revoke"
      ])
    )
    expect(Object.keys(body.paths["/api/v1/tickets"].post.responses)).toEqual(
      expect.arrayContaining(["200", "400", "401", "403", "404", "409", "413", "503"])
    )
  })

  test("every request leaves its route, status and duration in the trace", () => {
    const world = boot()
    world.call(undefined, (client) => client.health.get())
    refusal(world, undefined, (client) => client.members.listServers({ query: {} }))
    const seen = world.events("broker.request").map((event) => [event.fields.route, event.fields.status])
    expect(seen).toEqual([
      ["GET /api/v1/health", 200],
      ["GET /api/v1/servers", 401]
    ])
  })

  test("a store that fails is a 503 that may be tried again, and the broker goes on", () => {
    const world = boot()
    world.station("broker").disk.storeFault = { mode: "busy", ppm: 1_000_000, delayMs: 0 }
    const down = refusal(world, ANNA, (client) => client.members.listServers({ query: {} }))
    expect([down.status, down.reason]).toEqual([503, "store-unavailable"])
    expect(refusal(world, undefined, (client) => client.health.get()).status).toBe(503)
    world.station("broker").disk.storeFault = undefined
    expect(world.call(ANNA, (client) => client.members.listServers({ query: {} })).servers).toEqual([])
  })
})

test("a bug that one request meets is answered with 500, logged with its cause, and stops nothing", () => {
  const world = boot()
  world.station("broker").disk.database().run("UPDATE personal_keys SET sha256 = 'zz' WHERE user_name = 'anna'", [])
  const met = refusal(world, ANNA, (client) => client.members.listServers({ query: {} }))
  expect([met.status, met.reason]).toEqual([500, "internal"])
  expect(JSON.stringify(met)).not.toContain("Hex in the store")
  expect(world.logged.join()).toContain("Hex in the store")
  world.call(BERT, (client) => client.members.listServers({ query: {} }))
})

describe("credentials", () => {
  test("each kind of key opens only its own door", () => {
    const world = boot()
    const list = (client: BrokerClient) => client.members.listServers({ query: {} })
    const status = (client: BrokerClient) => client.admin.status()
    expect(refusal(world, undefined, list).reason).toBe("credential-missing")
    expect(refusal(world, ADMIN, list).reason).toBe("credential-unknown")
    expect(refusal(world, REGISTRATION, list).reason).toBe("credential-unknown")
    expect(refusal(world, undefined, status).reason).toBe("credential-missing")
    expect(refusal(world, ANNA, status).reason).toBe("credential-unknown")
    expect(refusal(world, `${ADMIN.slice(0, -1)}A`, status).reason).toBe("credential-unknown")
    expect(world.call(ADMIN, status)).toMatchObject({ personalKeys: 2, registrationKeys: 1, schemaVersion: 2 })
  })

  test("a personal key that is made is shown once, works, is listed without its secret, and is refused when revoked", () => {
    const world = boot()
    const payload = { user: "carla", tenant: "home", rights: RIGHT.game, label: "Carla's laptop" }
    const made = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    expect(made.key).toMatch(/^hzp_[A-Za-z0-9_-]{43}$/)
    expect(world.call(made.key, (client) => client.members.listServers({ query: {} })).servers).toEqual([])
    const listed = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
    expect(listed.keys.map((key) => key.user).sort()).toEqual(["anna", "bert", "carla"])
    expect(JSON.stringify(listed)).not.toContain(made.key.slice(12))
    const params = { id: toBase64Url(made.id) }
    world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params }))
    expect(refusal(world, made.key, (client) => client.members.listServers({ query: {} })).reason).toBe(
      "credential-revoked"
    )
    const again = refusal(world, ADMIN, (client) => client.admin.revokePersonalKey({ params }))
    expect([again.status, again.reason]).toEqual([409, "already-revoked"])
  })

  test("a personal key is refused from the moment that it expires", () => {
    const world = boot()
    const payload = { user: "carla", tenant: "home", rights: RIGHT.game, lifeMs: 60_000 }
    const { key } = world.call(ADMIN, (client) => client.admin.createPersonalKey({ payload }))
    world.advance(59_000)
    world.call(key, (client) => client.members.listServers({ query: {} }))
    world.advance(1_000)
    expect(refusal(world, key, (client) => client.members.listServers({ query: {} })).reason).toBe("credential-expired")
  })

  test("revoking what is not there says so", () => {
    const world = boot()
    const params = { id: toBase64Url(new Uint8Array(16)) }
    expect(refusal(world, ADMIN, (client) => client.admin.revokePersonalKey({ params })).reason).toBe("key-unknown")
    expect(refusal(world, ADMIN, (client) => client.admin.revokeRegistrationKey({ params })).reason).toBe("key-unknown")
    const server = { params: { id: "0".repeat(32) } }
    expect(refusal(world, ADMIN, (client) => client.admin.revokeServer(server)).reason).toBe("server-unknown")
  })

  test("lists come in pages that neither repeat nor miss an entry", () => {
    const world = boot()
    for (let i = 0; i < 5; i++)
      world.call(ADMIN, (client) => client.admin.createRegistrationKey({ payload: { label: `k${i}` } }))
    const seen: Array<string> = []
    let cursor: string | null = null
    let pages = 0
    do {
      const query: { limit: number; cursor?: string } = cursor === null ? { limit: 2 } : { limit: 2, cursor }
      const page = world.call(ADMIN, (client) => client.admin.listRegistrationKeys({ query }))
      seen.push(...page.keys.map((key) => key.label))
      cursor = page.cursor
      pages++
    } while (cursor !== null && pages < 10)
    expect([pages, seen]).toEqual([3, ["k4", "k3", "k2", "k1", "k0", "from the configuration"]])
  })
})

describe("start and restart", () => {
  test("a restart on the same store keeps keys, and the broker keeps its own key", () => {
    const world = boot()
    const made = world.call(ADMIN, (client) =>
      client.admin.createPersonalKey({ payload: { user: "carla", tenant: "home", rights: 3 } })
    )
    world.killBroker()
    expect(world.startBroker()).toBe(undefined)
    world.call(made.key, (client) => client.members.listServers({ query: {} }))
    expect(world.ready[1]).toEqual(world.ready[0])
  })

  test("keys of the configuration are made once, and one that was revoked stays revoked over restarts", () => {
    const world = boot()
    const { keys } = world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} }))
    const bert = keys.find((key) => key.user === "bert")!
    world.call(ADMIN, (client) => client.admin.revokePersonalKey({ params: { id: toBase64Url(bert.id) } }))
    world.stopBroker()
    expect(world.startBroker()).toBe(undefined)
    expect(world.call(ADMIN, (client) => client.admin.listPersonalKeys({ query: {} })).keys).toHaveLength(2)
    expect(refusal(world, BERT, (client) => client.members.listServers({ query: {} })).reason).toBe(
      "credential-revoked"
    )
    world.call(ANNA, (client) => client.members.listServers({ query: {} }))
  })

  test("another administrator's token in the configuration replaces the one before, and none removes it", () => {
    const world = boot()
    const other = `hza_${"B".repeat(43)}`
    world.stopBroker()
    world.config = { ...world.config, bootstrapAdminToken: other }
    expect(world.startBroker()).toBe(undefined)
    expect(refusal(world, ADMIN, (client) => client.admin.status()).reason).toBe("credential-unknown")
    world.call(other, (client) => client.admin.status())
    world.stopBroker()
    world.config = { ...world.config, bootstrapAdminToken: "" }
    expect(world.startBroker()).toBe(undefined)
    expect(refusal(world, other, (client) => client.admin.status()).reason).toBe("credential-unknown")
  })

  test("a configured personal key that belongs to somebody else in the store stops the start with a clear error", () => {
    const world = boot()
    world.stopBroker()
    world.config = { ...world.config, bootstrapPersonalKeys: [bootstrapPersonalKey("carla", "home", ANNA)] }
    const error = world.startBroker()
    expect(error?.reason).toBe("bad-config")
    expect(error?.message).toContain("anna@home")
  })

  test("settings that contradict each other stop the start", () => {
    const world = new BrokerWorld({ config: { heartbeatIntervalMs: 5_000, serverStaleMs: 5_000 } })
    expect(world.startBroker()?.reason).toBe("bad-config")
  })

  test("a damaged signing key stops the start and is not replaced by a new one", () => {
    const world = boot()
    world.stopBroker()
    world.station("broker").disk.entries.write("broker.seed", new Uint8Array(5))
    const error = world.startBroker()
    expect(error?.reason).toBe("keys-corrupt")
    expect(world.station("broker").disk.entries.read("broker.seed")).toEqual(new Uint8Array(5))
  })

  test("a store that a newer broker has used is refused untouched", () => {
    const world = boot()
    world.stopBroker()
    const engine = world.station("broker").disk.database()
    engine.run("INSERT INTO schema_migrations (id, name, checksum, applied_ms) VALUES (99, 'later', 'x', 0)", [])
    const error = world.startBroker()
    expect([error?.reason, error?.message]).toEqual(["schema-mismatch", expect.stringContaining("newer broker")])
  })

  test("a migration that is not the one in the store is refused", () => {
    const world = boot()
    world.stopBroker()
    world.station("broker").disk.database().run("UPDATE schema_migrations SET checksum = 'x' WHERE id = 1", [])
    expect(world.startBroker()?.reason).toBe("schema-mismatch")
  })

  test("a store that is busy for a moment delays the start, and one that stays so ends it", () => {
    const world = new BrokerWorld()
    const { disk } = world.station("broker")
    disk.storeFault = { mode: "busy", ppm: 1_000_000, delayMs: 0 }
    world.kernel.callAt(2e9, () => {
      disk.storeFault = undefined
    })
    expect(world.startBroker()).toBe(undefined)
    const other = new BrokerWorld()
    other.station("broker").disk.storeFault = { mode: "busy", ppm: 1_000_000, delayMs: 0 }
    expect(other.startBroker()?.reason).toBe("store-unavailable")
  })
})
