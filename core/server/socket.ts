/** A node's UDP socket: bound as configured, and the address at which others are told to reach it. */

import { Effect, type Scope } from "effect"
import { Udp, type UdpSocket } from "../port/udp.ts"
import { type Endpoint, parseAddress } from "../wire/address.ts"
import { badSetting, fromUdp, type NodeError } from "./node-error.ts"
import type { ServerConfig, ServerWords } from "./settings.ts"

/** Binds the socket; it is closed with the scope. */
export const bindSocket = (
  config: Pick<ServerConfig, "listenAddress" | "port">
): Effect.Effect<UdpSocket, NodeError, Udp | Scope.Scope> =>
  Effect.gen(function* () {
    const udp = yield* Udp
    const address = config.listenAddress === "" ? {} : { address: config.listenAddress }
    return yield* udp.bind({ ...address, port: config.port })
  }).pipe(Effect.mapError(fromUdp))

/** Where peers are told to connect: as configured, else where the socket listens. */
export const advertisedEndpoint = (
  config: Pick<ServerConfig, "advertiseAddress" | "advertisePort">,
  { node, peers }: ServerWords,
  local: Endpoint
): Effect.Effect<Endpoint, NodeError> => {
  const address = config.advertiseAddress === "" ? local.address : config.advertiseAddress
  const port = config.advertisePort === 0 ? local.port : config.advertisePort
  if (!parseAddress(address, new Uint32Array(4), 0))
    return Effect.fail(
      badSetting(`advertiseAddress: "${address}" is no IPv4 or IPv6 address (names are not resolved).`)
    )
  if (address === "0.0.0.0" || address === "::")
    return Effect.fail(
      badSetting(`advertiseAddress: the ${node} listens on every address; say at which one ${peers} reach it.`)
    )
  return Effect.succeed({ address, port })
}
