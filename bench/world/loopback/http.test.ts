import type { Topology } from "@horizon/core/lab/topology.ts"
import { type HttpInstance, httpContract } from "@horizon/core/port/http.contract.ts"
import { Effect, Layer, Scope } from "effect"
import { HttpClient } from "effect/http/HttpClient"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { expect, test } from "vitest"
import { behindNat, sleep, testGround } from "./ground.fixture.ts"
import { HttpHost } from "./http.ts"
import type { Life } from "./life.ts"

const PORT = 8_420

const near = (delayUs: number): Topology => ({
  subnets: { lan: { cidr: "10.9.0.0/24" } },
  hosts: { client: { subnet: "lan", up: { delayUs }, down: { delayUs } }, server: { subnet: "lan" } },
  routers: {}
})

httpContract({
  name: "loopback",
  open: async (): Promise<HttpInstance> => {
    const ground = await testGround(near(1_000))
    const http = (host: string): HttpHost => new HttpHost(ground.network.host(host), ground)
    return {
      run: (effect) => Effect.runPromise(Effect.scoped(effect)),
      server: http("server").layerServer(ground.live("server"), 0),
      client: http("client").layerClient(ground.live("client")),
      urlOf: (port) => `http://${ground.address("server")}:${port}`,
      clientAddress: ground.address("client"),
      closedUrl: `http://${ground.address("server")}:9`
    }
  }
})

/** A server that answers with the client's address, and a client; lives can be started anew. */
const talk = async (topology: Topology, clientHost = "client") => {
  const ground = await testGround(topology)
  const client = new HttpHost(ground.network.host(clientHost), ground)
  const server = new HttpHost(ground.network.host("server"), ground)
  let handled = 0
  const answer = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    handled++
    return HttpServerResponse.text(
      request.url === "/large" ? "z".repeat(200_000) : JSON.stringify(request.remoteAddress)
    )
  })
  const serve = Effect.gen(function* () {
    const { serve } = yield* HttpServer.HttpServer
    yield* serve(answer)
    return yield* Effect.never
  }).pipe(Effect.scoped)
  const startServer = async (name: string): Promise<Life> => {
    const life = ground.live(name)
    await new Promise<void>((resolve) => {
      const ready = Effect.andThen(
        Effect.sync(() => void setImmediate(resolve)),
        serve
      )
      life.start(server.layerServer(life, PORT), ready, () => {})
    })
    return life
  }
  const life = ground.live(clientHost)
  const context = await Effect.runPromise(Layer.buildWithScope(client.layerClient(life), Scope.makeUnsafe()))
  const url = `http://${ground.address("server")}:${PORT}`
  /** The body, or the code of the failure. */
  const get = (path = "/", timeoutMs = 4_000): Promise<string> =>
    Effect.runPromise(
      Effect.gen(function* () {
        const http = yield* HttpClient
        const response = yield* http.get(url + path)
        return yield* response.text
      }).pipe(
        Effect.timeout(timeoutMs),
        Effect.catch((error) => Effect.succeed(codeOf(error))),
        Effect.provideContext(context)
      )
    )
  return { ...ground, client, server, startServer, get, handled: () => handled }
}

const codeOf = (error: unknown): string => {
  for (let at = error as { cause?: unknown; reason?: unknown; code?: unknown; _tag?: unknown } | undefined; at; ) {
    if (typeof at.code === "string") return at.code
    if (at._tag === "TimeoutError") return "timeout"
    at = (at.reason ?? at.cause) as typeof at
  }
  return String(error)
}

test("a request takes a round trip to connect and one to be answered", async () => {
  const { startServer, get } = await talk(near(20_000))
  await startServer("server")
  const startMs = performance.now()
  expect(await get()).toContain("127.")
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(80)
  const againMs = performance.now()
  await get()
  expect(performance.now() - againMs).toBeGreaterThanOrEqual(40)
})

test("the server sees a client behind a NAT at the NAT's outside address", async () => {
  const { startServer, get, routerAddress } = await talk(behindNat("symmetric"), "ada")
  await startServer("server")
  expect(await get()).toContain(routerAddress("nat/internet"))
})

test("a large answer comes whole over a link that loses every tenth packet", async () => {
  const topology = near(1_000)
  const lossy = { ...topology, hosts: { ...topology.hosts, server: { subnet: "lan", up: { lossPpm: 100_000 } } } }
  const { startServer, get, network } = await talk(lossy)
  await startServer("server")
  expect(await get("/large", 20_000)).toBe("z".repeat(200_000))
  expect(network.counters.droppedBy.get("loss")).toBeGreaterThan(3)
})

test("an outage `down` refuses connections and cuts those that are open, until it ends", async () => {
  const { startServer, get, server, handled } = await talk(near(1_000))
  await startServer("server")
  await get()
  server.outage = "down"
  expect(["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"]).toContain(await get())
  expect(await get()).toBe("ECONNREFUSED")
  expect(handled()).toBe(1)
  server.outage = undefined
  expect(await get()).toContain("127.")
})

test("an outage `half` accepts and never answers, on open connections too, and lasts over the server's lives", async () => {
  const { startServer, get, server, handled } = await talk(near(1_000))
  const first = await startServer("server#1")
  await get()
  server.outage = "half"
  expect(await get("/", 200)).toBe("timeout")
  await first.kill()
  await startServer("server#2")
  // The client may first try a connection that it still has from the server's former life.
  expect(["ECONNRESET", "timeout"]).toContain(await get("/", 200))
  expect(await get("/", 200)).toBe("timeout")
  expect(handled()).toBe(1)
  server.outage = undefined
  expect(await get()).toContain("127.")
})

test("a killed server refuses, its next life serves on the same port", async () => {
  const { startServer, get } = await talk(near(1_000))
  const first = await startServer("server#1")
  await get()
  await first.kill()
  /** The client may first try connections that it still has from a server's former life. */
  const fresh = async (): Promise<string> => {
    for (let tries = 0; tries < 3; tries++) {
      const got = await get()
      if (got !== "ECONNRESET") return got
    }
    return "ECONNRESET"
  }
  expect(await fresh()).toBe("ECONNREFUSED")
  await startServer("server#2")
  expect(await fresh()).toContain("127.")
})

test("a server that stands still accepts connections and answers them when it goes on", async () => {
  const { startServer, get } = await talk(near(1_000))
  const life = await startServer("server")
  life.process.pause()
  const answer = get()
  await sleep(50)
  life.process.resume()
  expect(await answer).toContain("127.")
})

test("no request crosses a partition, and all is well again when it heals", async () => {
  const { startServer, get, network } = await talk(near(1_000))
  await startServer("server")
  const heal = network.partition(["client"], ["server"], "both")
  expect(await get("/", 150)).toBe("timeout")
  heal()
  expect(await get()).toContain("127.")
})
