/** The real world of one node: every port that a node may ask for, on this host. */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Clock } from "@horizon/core/port/clock.ts"
import type { Crypto } from "@horizon/core/port/crypto.ts"
import type { Entropy } from "@horizon/core/port/entropy.ts"
import type { HostFacts } from "@horizon/core/port/host-facts.ts"
import type { Keys, KeysError } from "@horizon/core/port/keys.ts"
import { Lifecycle } from "@horizon/core/port/lifecycle.ts"
import type { Tun } from "@horizon/core/port/tun.ts"
import type { Udp } from "@horizon/core/port/udp.ts"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { layerClock } from "./clock.ts"
import { layerCrypto } from "./crypto.ts"
import { layerEntropy } from "./entropy.ts"
import { layerHostFacts } from "./host-facts.ts"
import { layerHttpClient } from "./http.ts"
import { layerKeys } from "./keys.ts"
import { type LogOptions, layerLog, writeLog } from "./log.ts"
import { layerTun } from "./tun.ts"
import { layerUdp } from "./udp.ts"

export interface HostOptions {
  /** Keys lie in `keys` in it, the store in it. Made if it does not exist. */
  readonly dataDirectory: string
  readonly log: LogOptions
  /** Called when the node serves, besides the log line. */
  readonly onReady?: (info: Readonly<Record<string, string | number>>) => void
}

export type HostPorts = Clock | Crypto | Entropy | HostFacts | HttpClient | Keys | Tun | Udp

/** All ports but those that only the broker has (HTTP server, store). */
export const layerHost = (options: HostOptions): Layer.Layer<HostPorts, KeysError> =>
  Layer.mergeAll(
    Layer.provideMerge(layerUdp, layerClock),
    layerCrypto,
    layerEntropy,
    layerHostFacts,
    layerHttpClient,
    Layer.unwrap(Effect.sync(() => layerKeys(keysDirectory(options.dataDirectory)))),
    layerTun,
    layerLifecycle(options)
  ).pipe(Layer.provideMerge(layerLog(options.log)))

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

const layerLifecycle = (options: HostOptions): Layer.Layer<never> =>
  Layer.succeedContext(
    Context.make(Lifecycle, {
      ready: (info) => {
        writeLog(options.log, "info", "ready", info, Date.now())
        options.onReady?.(info)
      }
    })
  )
