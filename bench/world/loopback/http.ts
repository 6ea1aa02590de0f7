/**
 * HTTP of the loopback world: the production client and server, between them the virtual network.
 *
 * The client's connections are byte streams of `sim/net` (a small TCP with loss, retransmission and NAT) in real time. Where a stream
 * comes out, at the server's host, a real TCP connection goes on to the real server, from the address that the server must see. An
 * outage acts in front of the server, on the host, so it lasts over the server's lives.
 */

import { createConnection, type Socket } from "node:net"
import { Duplex } from "node:stream"
import { assert } from "@horizon/core/assert.ts"
import type { OutageFault } from "@horizon/core/lab/fault.ts"
import { formatV4, parseV4 } from "@horizon/core/wire/address.ts"
import {
  CONNECT_MS,
  type Connect,
  type Connected,
  layerHttpClientOver,
  layerHttpServer as layerRealServer
} from "@horizon/real/http.ts"
import { LOOPBACK_ADDRESS, type SimHost } from "@horizon/sim/net/host.ts"
import { type Stream, type StreamEnd, type StreamHandler, StreamStack } from "@horizon/sim/net/stream.ts"
import { Effect, Layer } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { HttpServer } from "effect/http/HttpServer"
import type { Ground } from "./ground.ts"
import type { Life } from "./life.ts"
import type { LiveKernel } from "./live-kernel.ts"

type HttpOutage = OutageFault["mode"]

/** HTTP on one host, over all lives of the nodes on it. */
export class HttpHost {
  readonly host: SimHost
  readonly ground: Ground
  private readonly fronts = new Set<Front>()
  private present: HttpOutage | undefined

  constructor(host: SimHost, ground: Ground) {
    this.host = host
    this.ground = ground
  }

  /** `down`: connections are refused; `half`: accepted and never answered. */
  get outage(): HttpOutage | undefined {
    return this.present
  }

  set outage(outage: HttpOutage | undefined) {
    this.present = outage
    for (const front of this.fronts) front.handleOutage()
  }

  /** The client of one life of a node. */
  layerClient(life: Life): Layer.Layer<HttpClient> {
    return layerHttpClientOver(this.connectFor(life))
  }

  /** A server of one life of a node. */
  layerServer(life: Life, port: number) {
    const real = layerRealServer({ host: formatV4(this.ground.addresses.real(this.host.address)), port })
    const front = Effect.gen({ self: this }, function* () {
      const { address } = yield* HttpServer
      const front = new Front(this, life, "port" in address ? address.port : port)
      this.fronts.add(front)
      front.handleOutage()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          this.fronts.delete(front)
          front.stopListening()
        })
      )
    })
    return Layer.provideMerge(Layer.effectDiscard(front), real)
  }

  private connectFor(life: Life): Connect {
    const { addresses, kernel } = this.ground
    return (name, port, done) => {
      const real = name === "localhost" ? LOOPBACK_ADDRESS : parseV4(name)
      const address = real === undefined ? 0 : addresses.planned(real)
      const connection = new Connection(life, `${name}:${port}`, done)
      if (address === 0) return connection.fail("EHOSTUNREACH", "it is no address of the lab")
      kernel.enterCall(() => {
        const stream = StreamStack.of(this.host).connect(life.process, address, port, connection.handler)
        if (stream === undefined) connection.fail("EADDRNOTAVAIL", `${this.host.name} has no free port`)
        else connection.open(live(stream, kernel))
      })
    }
  }
}

/** The stream for who calls it from outside of the kernel's runs. */
const live = (stream: Stream, kernel: LiveKernel): Stream => ({
  remoteAddress: stream.remoteAddress,
  remotePort: stream.remotePort,
  send: (bytes) => {
    kernel.enterCall(() => {
      // As of a peer that ran out of memory: nothing here asks for 32 MiB at once.
      if (!stream.send(bytes)) stream.abort()
    })
    return true
  },
  end: () => kernel.enterCall(() => stream.end()),
  abort: () => kernel.enterCall(() => stream.abort())
})

/** The client's end of a stream, as the connection that Node's client expects. */
class Connection extends Duplex {
  private readonly life: Life
  private readonly place: string
  private readonly done: Connected
  private readonly timeout: NodeJS.Timeout
  private stream: Stream | undefined
  private opened = false

  constructor(life: Life, place: string, done: Connected) {
    super()
    this.life = life
    this.place = place
    this.done = done
    this.timeout = setTimeout(() => this.fail("ETIMEDOUT", `no answer in ${CONNECT_MS} ms`), CONNECT_MS)
    life.process.atDeath(() => clearTimeout(this.timeout))
  }

  open(stream: Stream): void {
    this.stream = stream
    if (this.destroyed) stream.abort()
  }

  readonly handler: StreamHandler = {
    onOpen: () => {
      clearTimeout(this.timeout)
      this.opened = true
      // Never from within a run of the kernel, in which another node may be on the stack.
      setImmediate(this.done, null, this)
    },
    onData: (bytes) => {
      this.push(bytes)
    },
    onEnd: () => {
      this.push(null)
    },
    onClose: (end) => {
      this.stream = undefined
      if (!this.opened || end !== "closed") this.fail(CODES[end], `connection ${end}`)
    }
  }

  /** The connection is not made, or lost. */
  fail(code: string, words: string): void {
    const error = Object.assign(new Error(`${code}: ${this.place}: ${words}`), { code })
    if (this.opened) this.destroy(error)
    else if (!this.destroyed) {
      setImmediate(this.done, error, null)
      this.destroy()
    }
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _: BufferEncoding, written: (error?: Error | null) => void): void {
    // Its own copy: the writer may use the bytes again.
    this.stream?.send(Uint8Array.from(chunk))
    written()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.stream?.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.timeout)
    // A dead process resets nothing: the system forgets its connections.
    if (this.life.alive) this.stream?.abort()
    this.stream = undefined
    done(error)
  }
}

const CODES: Readonly<Record<StreamEnd, string>> = {
  closed: "ECONNRESET",
  refused: "ECONNREFUSED",
  reset: "ECONNRESET",
  timeout: "ETIMEDOUT"
}

/** What lies in front of one listening server: its port on the virtual network. */
class Front {
  readonly http: HttpHost
  readonly port: number
  readonly passages = new Set<Passage>()
  private readonly life: Life
  private unlisten: (() => void) | undefined

  constructor(http: HttpHost, life: Life, port: number) {
    this.http = http
    this.life = life
    this.port = port
    life.process.atDeath(() => {
      for (const passage of [...this.passages]) passage.vanish()
    })
  }

  handleOutage(): void {
    if (this.http.outage === "down") {
      this.stopListening()
      for (const passage of [...this.passages]) passage.cut()
    } else this.unlisten ??= this.listen()
  }

  /** Accepts nothing more. What is open goes on as long as its server lets it. */
  stopListening(): void {
    this.unlisten?.()
    this.unlisten = undefined
  }

  private listen(): () => void {
    const unlisten = StreamStack.of(this.http.host).listen(this.life.process, this.port, (stream) => {
      const passage = new Passage(this, live(stream, this.http.ground.kernel))
      this.passages.add(passage)
      return passage.handler
    })
    assert(unlisten !== undefined, "the machine gives a port of a host to one server at a time")
    return unlisten
  }
}

/** One connection: from the virtual network to the real server and back. */
class Passage {
  private readonly front: Front
  private readonly stream: Stream
  private real: Socket | undefined
  /** Said something during a half outage, and stays without an answer after it too. */
  private ignored = false
  private over = false

  constructor(front: Front, stream: Stream) {
    this.front = front
    this.stream = stream
  }

  readonly handler: StreamHandler = {
    onData: (bytes) => {
      if (this.isIgnored()) return
      this.real ??= this.connect()
      this.real.write(bytes)
    },
    onEnd: () => {
      if (this.real === undefined) this.cut()
      else this.real.end()
    },
    onClose: () => this.vanish()
  }

  /** Ends both sides at once. */
  cut(): void {
    if (!this.over) this.stream.abort()
    this.vanish()
  }

  /** Ends the server's side only. */
  vanish(): void {
    this.over = true
    this.front.passages.delete(this)
    this.real?.destroy()
  }

  private connect(): Socket {
    const { http, port } = this.front
    const host = formatV4(http.ground.addresses.real(http.host.address))
    const localAddress = formatV4(http.ground.addresses.real(this.stream.remoteAddress))
    const real = createConnection({ host, port, localAddress, allowHalfOpen: true, noDelay: true })
    real.on("data", (bytes) => {
      if (!this.isIgnored() && !this.over) this.stream.send(Uint8Array.from(bytes))
    })
    real.on("end", () => {
      if (!this.isIgnored() && !this.over) this.stream.end()
    })
    // The server, or its process, went away: so does the connection. `close` follows.
    real.on("error", () => {})
    real.on("close", (failed) => {
      if (failed && !this.isIgnored()) this.cut()
    })
    return real
  }

  private isIgnored(): boolean {
    this.ignored ||= this.front.http.outage === "half"
    return this.ignored
  }
}
