/** The nodes' programs on the ports of this host, and their failures in the command line's terms. */

import { resolve } from "node:path"
import { EXIT } from "@horizon/core/measure/run.ts"
import { dyingOfDefects } from "@horizon/real/defect.ts"
import { type HostOptions, type HostPorts, layerHost, storeUrl } from "@horizon/real/host.ts"
import { layerHttpServer } from "@horizon/real/http.ts"
import { layerStore } from "@horizon/real/store.ts"
import { openTraceStream, TraceStream } from "@horizon/real/trace.ts"
import { Effect, Layer } from "effect"
import { type CommandFailure, failure } from "./command.ts"
import type { NodeName } from "./node.ts"
import { logOptions } from "./node-settings.ts"
import type { Screen } from "./screen.ts"

/** What every failure of a node or a port has. */
export interface NodeFailure {
  readonly _tag: string
  readonly reason: string
  readonly message: string
}

/** Runs a node on this host until it is interrupted. `config` is decoded by `settingsOf(name)`. */
export const nodeProgram = (
  name: NodeName,
  config: Readonly<Record<string, any>>,
  screen: Screen
): Effect.Effect<never, CommandFailure> =>
  Effect.suspend(() => {
    const stream = openTraceStream(screen.environment, name)
    const trace = stream instanceof TraceStream ? stream : undefined
    if (typeof stream === "string") screen.err(`horizon ${name}: ${stream}`)
    return hostNode(name, config, {
      dataDirectory: resolve(config["dataDirectory"]),
      log: logOptions(name, config["logLevel"], config["logFormat"], screen),
      ...(trace === undefined ? {} : { trace: trace.writer(), onReady: (info) => trace.control("ready", info) })
    }).pipe(Effect.ensuring(trace?.flush ?? Effect.void))
  }).pipe(
    Effect.mapError((error) => nodeFailure(name, error)),
    Effect.andThen(Effect.fail(failure(EXIT.harness, `horizon ${name}: the node ended without being asked to`)))
  )

/** The node's own program with every port of this host that it needs. */
export const hostNode = (
  name: NodeName,
  config: Readonly<Record<string, any>>,
  host: HostOptions
): Effect.Effect<void, NodeFailure> =>
  Effect.flatMap(
    Effect.promise(() => load(name, config, host.dataDirectory)),
    (program) => dyingOfDefects(Effect.scoped(Effect.provide(program, layerHost(host))))
  )

type Program = Effect.Effect<void, NodeFailure, HostPorts>

const load = async (name: NodeName, config: any, dataDirectory: string): Promise<Program> => {
  switch (name) {
    case "broker": {
      const { broker } = await import("@horizon/broker/broker.ts")
      const ports = Layer.mergeAll(
        layerHttpServer({ host: config.listenAddress, port: config.port }),
        layerStore(config.store === "" || config.store === undefined ? storeUrl(dataDirectory) : config.store)
      )
      return Effect.provide(broker(config), ports)
    }
    case "gateway":
      return (await import("@horizon/gateway/gateway.ts")).gateway(config)
    case "client":
      return (await import("@horizon/client/client.ts")).client(config)
    case "game":
      return (await import("@horizon/game/game.ts")).game(config)
  }
}

/** A node's failure as one line and the documented exit code. */
export const nodeFailure = (name: string, error: NodeFailure): CommandFailure =>
  failure(exitCodeOf(error), `horizon ${name}: ${error.message.replace(/\s*\n\s*/g, " ")}`)

const exitCodeOf = (error: NodeFailure): number =>
  /corrupt/.test(error.reason) ? EXIT.corrupt : /^bad-/.test(error.reason) ? EXIT.usage : EXIT.unavailable
