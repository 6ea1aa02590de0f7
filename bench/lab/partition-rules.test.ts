import { expect, test } from "vitest"
import { partitionRuleset } from "./partition-rules.ts"

const rules = (...cuts: Parameters<typeof partitionRuleset>[0]): string => partitionRuleset(cuts, (host) => `p-${host}`)

test("without cuts the table is taken away, and what is not there makes no error", () => {
  expect(rules()).toBe("table bridge horizon_partition {}\ndelete table bridge horizon_partition\n")
})

test("senders that cannot reach the same hosts share a mark, which their receivers drop", () => {
  const text = rules({ from: ["a", "b"], to: ["c"] }, { from: ["c"], to: ["a", "b"] })
  expect(text).toContain('iifname { "p-a", "p-b" } ip dscp set 3')
  expect(text).toContain('iifname { "p-c" } ip dscp set 7')
  expect(text).toContain('oifname "p-c" ip dscp { 3 } drop')
  expect(text).toContain('oifname "p-a" ip dscp { 7 } drop')
  expect(text).toContain('oifname "p-b" ip dscp { 7 } drop')
})

test("cuts that overlap are told apart by the union of whom a sender cannot reach", () => {
  const text = rules({ from: ["a", "b"], to: ["c"] }, { from: ["a"], to: ["d"] })
  expect(text).toContain('iifname { "p-a" } ip dscp set 3')
  expect(text).toContain('iifname { "p-b" } ip dscp set 7')
  expect(text).toContain('oifname "p-c" ip dscp { 3, 7 } drop')
  expect(text).toContain('oifname "p-d" ip dscp { 3 } drop')
})

test("a host is never cut from itself", () => {
  expect(rules({ from: ["a"], to: ["a"] })).not.toContain("drop")
})

test("no mark is one that a router's ICMP error could carry, and marks run out with a clear word", () => {
  const one = (n: number) => ({ from: [`s${n}`], to: [`r${n}`] })
  const marks = [...rules(...Array.from({ length: 55 }, (_, n) => one(n))).matchAll(/dscp set (\d+)/g)].map(
    (m) => +m[1]
  )
  expect(new Set(marks).size).toBe(55)
  expect(marks.every((mark) => mark > 0 && mark < 64 && (mark < 48 || mark > 55))).toBe(true)
  expect(() => rules(...Array.from({ length: 56 }, (_, n) => one(n)))).toThrow(/overlap in 56 ways; at most 55/)
})
