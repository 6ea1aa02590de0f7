/** Why a game server cannot run. */

import type { KeysError } from "@horizon/core/port/keys.ts"
import type { UdpError } from "@horizon/core/port/udp.ts"
import { Schema } from "effect"

export class GameError extends Schema.TaggedError<GameError>()("GameError", {
  reason: Schema.Literals([
    /** A setting has a value that cannot work. */
    "bad-setting",
    /** The UDP port could not be opened. */
    "port-unavailable",
    /** The identity or another entry of the key store is damaged. */
    "keys-corrupt",
    /** The key store cannot be used. */
    "keys-unavailable"
  ]),
  /** What, where, what to do. */
  message: Schema.String
}) {}

export const badSetting = (message: string): GameError => new GameError({ reason: "bad-setting", message })

export const fromKeys = (error: KeysError): GameError =>
  new GameError({
    reason: error.reason === "corrupt" ? "keys-corrupt" : "keys-unavailable",
    message: error.message
  })

export const fromUdp = (error: UdpError): GameError =>
  new GameError({ reason: "port-unavailable", message: error.message })
