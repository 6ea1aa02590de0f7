import type { Topology } from "@horizon/core/lab/topology.ts"
import { type HttpInstance, httpContract } from "@horizon/core/port/http.contract.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { Effect, Stream as EffectStream, Exit, Fiber, Layer } from "effect"
import {
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { expect, test } from "vitest"
import { drive } from "../kernel/drive.ts"
import { Kernel, type KernelOptions } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { Network } from "../net/network.ts"
import { CONNECTIONS_MAX, type Stream, StreamStack } from "../net/stream.ts"
import { layerHttpServer, setOutage } from "./http.ts"
import { layerHttpClient } from "./http-client.ts"

const LAN: Topology = {
  subnets: { lan: { cidr: "10.0.0.0/24" } },
  hosts: { client: { subnet: "lan", up: { delayUs: 2_000 }, down: { delayUs: 2_000 } }, server: { subnet: "lan" } },
  routers: {}
}

const NAT: Topology = {
  subnets: { home: { cidr: "192.168.1.0/24" }, internet: { cidr: "203.0.113.0/24" } },
  hosts: { client: { subnet: "home" }, server: { subnet: "internet", address: "203.0.113.9" } },
  routers: {
    nat: {
      subnets: ["home", "internet"],
      nat: { kind: "symmetric", outside: "internet", udpTimeoutMs: 30_000, hairpin: false }
    }
  }
}

const boot = (topology = LAN, seed = 1, order: Omit<KernelOptions, "seed"> = {}) => {
  const kernel = new Kernel({ seed, ...order })
  const network = new Network(kernel, topology)
  const logs: Array<string> = []
  const start = (name: string) =>
    new Process({ kernel, name, wall: new WallClock(kernel, 0), log: (message) => logs.push(message) })
  return { kernel, network, start, logs, client: network.host("client"), server: network.host("server") }
}

for (const [name, order] of [
  ["simulated", {}],
  ["simulated in random order with pre-emption", { order: "random", preemptPpm: 200_000 }]
] as const)
  httpContract({
    name,
    open: (): HttpInstance => {
      const { client, server, start } = boot(LAN, 1, order)
      const process = start("both")
      return {
        run: (effect) => drive(process, effect),
        server: layerHttpServer(server, process, 0),
        client: layerHttpClient(client, process),
        urlOf: (port) => `http://${formatV4(server.address)}:${port}`,
        clientAddress: formatV4(client.address),
        closedUrl: `http://${formatV4(server.address)}:9`
      }
    }
  })

/** A server in one process, a client in another. */
const serving = (topology = LAN, seed = 1) => {
  const bench = boot(topology, seed)
  const seen: Array<string> = []
  const route = (
    path: `/${string}`,
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>
  ) => HttpRouter.use((router) => router.add("*", path, Effect.orDie(handler)))
  const routes = Layer.mergeAll(
    route(
      "/",
      Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
        seen.push(request.method)
        return HttpServerResponse.text(
          request.remoteAddress.pipe((address) => (address._tag === "Some" ? address.value : ""))
        )
      })
    ),
    route(
      "/never",
      Effect.onInterrupt(
        Effect.suspend(() => {
          seen.push("started")
          return Effect.never
        }),
        () => Effect.sync(() => seen.push("interrupted"))
      )
    ),
    route("/stream", Effect.succeed(HttpServerResponse.stream(EffectStream.make(new Uint8Array(3))))),
    route("/header", Effect.succeed(HttpServerResponse.text("", { headers: { "x-bad": "\u2603" } }))),
    route(
      "/huge",
      Effect.sync(() => HttpServerResponse.uint8Array(new Uint8Array(33 << 20)))
    )
  )
  const node = Effect.never.pipe(
    Effect.provide(
      HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(Layer.unwrap(Effect.sync(() => layerHttpServer(bench.server, processes.at(-1)!, 80))))
      )
    )
  )
  const processes: Array<Process> = []
  const startServer = () => {
    const process = bench.start(`server#${processes.length + 1}`)
    processes.push(process)
    return { process, fiber: process.fork(node) }
  }
  const first = startServer()
  bench.kernel.run(1e6)
  const client = bench.start("client")
  const url = `http://${formatV4(bench.server.address)}`
  const ask = (
    path: string,
    change: (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest = (same) => same
  ) =>
    HttpClient.HttpClient.pipe(
      Effect.flatMap((http) => http.execute(change(HttpClientRequest.get(`${url}${path}`)))),
      Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
      Effect.provide(layerHttpClient(bench.client, client))
    )
  const get = (path: string) => drive(client, ask(path))
  const fail = (path: string, change?: Parameters<typeof ask>[1]): HttpClientError.HttpClientError =>
    drive(client, Effect.flip(ask(path, change)))
  const codeOf = (error: HttpClientError.HttpClientError) =>
    `${error.reason._tag} ${(error.cause as { code?: string } | undefined)?.code ?? ""}`.trim()
  return { ...bench, seen, ask, get, fail, codeOf, client: client, host: bench.client, startServer, url, ...first }
}

test("the handler sees the address that its packets show: behind a NAT, the NAT's", () => {
  expect(serving().get("/").text).toBe("10.0.0.1")
  expect(serving(NAT).get("/").text).toMatch(/^203\.0\.113\./)
})

test("a request takes a round trip for the connection and one for the answer", () => {
  const { kernel, get } = serving()
  const before = kernel.nowNs
  get("/")
  expect((kernel.nowNs - before) / 1e6).toBeCloseTo(8, 1)
})

test("an outage `down` refuses, cuts what runs, lasts over a restart, and ends when it is taken away", () => {
  const { kernel, get, fail, codeOf, ask, client, server, process, startServer, seen } = serving()
  const running = client.fork(Effect.exit(ask("/never")))
  kernel.run(kernel.nowNs + 1e9)
  setOutage(server, "down")
  kernel.run(kernel.nowNs + 1e9)
  expect(Exit.isSuccess(running.pollUnsafe()!) && running.pollUnsafe()).toMatchObject({ value: { _tag: "Failure" } })
  expect(seen).toEqual(["started", "interrupted"])
  expect(codeOf(fail("/"))).toBe("TransportError ECONNREFUSED")
  process.kill()
  startServer()
  expect(codeOf(fail("/"))).toBe("TransportError ECONNREFUSED")
  setOutage(server, undefined)
  expect(get("/").status).toBe(200)
})

test("an outage `half` accepts and never answers, requests under way included, and new ones are answered after it", () => {
  const { kernel, get, ask, client, server, seen } = serving()
  setOutage(server, "half")
  const stuck = client.fork(ask("/"))
  expect(Exit.isFailure(drive(client, Effect.exit(Effect.timeout(ask("/"), "30 seconds"))))).toBe(true)
  setOutage(server, undefined)
  expect(get("/").status).toBe(200)
  kernel.run(kernel.nowNs + 600e9)
  expect(stuck.pollUnsafe()).toBeUndefined()
  expect(seen).toEqual(["GET"])
})

test("an answer that becomes ready during `half` is not sent", () => {
  const bench = boot()
  const process = bench.start("server")
  process.fork(
    Effect.never.pipe(
      Effect.provide(
        HttpRouter.serve(
          HttpRouter.use((router) =>
            router.add("GET", "/", Effect.andThen(Effect.sleep(1000), Effect.succeed(HttpServerResponse.text("late"))))
          ),
          { disableLogger: true, disableListenLog: true }
        ).pipe(Layer.provide(layerHttpServer(bench.server, process, 80)))
      )
    )
  )
  const client = bench.start("client")
  const fiber = client.fork(
    HttpClient.HttpClient.pipe(
      Effect.flatMap((http) => http.get(`http://${formatV4(bench.server.address)}/`)),
      Effect.provide(layerHttpClient(bench.client, client))
    )
  )
  bench.kernel.run(5e8)
  setOutage(bench.server, "half")
  bench.kernel.run(60e9)
  expect(fiber.pollUnsafe()).toBeUndefined()
})

test("a killed server is refused at once; its successor on the same port serves", () => {
  const { kernel, get, fail, codeOf, process, server, startServer, ask, client } = serving()
  const running = client.fork(Effect.exit(ask("/never")))
  kernel.run(kernel.nowNs + 1e9)
  process.kill()
  server.reset()
  expect(codeOf(fail("/"))).toBe("TransportError ECONNREFUSED")
  startServer()
  expect(get("/").status).toBe(200)
  kernel.run(kernel.nowNs + 120e9)
  expect(running.pollUnsafe()).toMatchObject({ value: { _tag: "Failure" } })
})

test("a killed client interrupts its handler when the keep-alive finds it gone", () => {
  const { kernel, ask, client, seen, server } = serving()
  client.fork(ask("/never"))
  kernel.run(kernel.nowNs + 1e9)
  client.kill()
  kernel.run(kernel.nowNs + 60e9)
  expect(seen).toEqual(["started", "interrupted"])
  expect(StreamStack.of(server).count).toBe(0)
})

test("a partition times the connection attempt out after ten seconds", () => {
  const { kernel, network, fail, codeOf } = serving()
  network.partition(["client"], ["server"], "both")
  const before = kernel.nowNs
  expect(codeOf(fail("/"))).toBe("TransportError ETIMEDOUT")
  expect((kernel.nowNs - before) / 1e9).toBeCloseTo(10, 2)
})

test("requests over a bad link are answered all the same, and one that is lost for good says so", () => {
  const bad: Topology = {
    ...LAN,
    hosts: {
      client: {
        subnet: "lan",
        up: { delayUs: 20_000, lossPpm: 100_000 },
        down: { delayUs: 20_000, jitterUs: 5_000, lossPpm: 100_000 }
      },
      server: { subnet: "lan" }
    }
  }
  const { ask, client } = serving(bad)
  const outcomes = drive(
    client,
    Effect.forEach(Array.from({ length: 60 }), () => Effect.exit(ask("/")))
  )
  const good = outcomes.filter(Exit.isSuccess)
  expect(good.length).toBeGreaterThan(55)
  expect(good.every((exit) => exit.value.text === "10.0.0.1")).toBe(true)
})

test("a process that is paused answers when it goes on", () => {
  const { kernel, ask, client, process } = serving()
  process.pause()
  const fiber = client.fork(ask("/"))
  kernel.run(kernel.nowNs + 5e9)
  expect(fiber.pollUnsafe()).toBeUndefined()
  process.resume()
  kernel.run(kernel.nowNs + 1e9)
  expect(fiber.pollUnsafe()).toMatchObject({ value: { status: 200 } })
})

test("streaming bodies are refused in words, on both sides", () => {
  const { get, fail, logs } = serving()
  expect(get("/stream")).toEqual({
    status: 500,
    text: "the simulated HTTP server sends whole bodies only: answer with bytes, text or JSON instead of Stream"
  })
  expect(logs.join()).toContain("GET /stream: the simulated HTTP server sends whole bodies only")
  const error = fail("/", HttpClientRequest.setBody(HttpBody.stream(EffectStream.make(new Uint8Array(1)))))
  expect(error.reason._tag).toBe("EncodeError")
  expect(error.message).toContain("a Stream body cannot be sent")
})

test("what cannot be asked for is an error that says why", () => {
  const { fail, codeOf, url } = serving()
  const to = (address: string) => HttpClientRequest.setUrl(address)
  expect(codeOf(fail("/", to("https://10.0.0.2/")))).toBe("TransportError EPROTO")
  expect(codeOf(fail("/", to("http://broker/")))).toBe("TransportError ENOTFOUND")
  expect(codeOf(fail("/", to("http://localhost:81/")))).toBe("TransportError ECONNREFUSED")
  expect(codeOf(fail("/", HttpClientRequest.setHeader("x-a", "\u2603")))).toBe("EncodeError")
  expect(codeOf(fail("/", HttpClientRequest.bodyUint8Array(new Uint8Array(33 << 20))))).toBe("EncodeError")
  expect(fail("/", to(`${url}:1/`)).message).toContain("10.0.0.2:1: connection refused")
})

test("a request body above the limit is a 413, an answer that cannot be written a 500 or a broken connection", () => {
  const { get, fail, codeOf, client, ask } = serving()
  const large = drive(client, ask("/", HttpClientRequest.bodyUint8Array(new Uint8Array((16 << 20) + 1))))
  expect(large).toEqual({ status: 413, text: "the request's body is too large" })
  expect(get("/header")).toEqual({ status: 500, text: "" })
  expect(codeOf(fail("/huge"))).toBe("TransportError ECONNRESET")
})

test("bytes that are no request are answered by 400, a head without end by 431, and half a request by nothing", () => {
  const { kernel, host, server, client } = serving()
  const speak = (text: string, end = false): string => {
    let answer = ""
    const stream: Stream = StreamStack.of(host).connect(client, server.address, 80, {
      onData: (bytes) => (answer += String.fromCharCode(...bytes)),
      onEnd: () => stream.end(),
      onClose: (outcome) => (answer += outcome)
    })!
    stream.send(Uint8Array.from(text, (character) => character.charCodeAt(0)))
    if (end) stream.end()
    kernel.run(kernel.nowNs + 1e9)
    return answer
  }
  expect(speak("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*the request line is malformedclosed$/)
  expect(speak("GET / HTTP/1.1\r\nnonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*the request is malformedclosed$/)
  expect(speak(`GET / HTTP/1.1\r\na: ${"x".repeat(20_000)}`)).toMatch(/^HTTP\/1\.1 431 /)
  expect(speak("GET / HTTP/1.1\r\n", true)).toBe("reset")
  expect(StreamStack.of(server).count).toBe(0)
})

test("what travels is a plain request: method, target, host and the headers that were asked for", () => {
  const bench = boot()
  const fake = bench.start("fake")
  let heard = ""
  StreamStack.of(bench.server).listen(fake, 80, () => ({
    onData: (bytes) => (heard += String.fromCharCode(...bytes)),
    onEnd: () => {},
    onClose: () => {}
  }))
  const client = bench.start("client")
  client.fork(
    HttpClient.HttpClient.pipe(
      Effect.flatMap((http) =>
        http.get(`http://${formatV4(bench.server.address)}/a?b=c%20d`, { headers: { "X-A": "1" } })
      ),
      Effect.provide(layerHttpClient(bench.client, client))
    )
  )
  bench.kernel.run(1e9)
  expect(heard).toBe(
    "GET /a?b=c%20d HTTP/1.1\r\nhost: 10.0.0.2\r\nconnection: close\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n"
  )
})

test("what is no answer is a transport error", () => {
  const answers = [
    "nonsense\r\n\r\n",
    "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
    ""
  ]
  const codes = answers.map((answer) => {
    const bench = boot()
    const fake = bench.start("fake")
    StreamStack.of(bench.server).listen(fake, 80, (stream) => {
      stream.send(Uint8Array.from(answer, (character) => character.charCodeAt(0)))
      stream.end()
      return { onData: () => {}, onEnd: () => {}, onClose: () => {} }
    })
    const client = bench.start("client")
    const error = drive(
      client,
      HttpClient.HttpClient.pipe(
        Effect.flatMap((http) => Effect.flip(http.get(`http://${formatV4(bench.server.address)}`))),
        Effect.provide(layerHttpClient(bench.client, client))
      )
    )
    return `${error.reason._tag} ${(error.cause as { code: string }).code}`
  })
  expect(codes).toEqual([
    "TransportError EPROTO",
    "TransportError EPROTO",
    "TransportError ECONNRESET",
    "TransportError ECONNRESET"
  ])
})

test("a taken port is refused in words, and a server without routes answers 503", () => {
  const bench = boot()
  const [one, two] = [bench.start("one"), bench.start("two")]
  one.fork(Effect.never.pipe(Effect.provide(layerHttpServer(bench.server, one, 80))))
  bench.kernel.run(1e6)
  const error = drive(two, Effect.flip(Effect.provide(HttpServer.HttpServer, layerHttpServer(bench.server, two, 80))))
  expect(String(error.cause)).toContain("EADDRINUSE: port 80 of server is in use")
  const status = drive(
    two,
    HttpClient.HttpClient.pipe(
      Effect.flatMap((http) => http.get(`http://${formatV4(bench.server.address)}/`)),
      Effect.map((response) => response.status),
      Effect.provide(layerHttpClient(bench.client, two))
    )
  )
  expect(status).toBe(503)
})

test("a host without a free connection says so", () => {
  const { fail, codeOf, client, host, server } = serving()
  const silent = { onData: () => {}, onEnd: () => {}, onClose: () => {} }
  for (let i = 0; i < CONNECTIONS_MAX; i++) StreamStack.of(host).connect(client, server.address, 80, silent)
  const error = fail("/")
  expect(codeOf(error)).toBe("TransportError EADDRNOTAVAIL")
  expect(error.message).toContain("client has no free port or connection")
})

test("a stopping server gives requests three seconds, then cuts them and interrupts their handlers", () => {
  const { kernel, ask, client, seen, fiber, fail, codeOf } = serving()
  const running = client.fork(Effect.exit(ask("/never")))
  kernel.run(kernel.nowNs + 1e9)
  fiber.interruptUnsafe()
  kernel.run(kernel.nowNs + 2.9e9)
  expect(codeOf(fail("/"))).toBe("TransportError ECONNREFUSED")
  expect(fiber.pollUnsafe()).toBeUndefined()
  kernel.run(kernel.nowNs + 1e9)
  expect(fiber.pollUnsafe()).toBeDefined()
  expect(seen).toEqual(["started", "interrupted"])
  expect(drive(client, Fiber.join(running))).toMatchObject({ _tag: "Failure" })
})

test("the digest sees the bytes of every exchange", () => {
  const digest = (text: string): string => {
    const { kernel, client, ask } = serving()
    drive(client, ask("/", HttpClientRequest.bodyText(text)))
    return kernel.digest.hex()
  }
  expect(digest("aaaa")).toBe(digest("aaaa"))
  expect(digest("aaab")).not.toBe(digest("aaaa"))
})
