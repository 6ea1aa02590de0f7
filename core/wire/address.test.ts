import { isIPv6 } from "node:net"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  formatAddress,
  formatEndpoint,
  formatV4,
  isV4,
  parseAddress,
  parseEndpoint,
  parseV4,
  putV4,
  sameAddress
} from "./address.ts"

const words = (text: string): Uint32Array | undefined => {
  const parsed = new Uint32Array(4)
  return parseAddress(text, parsed, 0) ? parsed : undefined
}

describe("addresses", () => {
  it.each(["0.0.0.0", "10.77.0.5", "255.255.255.255"])("keeps IPv4 %s as it is, mapped into 16 bytes", (text) => {
    const parsed = words(text)!
    expect(isV4(parsed, 0)).toBe(true)
    expect(formatAddress(parsed, 0)).toBe(text)
    expect(formatV4(parseV4(text)!)).toBe(text)
  })

  it.each(["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0x1.2.3.4", "1.2.3.-4", "1.2.3.4 ", "a.b.c.d"])(
    "does not take %j for an IPv4 address",
    (text) => {
      expect(parseV4(text)).toBeUndefined()
    }
  )

  it.each([
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8::", "2001:db8::"],
    ["fe80:0:0:1:0:0:0:0", "fe80:0:0:1::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"]
  ])("writes %s as %s (RFC 5952)", (text, canonical) => {
    expect(formatAddress(words(text)!, 0)).toBe(canonical)
  })

  it.each([
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "12345::",
    "g::1",
    "::1.2.3",
    "1.2.3.4::",
    "fe80::1%eth0",
    "1:"
  ])("does not take %j for an address", (text) => {
    const parsed = Uint32Array.of(9, 9, 9, 9)
    expect(parseAddress(text, parsed, 0)).toBe(false)
    expect([...parsed]).toEqual([9, 9, 9, 9])
  })

  it("gives back every address that it writes", () => {
    const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff }), fc.constant(0xffff))
    fc.assert(
      fc.property(fc.array(word, { minLength: 4, maxLength: 4 }), (four) => {
        const at = Uint32Array.of(1, 2, ...four)
        const text = formatAddress(at, 2)
        expect(isV4(at, 2) || isIPv6(text)).toBe(true)
        const again = words(text)!
        expect(sameAddress(at, 2, again, 0)).toBe(true)
        again[3] ^= 1
        expect(sameAddress(at, 2, again, 0)).toBe(false)
      }),
      { numRuns: 500 }
    )
  })

  it("agrees with the system on what is an IPv6 address", () => {
    const group = fc.oneof(fc.constantFrom("", "0", "ffff", "1.2.3.4"), fc.stringMatching(/^[0-9a-f]{1,5}$/))
    fc.assert(
      fc.property(fc.array(group, { minLength: 3, maxLength: 9 }), (groups) => {
        const text = groups.join(":")
        expect(words(text) !== undefined).toBe(isIPv6(text))
      }),
      { numRuns: 2000 }
    )
  })

  it("puts a number where it belongs", () => {
    const parsed = new Uint32Array(4).fill(7)
    putV4(parsed, 0, 0xc0000201)
    expect(formatAddress(parsed, 0)).toBe("192.0.2.1")
  })
})

describe("endpoints", () => {
  it.each(["10.0.0.1:7000", "[2001:db8::1]:0", "[::]:65535"])("gives %s back", (text) => {
    expect(formatEndpoint(parseEndpoint(text)!)).toBe(text)
  })

  it.each(["10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "::1:80", "[::1]", "[1.2.3]:4", "host:80", "10.0.0.1:8o"])(
    "does not take %j for an endpoint",
    (text) => {
      expect(parseEndpoint(text)).toBeUndefined()
    }
  )
})
