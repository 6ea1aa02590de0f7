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

/** Services a node program may ask of its world. */
type PortsOf<F> = F extends (config: any) => Effect.Effect<any, any, infer R> ? R : never
export type NodePorts = PortsOf<typeof broker> | PortsOf<typeof gateway> | PortsOf<typeof client> | PortsOf<typeof game>

export const nodeProgram = (
  spec: NodeSpec,
  addressOf: (host: string) => string
): Effect.Effect<void, unknown, NodePorts> => {
  const config = <S extends Settings>(settings: S): ConfigOf<S> => {
    for (const key of Object.keys(spec.config)) {
      if (settings[key] === undefined) throw new Error(`node ${spec.name}: there is no setting "${key}"`)
    }
    return configWith(settings, fillIn(spec.config, addressOf) as Partial<ConfigOf<S>>)
  }
  switch (spec.kind) {
    case "broker":
      return broker(config(brokerSettings))
    case "gateway":
      return gateway(config(gatewaySettings))
    case "client":
      return client(config(clientSettings))
    case "game":
      return game(config(gameSettings))
  }
}
