import { Option, Schema } from "effect"
import { describe, expect, test } from "vitest"
import { bytesExactly, Name, PublicKey, Region, ServerEndpoint, Tag, TimeMs } from "./scalar.ts"

const fits = (schema: Schema.Codec<any, any>, value: unknown): boolean =>
  Option.isSome(Schema.decodeUnknownOption(schema)(value))

describe("values at the edge of the API", () => {
  test.each<[string, Schema.Codec<any, any>, ReadonlyArray<unknown>, ReadonlyArray<unknown>]>([
    [
      "a name",
      Name,
      ["a", "Zoë's server", "x".repeat(64)],
      ["", " a", "a ", "a\u0000b", "a\u2028b", "é".repeat(33), "x".repeat(65), 1]
    ],
    ["a region", Region, ["", "eu-central-1"], ["EU", "a b", "x".repeat(33)]],
    ["a tag", Tag, ["ipv4", "game:arena.2"], ["", "-a", "A", "x".repeat(33)]],
    ["a time", TimeMs, [0, Number.MAX_SAFE_INTEGER], [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", 2 ** 53]],
    ["a public key", PublicKey, ["A".repeat(43)], ["A".repeat(42), "A".repeat(44), `${"A".repeat(42)}!`, ""]],
    ["16 bytes", bytesExactly(16), ["A".repeat(22)], ["A".repeat(21), "A".repeat(24)]],
    [
      "a server's endpoint",
      ServerEndpoint,
      [
        { address: "192.0.2.1", port: 1 },
        { address: "2001:db8::1", port: 65_535 }
      ],
      [
        { address: "0.0.0.0", port: 1 },
        { address: "::", port: 1 },
        { address: "a.example", port: 1 },
        { address: "192.0.2.1", port: 0 },
        { address: "192.0.2.01", port: 1 },
        { address: "192.0.2.1" }
      ]
    ]
  ])("%s is taken within its bounds and refused outside", (_, schema, good, bad) => {
    for (const value of good) expect([value, fits(schema, value)]).toEqual([value, true])
    for (const value of bad) expect([value, fits(schema, value)]).toEqual([value, false])
  })
})
