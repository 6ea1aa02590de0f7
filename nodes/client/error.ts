/** Why a client cannot run at all. What may pass (no broker, no gateway, a refusal) is a status and not an error. */

import type { KeysError } from "@horizon/core/port/keys.ts"
import type { TunError } from "@horizon/core/port/tun.ts"
import type { UdpError } from "@horizon/core/port/udp.ts"
import { Schema } from "effect"

export class ClientError extends Schema.TaggedError<ClientError>()("ClientError", {
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

export const badSetting = (message: string): ClientError => new ClientError({ reason: "bad-setting", message })

export const fromKeys = (error: KeysError): ClientError =>
  new ClientError({
    reason: error.reason === "corrupt" ? "keys-corrupt" : "keys-unavailable",
    message: error.message
  })

export const fromUdp = (error: UdpError): ClientError =>
  new ClientError({ reason: "port-unavailable", message: error.message })

export const fromTun = (error: TunError): ClientError =>
  new ClientError({ reason: "interface-unavailable", message: error.message })
