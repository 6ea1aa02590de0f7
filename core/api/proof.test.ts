import { describe, expect, test } from "vitest"
import { apiKey, isApiKey, visiblePart } from "./api-key.ts"
import { fromBase64Url, toBase64Url } from "./base64url.ts"
import type { Fingerprint } from "./fingerprint.ts"
import {
  formatCredential,
  parseCredential,
  possessionProof,
  registrationProof,
  requestProof,
  signedPath
} from "./proof.ts"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const request = {
  serverId: "a".repeat(32),
  session: new Uint8Array(16).fill(1),
  counter: 7,
  timeMs: 1_000,
  method: "POST",
  path: "/api/v1/servers/heartbeat",
  bodySha256: new Uint8Array(32)
}

describe("what is signed", () => {
  test("each kind of proof begins with its own words", () => {
    const proofs = [
      registrationProof(new Uint8Array(32), new Uint8Array(32), new Uint8Array(32)),
      requestProof(request),
      possessionProof({
        serverId: "b",
        deviceKey: new Uint8Array(32),
        signedMs: 1,
        personalKeySha256: new Uint8Array(32)
      })
    ]
    expect(text(proofs[0]).startsWith("horizon/1 register")).toBe(true)
    expect(JSON.parse(text(proofs[1]))[0]).toBe("horizon/1 request")
    expect(JSON.parse(text(proofs[2]))[0]).toBe("horizon/1 ticket-request")
  })

  test("a registration without a fingerprint has the bytes that it always had, and each fingerprint changes them", () => {
    const [challenge, key, brokerKey] = [1, 2, 3].map((n) => new Uint8Array(32).fill(n))
    const a = { kind: "cpu" as const, hash: new Uint8Array(16).fill(1) }
    const b = { kind: "nic" as const, hash: new Uint8Array(16).fill(2) }
    const proof = (...fingerprint: Fingerprint) => text(registrationProof(challenge, key, brokerKey, fingerprint))
    const without = text(registrationProof(challenge, key, brokerKey))
    expect(without).toBe(`horizon/1 register${[1, 2, 3].map((n) => String.fromCharCode(n).repeat(32)).join("")}`)
    const all = [without, proof(a), proof(b), proof(a, b), proof(b, a), proof({ ...a, kind: "nic" })]
    expect(new Set(all).size).toBe(all.length)
  })

  test("every field of a request changes the bytes", () => {
    const changes = [
      { serverId: "b".repeat(32) },
      { session: new Uint8Array(16) },
      { counter: 8 },
      { timeMs: 1_001 },
      { method: "GET" },
      { path: "/api/v1/servers/deregister" },
      { bodySha256: new Uint8Array(32).fill(1) }
    ]
    const all = [request, ...changes.map((change) => ({ ...request, ...change }))].map((each) =>
      text(requestProof(each))
    )
    expect(new Set(all).size).toBe(all.length)
  })

  test("the path is signed without host and without what a proxy puts before it", () => {
    for (const url of ["/api/v1/x?y=1", "http://h:1/api/v1/x?y=1", "https://h/horizon/api/v1/x?y=1"]) {
      expect(signedPath(url)).toBe("/api/v1/x?y=1")
    }
  })
})

describe("the credential of a signed request", () => {
  const credential = { serverId: "0123456789abcdef".repeat(2), counter: 12, timeMs: 34, signature: "A".repeat(86) }

  test("is read back as it was written", () => {
    expect(parseCredential(formatCredential(credential))).toEqual(credential)
  })

  test.each([
    ["empty", ""],
    ["an upper-case id", formatCredential({ ...credential, serverId: "A".repeat(32) })],
    ["a negative counter", `${credential.serverId}.-1.34.${credential.signature}`],
    ["a counter with a leading zero", `${credential.serverId}.01.34.${credential.signature}`],
    ["a counter above 2^53", `${credential.serverId}.9999999999999999.34.${credential.signature}`],
    ["a short signature", formatCredential({ ...credential, signature: "A".repeat(85) })],
    ["something behind it", `${formatCredential(credential)} `]
  ])("is refused when it has %s", (_, malformed) => {
    expect(parseCredential(malformed)).toBe(undefined)
  })
})

describe("keys as text", () => {
  test("a key has its kind's prefix, 47 characters, and is of no other kind", () => {
    const key = apiKey("personal", new Uint8Array(32).fill(255))
    expect(key).toHaveLength(47)
    expect([isApiKey("personal", key), isApiKey("admin", key), isApiKey("registration", key)]).toEqual([
      true,
      false,
      false
    ])
    expect(visiblePart(key)).toBe("hzp_________")
    for (const broken of [key.slice(1), `${key}a`, `${key.slice(0, -1)}!`, ""])
      expect(isApiKey("personal", broken)).toBe(false)
  })

  test("base64url has one text for each byte string", () => {
    for (let length = 0; length < 40; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255)
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes)
    }
    for (const other of ["AA==", "AB", "A", "AA AA", "AA+/", "é"]) expect(fromBase64Url(other)).toBe(undefined)
  })
})
