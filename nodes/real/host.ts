/** The real world of one node: every port that a node may ask for, on this host. */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Entropy } from "@horizon/core/port/entropy.ts"
import type { HostFacts } from "@horizon/core/port/host-facts.ts"
import type { Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import { Trace, type TraceWriter } from "@horizon/core/port/trace.ts"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { layerEntropy } from "./entropy.ts"
import { layerHostFacts } from "./host-facts.ts"
import { layerHttpClient } from "./http.ts"
import { layerKeys } from "./keys.ts"
import { type LogOptions, layerLog, traceToLog, writeLog } from "./log.ts"
import { layerPacketIo, type PacketIo } from "./packet-io.ts"

export interface HostOptions {
  /** Keys lie in `keys` in it, the store in it. Made if it does not exist. */
  readonly dataDirectory: string
  readonly log: LogOptions
  /** Gets each trace event, besides the log. */
  readonly trace?: TraceWriter
  /** Called when the node serves, besides the log line. */
  readonly onReady?: (info: Readonly<Record<string, string | number>>) => void
}

export type HostPorts = PacketIo | Entropy | HostFacts | HttpClient | Keys

/** All ports but those that only the broker has (HTTP server, store). */
export const layerHost = (options: HostOptions): Layer.Layer<HostPorts, KeysError> =>
  Layer.mergeAll(
    layerPacketIo(),
    layerEntropy,
    layerHostFacts,
    layerHttpClient,
    Layer.unwrap(Effect.sync(() => layerKeys(keysDirectory(options.dataDirectory)))),
    layerLifecycle(options)
  ).pipe(Layer.provideMerge(Layer.merge(layerLog(options.log), layerTrace(options))))

/** Where the store lies if nothing else is said. */
export const storeUrl = (dataDirectory: string): string => `file:${join(dataDirectory, "broker.db")}`

const keysDirectory = (dataDirectory: string): string => {
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  } catch {
    // The key directory cannot be made either then, and its error says why.
  }
  return join(dataDirectory, "keys")
}

/** Events go to the log and to whoever else wants them. */
const layerTrace = ({ log, trace }: HostOptions): Layer.Layer<never> => {
  const toLog = traceToLog(log)
  const both: TraceWriter = (kind, fields) => {
    toLog(kind, fields)
    trace?.(kind, fields)
  }
  return Layer.succeedContext(Context.make(Trace, both))
}

const layerLifecycle = (options: HostOptions): Layer.Layer<never> =>
  Layer.succeedContext(
    Context.make(Lifecycle, {
      ready: (info) => {
        writeLog(options.log, "info", "ready", info, Date.now())
        options.onReady?.(info)
      }
    })
  )
