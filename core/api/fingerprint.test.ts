import { bytesToHex } from "@noble/hashes/utils.js"
import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import { nobleCrypto } from "../crypto/noble.ts"
import { HOST_FACTS_MAX, type HostFact, type HostFactKind } from "../port/host-facts.ts"
import { compareFingerprints, Fingerprint, fingerprintOf, formatFingerprint } from "./fingerprint.ts"

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)
const FACTS: ReadonlyArray<HostFact> = [
  { kind: "cpu", value: "Example CPU, 8" },
  { kind: "machine-id", value: "0123456789abcdef0123456789abcdef" },
  { kind: "nic", value: "52:54:00:00:00:01" }
]

/** Each letter of a word is a component: `m`achine-id, `b`oard, others; upper case is another one of that kind. */
const fingerprint = (word: string): Fingerprint =>
  [...word].map((letter) => ({
    kind: KINDS[letter.toLowerCase()],
    hash: new Uint8Array(16).fill(letter.charCodeAt(0))
  }))
const KINDS: Readonly<Record<string, HostFactKind>> = {
  m: "machine-id",
  b: "board",
  c: "cpu",
  r: "memory",
  n: "nic",
  o: "nic"
}

describe("hashing", () => {
  test("facts become these hashes (golden, computed apart from this code)", () => {
    const made = fingerprintOf(nobleCrypto, KEY, FACTS)!
    expect(made.map(({ kind, hash }) => `${kind} ${bytesToHex(hash)}`)).toEqual([
      "cpu 1dd60dd0b1e1728df834e468600ed8cc",
      "machine-id 5bad6b677304e93f5753b328edcdefa2",
      "nic 02bd6f4b2a4d75a6651362c678f99a7f"
    ])
    expect(formatFingerprint(made)).toBe(
      '[["cpu","HdYN0LHhco34NORoYA7YzA"],["machine-id","W61rZ3ME6T9XU7Mo7c3vog"],["nic","Ar1vSypNdaZlE2LGePmafw"]]'
    )
  })

  test("another server has no hash in common on the same host, and a kind is part of the hash", () => {
    const facts: ReadonlyArray<HostFact> = [...FACTS, { kind: "board", value: FACTS[1].value }]
    const hashes = [KEY, KEY.slice().fill(7)].flatMap((key) => fingerprintOf(nobleCrypto, key, facts)!)
    expect(new Set(hashes.map(({ hash }) => bytesToHex(hash))).size).toBe(8)
  })

  test("nothing known is no fingerprint, and the schema takes as many components as a host has facts, but not none", () => {
    expect(fingerprintOf(nobleCrypto, KEY, [])).toBe(undefined)
    const fits = Schema.is(Fingerprint)
    expect([0, 1, HOST_FACTS_MAX, HOST_FACTS_MAX + 1].map((count) => fits(fingerprint("n".repeat(count))))).toEqual([
      false,
      true,
      true,
      false
    ])
  })
})

test.each([
  ["the same", "mbcrn", "mbcrn", "same"],
  ["the same in another order", "mbcrn", "nrcbm", "same"],
  ["a component told twice", "mbcrn", "mbcrnn", "same"],
  ["another network interface", "mbcrn", "mbcrN", "changed-partly"],
  ["one interface more", "mbcrn", "mbcrno", "changed-partly"],
  ["one interface less", "mbcrno", "mbcrn", "changed-partly"],
  ["another system on the same computer", "mbcrn", "Mbcrn", "changed-partly"],
  ["another board with much that stays", "mbcrno", "mBCrno", "changed-partly"],
  ["exactly half stays, the board with it", "mbcr", "MbCr", "changed-partly"],
  ["less than half stays", "mbcrn", "mbCRN", "changed"],
  ["only the system moved to another computer", "mbcrn", "mBCRN", "changed"],
  ["another computer of the same series", "mbcrn", "MBcrn", "changed"],
  ["system and board are told no more", "mbcrn", "crn", "changed"],
  ["nothing stays", "mbcrn", "MBCRN", "changed"],
  ["no system and no board before, half stays", "crno", "crNO", "changed-partly"],
  ["no system and no board before, and less stays", "crn", "cRN", "changed"],
  ["the same hash under another kind is another component", "b", "n", "changed"]
])("compared: %s", (name, old, now, expected) => {
  const of = (word: string): Fingerprint =>
    name.includes("under another kind")
      ? fingerprint(word).map(({ kind }) => ({ kind, hash: new Uint8Array(16) }))
      : fingerprint(word)
  expect(compareFingerprints(of(old), of(now))).toBe(expected)
})
