import type { TraceLine } from "@horizon/real/trace.ts"
import { expect, test } from "vitest"
import { TraceLines } from "./trace-lines.ts"

const read = (chunks: ReadonlyArray<Buffer>) => {
  const lines: Array<TraceLine> = []
  const broken: Array<string> = []
  const reader = new TraceLines({
    onEvent: (line) => lines.push(line),
    onControl: (line) => lines.push(line),
    onBroken: (sentence) => broken.push(sentence)
  })
  for (const chunk of chunks) reader.take(chunk)
  return { lines, broken }
}

const LINES = [
  { monotonicNs: 1, node: "ä", kind: "fact", fields: { name: "größe", value: 3 } },
  { monotonicNs: 2, node: "b", control: "ready", info: { endpoint: "127.0.0.1:1" } }
]
const BYTES = Buffer.from(LINES.map((line) => `${JSON.stringify(line)}\n`).join(""))

test("lines come out whole, however the bytes are cut", () => {
  for (let at = 0; at <= BYTES.length; at++) {
    expect(read([BYTES.subarray(0, at), BYTES.subarray(at)])).toEqual({ lines: LINES, broken: [] })
  }
  expect(read([...BYTES].map((byte) => Buffer.of(byte))).lines).toEqual(LINES)
})

test("a line that is not finished is not told", () => {
  expect(read([BYTES.subarray(0, BYTES.length - 1)]).lines).toEqual(LINES.slice(0, 1))
})

test("what is no trace is said once, and nothing of it is believed", () => {
  for (const bad of ["not json\n", "42\n", "null\n", '{"kind":"fact"}\n']) {
    const { broken, lines } = read([Buffer.from(bad), BYTES])
    expect(broken).toHaveLength(1)
    expect(lines).toEqual([])
  }
  expect(read([Buffer.alloc(1_100_000, 120)]).broken[0]).toMatch(/a line without an end/)
})
