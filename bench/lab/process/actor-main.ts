/**
 * The process in which all actors of one host run, on the real layers. It is told by its standard input (actor-words.ts) and says what
 * it sees on descriptor 3, as nodes do: `ready` when it can start actors, `failed` with a cause if one of them ended in a failure.
 */

import { join } from "node:path"
import { createInterface } from "node:readline"
import { Trace } from "@horizon/core/port/trace.ts"
import { Arena } from "@horizon/real/arena.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { layerCrypto } from "@horizon/real/crypto.ts"
import { layerEntropy } from "@horizon/real/entropy.ts"
import { layerHttpClient } from "@horizon/real/http.ts"
import { layerKeys } from "@horizon/real/keys.ts"
import { layerPacketIo } from "@horizon/real/packet-io.ts"
import { monotonicNs, openTraceStream, TraceStream } from "@horizon/real/trace.ts"
import { layerUdp } from "@horizon/real/udp.ts"
import { Directory } from "@horizon/scenarios/actor/actor.ts"
import { actorProgram } from "@horizon/scenarios/actor/registry.ts"
import type { ActorSpec } from "@horizon/scenarios/scenario.ts"
import { Cause, Context, Effect, Fiber, Layer, References } from "effect"
import type { ActorWord } from "./actor-words.ts"
import { layerTunnelUdp, TunnelAddress } from "./tunnel-udp.ts"

/** The actors of a host and what they know of the lab. */
class ActorHost {
  private readonly trace: TraceStream
  private host = ""
  private directory = ""
  private originNs = 0
  private readonly addresses = new Map<string, string>()
  private readonly tunnels = new Map<string, string>()
  private readonly ownTunnel = new TunnelAddress()
  private readonly fibers: Array<Fiber.Fiber<void, unknown>> = []

  constructor(trace: TraceStream) {
    this.trace = trace
  }

  hear(word: ActorWord): void {
    switch (word.word) {
      case "host":
        this.host = word.host
        this.directory = word.directory
        this.originNs = word.originNs
        return
      case "address":
        this.addresses.set(word.host, word.address)
        return
      case "tunnel":
        if (word.address === null) this.tunnels.delete(word.host)
        else this.tunnels.set(word.host, word.address)
        if (word.host === this.host) this.ownTunnel.set(word.address ?? undefined)
        return
      case "start":
        return this.start(word.actor)
    }
  }

  /** Ends all actors. */
  async close(): Promise<void> {
    await Effect.runPromise(Fiber.interruptAll(this.fibers))
    await Effect.runPromise(this.trace.flush)
  }

  private start(spec: ActorSpec): void {
    const program = actorProgram(spec.kind, spec.params)
    if (program === undefined) return this.failed(spec.name, `there is no kind of actor "${spec.kind}"`)
    const quiet = Effect.provideService(Effect.provide(program, this.ports(spec)), References.MinimumLogLevel, "None")
    const fiber = Effect.runFork(quiet)
    this.fibers.push(fiber)
    fiber.addObserver((exit) => {
      if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause))
        this.failed(spec.name, Cause.pretty(exit.cause))
    })
  }

  private failed(name: string, cause: string): void {
    this.trace.control("failed", { cause }, name)
  }

  private ports(spec: ActorSpec) {
    const plain = Layer.provide(layerUdp, layerClock)
    const directory = Directory.of({
      self: spec.name,
      host: spec.host,
      address: (host) => this.addresses.get(host) ?? "",
      tunnelAddress: (host) => this.tunnels.get(host),
      worldNs: () => monotonicNs() - this.originNs
    })
    return Layer.mergeAll(
      layerEntropy,
      layerHttpClient,
      layerKeys(join(this.directory, spec.name)),
      spec.over === "network"
        ? packetIo
        : Layer.mergeAll(layerClock, layerCrypto, Layer.provide(layerTunnelUdp(this.ownTunnel), plain)),
      Layer.succeed(Directory)(directory),
      Layer.succeedContext(Context.make(Trace, this.trace.writer(spec.name)))
    )
  }
}

/** One slab for all actors of the host. */
const packetIo = layerPacketIo(new Arena())
const trace = openTraceStream(process.env, "actors")
if (!(trace instanceof TraceStream)) throw new Error(trace ?? "actors are started by a world, which reads their trace")
const host = new ActorHost(trace)
const words = createInterface({ input: process.stdin })
words.on("line", (line) => host.hear(JSON.parse(line)))
// The world has gone, or has said all: either way there is nobody to act for.
words.on("close", () => void host.close().finally(() => process.exit(0)))
process.on("SIGTERM", () => words.close())
trace.control("ready", {})
