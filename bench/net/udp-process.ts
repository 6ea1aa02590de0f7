/** The process side of bench/net/udp-program.ts: its command line, its life, and its one line of result. */

import { type Endpoint, parseEndpoint } from "@horizon/core/wire/address.ts"
import { Effect, type Layer, type Scope } from "effect"
import type { UdpResult } from "./udp-program.ts"

/** Runs the body of a program on the ports that it needs. */
export const runProgram = <Ports>(
  layer: Layer.Layer<Ports>,
  body: Effect.Effect<void, unknown, Ports | Scope.Scope>
): Promise<void> => Effect.runPromise(Effect.scoped(body).pipe(Effect.provide(layer)) as Effect.Effect<void, unknown>)

/** Receivers count until SIGTERM. */
export const untilStopped = Effect.callback<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

export const sayReady = (port: number): void => console.log(JSON.stringify({ ready: true, port }))

export const sayResult = (result: UdpResult): void => console.log(JSON.stringify(result))

export const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

export const numberOption = (name: string, otherwise: number): number => Number(option(name) ?? otherwise)

export const endpointOption = (name: string): Endpoint => {
  const endpoint = parseEndpoint(option(name) ?? "")
  if (endpoint === undefined) throw new Error(`--${name} must be address:port, not ${option(name) ?? "missing"}`)
  return endpoint
}

/** `--offload off` binds without segmentation offload. */
export const offloadOption = (): { readonly offload?: boolean } =>
  option("offload") === "off" ? { offload: false } : {}

/** CPU time and duration of something that is going on. */
export class Stopwatch {
  private firstNs = 0
  private lastNs = 0
  private cpu = process.cpuUsage()

  /** Something happened at `nowNs`; the first time starts the watch. */
  tick(nowNs: number): void {
    if (this.firstNs === 0) {
      this.firstNs = nowNs
      this.cpu = process.cpuUsage()
    }
    this.lastNs = nowNs
  }

  /** From the first tick to the last one; CPU time until now. */
  read(): Pick<UdpResult, "seconds" | "userSeconds" | "systemSeconds"> {
    const { system, user } = process.cpuUsage(this.cpu)
    return { seconds: (this.lastNs - this.firstNs) / 1e9, userSeconds: user / 1e6, systemSeconds: system / 1e6 }
  }
}
