/** From a node in a scenario to the program that runs it: the same in every world. */

import { broker } from "@horizon/broker/broker.ts"
import { brokerSettings } from "@horizon/broker/settings.ts"
import { client } from "@horizon/client/client.ts"
import { clientSettings } from "@horizon/client/settings.ts"
import type { ConfigOf, Settings } from "@horizon/core/port/config.ts"
import { configWith } from "@horizon/core/port/config.ts"
import { game } from "@horizon/game/game.ts"
import { gameSettings } from "@horizon/game/settings.ts"
import { gateway } from "@horizon/gateway/gateway.ts"
import { gatewaySettings } from "@horizon/gateway/settings.ts"
import type { NodeSpec } from "@horizon/scenarios/scenario.ts"
import type { Effect } from "effect"

/** Replaces every `{host}` in texts by the address of that host in the world. */
export const fillIn = <A>(value: A, addressOf: (host: string) => string): A => {
  if (typeof value === "string") return value.replace(/\{([a-z0-9-]+)\}/g, (_, host) => addressOf(host)) as A
  if (Array.isArray(value)) return value.map((item) => fillIn(item, addressOf)) as A
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillIn(item, addressOf)])) as A
  }
  return value
}

/** The program of a node. A broker needs an HTTP server and a store besides what every node needs, so a world tells the two apart. */
export type NodeProgram =
  | { readonly kind: "broker"; readonly run: ReturnType<typeof broker>; readonly port: number }
  | { readonly kind: "plain"; readonly run: Effect.Effect<void, unknown, PlainPorts> }

type PortsOf<E> = E extends Effect.Effect<any, any, infer R> ? R : never
type PlainPorts = PortsOf<ReturnType<typeof gateway> | ReturnType<typeof client> | ReturnType<typeof game>>

export const nodeProgram = (spec: NodeSpec, addressOf: (host: string) => string): NodeProgram => {
  const config = <S extends Settings>(settings: S): ConfigOf<S> => {
    for (const key of Object.keys(spec.config)) {
      if (settings[key] === undefined) throw new Error(`node ${spec.name}: there is no setting "${key}"`)
    }
    return configWith(settings, fillIn(spec.config, addressOf) as Partial<ConfigOf<S>>)
  }
  switch (spec.kind) {
    case "broker": {
      const settings = config(brokerSettings)
      return { kind: "broker", run: broker(settings), port: settings.port }
    }
    case "gateway":
      return { kind: "plain", run: gateway(config(gatewaySettings)) }
    case "client":
      return { kind: "plain", run: client(config(clientSettings)) }
    case "game":
      return { kind: "plain", run: game(config(gameSettings)) }
  }
}
