import { Result, Schema } from "effect"
import { expect, test } from "vitest"
import { toBase64Url } from "../api/base64url.ts"
import { pinnedBrokerKey, serverSettings, sessionSettings } from "./settings.ts"

const WORDS = { node: "game server", peers: "players" }

test("the settings of a server speak of it in its own words and begin with its own defaults", () => {
  const settings = {
    ...serverSettings(WORDS, { name: "game", port: 8_422 }),
    ...sessionSettings(WORDS, { replayWindow: 64, sampleSeconds: 1 })
  }
  expect([settings.name.default, settings.port.default, settings.replayWindow.default]).toEqual(["game", 8_422, 64])
  expect(settings.name.description).toBe("Name of this game server, shown to players.")
  expect(settings.sampleSeconds.description).toBe(
    "The game server's figures are written to the trace this often, seconds."
  )
  expect(
    Object.entries(settings)
      .filter(([, { secret }]) => secret)
      .map(([key]) => key)
  ).toEqual(["registrationKey"])
})

test("a pinned key of the broker is decoded, and none is pinned by default", () => {
  const brokerKey = new Uint8Array(32).fill(7)
  expect(pinnedBrokerKey({ brokerKey: toBase64Url(brokerKey) })).toEqual({ brokerKey })
  expect(pinnedBrokerKey({ brokerKey: "" })).toEqual({})
})

test("a broker key with a mistyped last character is refused instead of leaving nothing pinned", () => {
  const { schema } = serverSettings(WORDS, { name: "game", port: 8_422 }).brokerKey
  const key = toBase64Url(new Uint8Array(32).fill(7))
  const accepts = (text: string): boolean => Result.isSuccess(Schema.decodeUnknownResult(schema)(text))
  expect(accepts(key)).toBe(true)
  expect(accepts("")).toBe(true)
  expect(accepts(`${key.slice(0, -1)}d`)).toBe(false)
  expect(accepts(key.slice(0, -1))).toBe(false)
})
