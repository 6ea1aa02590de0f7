/** What a broker can be told. */

import { API_KEY_PREFIX } from "@horizon/core/api/api-key.ts"
import { type ConfigOf, integer, list, port, type Setting, text } from "@horizon/core/port/config.ts"
import { Schema } from "effect"

const KEY = "[A-Za-z0-9_-]{43}"

/** A list whose every element matches. */
const listOf = (
  pattern: RegExp,
  expected: string,
  about: Parameters<typeof list>[0]
): Setting<ReadonlyArray<string>> => ({
  ...list(about),
  schema: Schema.Array(Schema.String.check(Schema.isPattern(pattern, { expected })))
})

export const brokerSettings = {
  listenAddress: text({ description: "Address on which the HTTP API listens.", default: "127.0.0.1" }),
  port: port({ description: "TCP port of the HTTP API; 0 = any free one.", default: 8420 }),
  ticketLifetimeMs: integer({
    description: "How long a ticket can be used to connect, in milliseconds.",
    default: 600_000,
    minimum: 5_000,
    maximum: 86_400_000
  }),
  heartbeatIntervalMs: integer({
    description: "How often servers are told to send a heartbeat, in milliseconds.",
    default: 5_000,
    minimum: 100,
    maximum: 600_000
  }),
  serverStaleMs: integer({
    description: "A server that was not heard for so many milliseconds is shown as offline.",
    default: 15_000,
    minimum: 200,
    maximum: 3_600_000
  }),
  connectionStaleMs: integer({
    description: "A connection of which nobody spoke for so many milliseconds is closed in the records.",
    default: 120_000,
    minimum: 1_000,
    maximum: 86_400_000
  }),
  connectionHistoryMs: integer({
    description: "How long records of closed connections are kept, in milliseconds.",
    default: 30 * 86_400_000,
    minimum: 60_000,
    maximum: 10 * 366 * 86_400_000
  }),
  challengeLifetimeMs: integer({
    description: "How long a registering server has to prove its key, in milliseconds.",
    default: 30_000,
    minimum: 1_000,
    maximum: 600_000
  }),
  challengesMax: integer({
    description: "How many registrations may be waiting for their proof at one time.",
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000
  }),
  sweepIntervalMs: integer({
    description: "How often stale records are looked for, in milliseconds.",
    default: 5_000,
    minimum: 100,
    maximum: 3_600_000
  }),
  devicesPerKeyMax: integer({
    description: "How many different devices may use one personal key, unless the key says otherwise.",
    default: 100,
    minimum: 1,
    maximum: 10_000
  }),
  requestBytesMax: integer({
    description: "Longest request body that is read, in bytes.",
    default: 262_144,
    minimum: 1_024,
    maximum: 16_777_216
  }),
  bootstrapAdminToken: text({
    description: "Administrator's token (hza_…) that this broker accepts; nothing = none from the configuration.",
    default: "",
    secret: true,
    pattern: new RegExp(`^(${API_KEY_PREFIX.admin}${KEY})?$`),
    expected: "hza_ and 43 characters base64url, or nothing"
  }),
  bootstrapRegistrationKeys: listOf(
    new RegExp(`^${API_KEY_PREFIX.registration}${KEY}$`),
    "hzr_ and 43 characters base64url",
    { description: "Registration keys (hzr_…) that exist from the start.", default: [], secret: true }
  ),
  bootstrapPersonalKeys: listOf(
    new RegExp(`^[^@=]{1,64}@[^@=]{1,64}=${API_KEY_PREFIX.personal}${KEY}$`),
    "user@tenant=hzp_ and 43 characters base64url",
    {
      description: "Personal keys that exist from the start, as user@tenant=hzp_…, with every right.",
      default: [],
      secret: true
    }
  )
}

export type BrokerConfig = ConfigOf<typeof brokerSettings>

/** The text of one element of `bootstrapPersonalKeys`. */
export const bootstrapPersonalKey = (user: string, tenant: string, key: string): string => `${user}@${tenant}=${key}`

/** What `bootstrapPersonalKey` wrote; the setting's schema has checked the form. */
export const parseBootstrapPersonalKey = (
  text: string
): { readonly user: string; readonly tenant: string; readonly key: string } => {
  const at = text.indexOf("@")
  const equals = text.indexOf("=", at)
  return { user: text.slice(0, at), tenant: text.slice(at + 1, equals), key: text.slice(equals + 1) }
}
