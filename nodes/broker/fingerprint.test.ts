import { toBase64Url } from "@horizon/core/api/base64url.ts"
import { type Fingerprint, fingerprintOf, formatFingerprint } from "@horizon/core/api/fingerprint.ts"
import { registrationProof } from "@horizon/core/api/proof.ts"
import type { ServerAgent } from "@horizon/core/api/server-agent.ts"
import { deviceId } from "@horizon/core/crypto/identity.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { brokerLink } from "@horizon/core/server/server.ts"
import { serverSettings, sessionSettings } from "@horizon/core/server/settings.ts"
import { drive } from "@horizon/sim/kernel/drive.ts"
import { Hardware, layerHostFacts } from "@horizon/sim/port/host-facts.ts"
import { layerStore } from "@horizon/sim/port/store.ts"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { describe, expect, test } from "vitest"
import { ADMIN, BrokerWorld, EPOCH_MS, REGISTRATION } from "./broker-world.contract.ts"
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
import { migrations } from "./store/migrations.ts"
import { migrate } from "./store/migrator.ts"

const WORDS = { node: "gateway", peers: "members" }
const settings = {
  ...serverSettings(WORDS, { name: "gateway", port: 4_000 }),
  ...sessionSettings(WORDS, { replayWindow: 1_024, sampleSeconds: 5 })
}

/** Starts a gateway's link on host `one`, on this hardware, and gives it a second. */
const start = (world: BrokerWorld, hardware: Hardware): ServerAgent => {
  const config = configWith(settings, { brokerUrl: world.url, registrationKey: REGISTRATION })
  const metrics = () => ({ sessions: 0, loadPpm: 0, rttUs: null, bytesIn: 0, bytesOut: 0 })
  const endpoint = { address: "10.0.0.9", port: 4_000 }
  let agent: ServerAgent | undefined
  world.begin(
    "one",
    Effect.scoped(
      Effect.gen(function* () {
        agent = yield* brokerLink(config, "gateway", 10, endpoint, { metrics })
        return yield* Effect.never
      })
    ).pipe(Effect.provide(layerHostFacts(hardware)))
  )
  world.advance(1_000)
  return agent!
}

const shown = (world: BrokerWorld) => {
  const { servers } = world.call(ADMIN, (client) => client.admin.listServers({ query: {} }), "two")
  return servers.map((entry) => [entry.fingerprint, entry.fingerprintChangedMs])
}
const changes = (world: BrokerWorld) => world.events("broker.fingerprint-changed").map((event) => event.fields)
const registrations = (world: BrokerWorld) => world.events("broker.server-registered").length

describe("a server that starts again", () => {
  test("on the same hardware goes on with its session, and nothing is noticed", () => {
    const world = boot()
    const hardware = new Hardware("one")
    start(world, hardware)
    expect(shown(world)).toEqual([["same", null]])
    world.kill("one")
    expect(start(world, new Hardware("one")).state().link).toBe("up")
    expect([registrations(world), shown(world), changes(world)]).toEqual([1, [["same", null]], []])
  })

  test.each([
    ["another network interface", "changed-partly", (hardware: Hardware) => hardware.swapNic()],
    ["another board", "changed", (hardware: Hardware) => hardware.swapBoard()]
  ] as const)("with %s registers again and is shown as %s, and members see nothing of it", (_, how, swap) => {
    const world = boot()
    const hardware = new Hardware("one")
    const { serverId } = start(world, hardware)
    world.kill("one")
    swap(hardware)
    const beforeMs = world.nowMs()
    expect(start(world, hardware).state().link).toBe("up")
    expect(changes(world)).toEqual([{ serverId, how }])
    const [[fingerprint, changedMs]] = shown(world)
    expect(fingerprint).toBe(how)
    expect(changedMs).toBeGreaterThanOrEqual(beforeMs)
    expect(changedMs).toBeLessThan(world.nowMs())
    expect(JSON.stringify(listed(world))).not.toContain("ingerprint")
    // What was noticed stays to be seen when the server comes back as it is now.
    world.kill("one")
    world.stopBroker()
    expect(world.startBroker()).toBe(undefined)
    start(world, hardware)
    expect([registrations(world), shown(world), changes(world).length]).toEqual([2, [[how, changedMs]], 1])
  })

  test("on other hardware while the broker is away is noticed when it is back", () => {
    const world = boot()
    const hardware = new Hardware("one")
    start(world, hardware)
    world.kill("one")
    world.killBroker()
    hardware.swapNic()
    const agent = start(world, hardware)
    expect(agent.brokerKey()).not.toBe(undefined)
    world.advance(10_000)
    expect(world.startBroker()).toBe(undefined)
    world.advance(5_000)
    expect([agent.state().link, changes(world).length]).toEqual(["up", 1])
  })

  test("on other hardware with a registration key that is revoked goes on as it was registered, and tries again at its next start", () => {
    const world = boot({ heartbeatIntervalMs: 1_000, serverStaleMs: 3_000 })
    const hardware = new Hardware("one")
    start(world, hardware)
    const [key] = world.call(ADMIN, (client) => client.admin.listRegistrationKeys({ query: {} }), "two").keys
    const params = { id: toBase64Url(key.id) }
    world.call(ADMIN, (client) => client.admin.revokeRegistrationKey({ params }), "two")
    const refused = () =>
      world.events("broker.request").filter(({ fields }) => fields.route.endsWith("/register") && fields.status === 403)
    for (const life of [1, 2]) {
      world.kill("one")
      hardware.swapNic()
      const agent = start(world, hardware)
      world.advance(10_000)
      expect(agent.state()).toMatchObject({ link: "up", message: "" })
      expect(listed(world)[0].status).toBe("online")
      expect(refused()).toHaveLength(life)
    }
    expect([shown(world), changes(world)]).toEqual([[["same", null]], []])
    expect(world.logged.join()).toContain("goes on as registered before")
  })

  test("after an upgrade, with a session from when there were no fingerprints, tells its first one", () => {
    const world = boot()
    const nothing = new Hardware("one")
    nothing.facts = () => []
    start(world, nothing)
    expect(shown(world)).toEqual([["none", null]])
    const { disk } = world.station("one")
    const cache = JSON.parse(new TextDecoder().decode(disk.entries.read("broker.registration") as Uint8Array))
    expect(cache.fingerprint).toBe("")
    delete cache.fingerprint
    world.kill("one")
    disk.entries.write("broker.registration", new TextEncoder().encode(JSON.stringify(cache)))
    start(world, new Hardware("one"))
    expect([registrations(world), shown(world), changes(world)]).toEqual([2, [["same", null]], []])
  })
})

describe("by hand", () => {
  const hardware = new Hardware("one")
  const before = fingerprintOf(nobleCrypto, identity(1).publicKey, hardware.facts())!
  hardware.swapBoard()
  const after = fingerprintOf(nobleCrypto, identity(1).publicKey, hardware.facts())!
  const register = (world: BrokerWorld, fingerprint?: Fingerprint) =>
    world.call(undefined, (client) => registering(client, 1, {}, REGISTRATION, fingerprint), "two")

  test("a server that knows no fingerprints registers and is heard as ever", () => {
    const world = boot()
    const one = registered(world, 1)
    signed(world, one, 0, beat)
    registered(world, 1)
    expect([shown(world), changes(world)]).toEqual([[["none", null]], []])
  })

  test("leaving the fingerprint out is shown, and does not make the broker forget the one before", () => {
    const world = boot()
    register(world, before)
    register(world)
    expect(shown(world)).toEqual([["none", null]])
    world.advance(1)
    register(world, before)
    expect(shown(world)).toEqual([["same", null]])
    register(world)
    world.advance(1)
    register(world, after)
    expect(changes(world).map(({ how }) => how)).toEqual(["changed"])
    const [[, changedMs]] = shown(world)
    world.advance(1)
    register(world)
    expect(shown(world)).toEqual([["none", changedMs]])
  })

  test("a fingerprint that somebody on the way changes, adds or takes away makes the proof invalid", () => {
    const world = boot()
    register(world, before)
    const attempt = (proved: Fingerprint | undefined, sent: Fingerprint | undefined) =>
      world.call(undefined, (client) =>
        Effect.gen(function* () {
          const payload = { ...declaration(1), registrationKey: REGISTRATION }
          const { brokerKey, challenge, challengeId } = yield* client.registration.register({ payload })
          const proof = registrationProof(challenge, payload.publicKey, brokerKey, proved)
          const signature = nobleCrypto.ed25519Sign(identity(1).seed, proof)
          const evidence = sent === undefined ? {} : { fingerprint: sent }
          return yield* problemOf(client.registration.prove({ payload: { challengeId, signature, ...evidence } }))
        })
      ).reason
    const reasons = [attempt(after, before), attempt(after, undefined), attempt(undefined, after)]
    expect(reasons).toEqual(["proof-invalid", "proof-invalid", "proof-invalid"])
    expect([shown(world), changes(world)]).toEqual([[["same", null]], []])
  })
})

test("a store of the schema before fingerprints keeps its servers, which then tell their first one", () => {
  const world = new BrokerWorld()
  const { disk, process } = world.station("broker")
  const id = deviceId(nobleCrypto, identity(1).publicKey)
  const old = Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    expect(yield* migrate(EPOCH_MS, migrations.slice(0, 1))).toBe(1)
    yield* sql`INSERT INTO servers ${sql.insert({
      id,
      public_key: toBase64Url(identity(1).publicKey),
      name: "kept",
      kind: "gateway",
      address: "10.0.0.9",
      port: 4_001,
      region: "eu",
      capacity: 100,
      capabilities: '["ipv4"]',
      tags: '["lab"]',
      registration_key_id: "0".repeat(32),
      signature: "A".repeat(86),
      registered_ms: EPOCH_MS,
      proved_ms: EPOCH_MS,
      session: "A".repeat(22),
      counter: 7,
      last_heard_ms: EPOCH_MS,
      status: "online",
      metrics: null,
      deregistered_ms: null,
      revoked_ms: null
    })}`
    return (yield* sql`SELECT * FROM servers`)[0]
  })
  const ports = [Effect.provide(layerStore(disk)), Effect.provideService(Crypto, nobleCrypto)] as const
  const row = drive(process, old.pipe(...ports))
  expect(world.startBroker()).toBe(undefined)
  // Other words than above: the simulated engine keeps a compiled statement with the columns that it had.
  const migrated = drive(
    process,
    SqlClient.SqlClient.use((sql) => sql`SELECT * FROM servers ORDER BY id`).pipe(ports[0])
  )
  const added = { fingerprint: null, fingerprint_told_ms: null, fingerprint_change: null, fingerprint_changed_ms: null }
  expect(migrated).toEqual([{ ...row, ...added }])
  expect(shown(world)).toEqual([["none", null]])
  const facts = new Hardware("one").facts()
  const fingerprint = fingerprintOf(nobleCrypto, identity(1).publicKey, facts)!
  world.call(undefined, (client) => registering(client, 1, {}, REGISTRATION, fingerprint))
  expect(shown(world)).toEqual([["same", null]])
  const [{ fingerprint: stored }] = drive(
    process,
    SqlClient.SqlClient.use((sql) => sql<{ fingerprint: string }>`SELECT fingerprint FROM servers`).pipe(ports[0])
  )
  expect(stored).toBe(formatFingerprint(fingerprint))
  for (const { value } of facts) expect(stored).not.toContain(value)
})
