/** Why a gateway, a client or a game server cannot run at all. What may pass is told in its status and is not an error. */

import { Schema } from "effect"
import type { KeysError } from "../port/keys.ts"
import type { TunError } from "../port/tun.ts"
import type { UdpError } from "../port/udp.ts"

export class NodeError extends Schema.TaggedError<NodeError>()("NodeError", {
  reason: Schema.Literals([
    /** A setting is missing or has a value that cannot work. */
    "bad-setting",
    /** The UDP port could not be opened. */
    "port-unavailable",
    /** The virtual network interface could not be opened. */
    "interface-unavailable",
    /** The identity or another entry of the key store is damaged. */
    "keys-corrupt",
    /** The key store cannot be used. */
    "keys-unavailable"
  ]),
  /** What, where, what to do. */
  message: Schema.String
}) {}

export const badSetting = (message: string): NodeError => new NodeError({ reason: "bad-setting", message })

export const fromKeys = (error: KeysError): NodeError =>
  new NodeError({
    reason: error.reason === "corrupt" ? "keys-corrupt" : "keys-unavailable",
    message: error.message
  })

export const fromUdp = (error: UdpError): NodeError =>
  new NodeError({ reason: "port-unavailable", message: error.message })

export const fromTun = (error: TunError): NodeError =>
  new NodeError({ reason: "interface-unavailable", message: error.message })
