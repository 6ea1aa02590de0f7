import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { memberAgent } from "@horizon/core/api/member-agent.ts"
import { type ServerAgentOptions, serverAgent } from "@horizon/core/api/server-agent.ts"
import { nobleCrypto } from "@horizon/core/crypto/noble.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { Crypto } from "@horizon/core/port/crypto.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { verifyTicket } from "@horizon/core/wire/ticket.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { layerEntropy } from "@horizon/real/entropy.ts"
import { layerHttpClient, layerHttpServer } from "@horizon/real/http.ts"
import { layerKeys } from "@horizon/real/keys.ts"
import { layerStore } from "@horizon/real/store.ts"
import { Deferred, Effect, Layer } from "effect"
import { expect, test } from "vitest"
import { broker } from "./broker.ts"
import { ANNA, REGISTRATION } from "./broker-world.contract.ts"
import { bootstrapPersonalKey, brokerSettings } from "./settings.ts"

const folder = mkdtempSync(join(tmpdir(), "horizon-broker-"))

const ports = (name: string) =>
  Layer.mergeAll(
    layerKeys(join(folder, name)),
    layerClock,
    layerEntropy,
    layerHttpClient,
    Layer.succeed(Crypto)(nobleCrypto)
  )

const options = (brokerUrl: string): ServerAgentOptions => ({
  brokerUrl,
  registrationKey: REGISTRATION,
  name: "gateway",
  kind: "gateway",
  endpoint: { address: "127.0.0.1", port: 4000 },
  region: "",
  capacity: 10,
  capabilities: [],
  metrics: () => ({ sessions: 0, loadPpm: 0, rttUs: null, bytesIn: 0, bytesOut: 0 })
})

/** Starts a broker on a libSQL file and Node's HTTP server; succeeds with its address when it is ready. */
const begin = Effect.gen(function* () {
  const ready = yield* Deferred.make<string>()
  const config = configWith(brokerSettings, {
    bootstrapRegistrationKeys: [REGISTRATION],
    bootstrapPersonalKeys: [bootstrapPersonalKey("anna", "home", ANNA)]
  })
  const server = layerHttpServer({ host: "127.0.0.1", port: 0 })
  const node = broker(config).pipe(
    Effect.provide(Layer.mergeAll(ports("broker"), layerStore(`file:${join(folder, "broker.db")}`), server)),
    Effect.provideService(Lifecycle, {
      ready: (info) => Deferred.doneUnsafe(ready, Effect.succeed(String(info.address)))
    })
  )
  yield* Effect.forkScoped(node)
  return yield* Effect.timeout(Deferred.await(ready), 10_000)
})

test("the same broker and agents work on real sockets, a libSQL file and Node's HTTP, over a restart and under long bodies", async () => {
  const visit = (expectedServers: number) =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* begin
        const agent = yield* Effect.provideContext(serverAgent(options(url)), yield* Layer.build(ports("gateway")))
        for (let i = 0; i < 200 && agent.state().link !== "up"; i++) yield* Effect.sleep(10)
        expect(agent.state()).toMatchObject({ link: "up", message: "" })
        const member = yield* Effect.provideContext(
          memberAgent({ brokerUrl: url, personalKey: ANNA }),
          yield* Layer.build(ports("client"))
        )
        const { servers } = yield* member.listServers("gateway")
        expect(servers).toHaveLength(expectedServers)
        const granted = yield* member.ticket(agent.serverId)
        return verifyTicket(
          nobleCrypto,
          agent.brokerKey()!,
          granted.ticket,
          member.brokerNowMs(),
          agent.identity.publicKey
        )
      })
    )
  const flood = Effect.scoped(
    Effect.gen(function* () {
      const url = yield* begin
      const send = (body: string | ReadableStream, path: string, headers = {}) =>
        Effect.promise(async () => {
          const request = {
            method: "POST",
            body,
            duplex: "half",
            headers: { "content-type": "application/json", ...headers }
          }
          const response = await fetch(`${url}/api/v1/${path}`, request as RequestInit)
          return [response.status, ((await response.json()) as { reason: string }).reason]
        })
      const long = "x".repeat(300_000)
      const stream = () => new Blob([long]).stream()
      const credential = `Horizon-Server ${"0".repeat(32)}.0.0.${"A".repeat(86)}`
      return [
        yield* send(long, "servers/prove"),
        yield* send(stream(), "servers/prove"),
        yield* send(stream(), "servers/heartbeat", { authorization: credential })
      ]
    })
  )
  try {
    for (let life = 0; life < 2; life++) expect((await Effect.runPromise(visit(1))).ok).toBe(true)
    expect(await Effect.runPromise(flood)).toEqual(new Array(3).fill([413, "body-too-large"]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
