import { Trace } from "@horizon/core/port/trace.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { type LogOptions, layerLog } from "./log.ts"

const logged = async (options: Partial<LogOptions>, body: Effect.Effect<void>): Promise<ReadonlyArray<string>> => {
  const lines: Array<string> = []
  const write = (line: string): void => void lines.push(line)
  await Effect.runPromise(
    Effect.provide(body, layerLog({ format: "json", level: "info", color: false, node: "gateway", write, ...options }))
  )
  return lines
}

test("logs and trace events are JSON lines on one writer, in order", async () => {
  const lines = await logged(
    {},
    Effect.gen(function* () {
      yield* Effect.logInfo("serving").pipe(Effect.annotateLogs({ port: 7777 }))
      const trace = yield* Trace
      trace("lease.granted", { address: "10.77.0.2", subject: "alice", tenant: "home" })
      yield* Effect.logError("failed", "twice")
    })
  )
  const records = lines.map((line) => JSON.parse(line))
  expect(records.map((record) => [record.level, record.message])).toEqual([
    ["info", "serving"],
    ["info", "lease.granted"],
    ["error", "failed twice"]
  ])
  expect(records[0]).toMatchObject({ node: "gateway", port: 7777 })
  expect(records[1]).toMatchObject({ address: "10.77.0.2", tenant: "home" })
  expect(records[0].time).toMatch(/^\d{4}-\d\d-\d\dT/)
})

test("lines below the level are not written, neither logs nor trace events", async () => {
  const body = Effect.gen(function* () {
    yield* Effect.logDebug("detail")
    const trace = yield* Trace
    trace("broker.heartbeat", { serverId: "s1" })
    trace("broker-link.down", { reason: "timeout" })
  })
  expect((await logged({}, body)).map((line) => JSON.parse(line).message)).toEqual(["broker-link.down"])
  expect(await logged({ level: "debug" }, body)).toHaveLength(3)
  expect(await logged({ level: "error" }, body)).toEqual([])
})

test("a server that came back on other hardware is a warning", async () => {
  const body = Trace.use((trace) =>
    Effect.sync(() => trace("broker.fingerprint-changed", { serverId: "s1", how: "changed" }))
  )
  const [line] = await logged({ level: "warn" }, body)
  expect(JSON.parse(line)).toMatchObject({ level: "warn", serverId: "s1", how: "changed" })
})

test("a peer's text cannot write control characters to a terminal nor break a line", async () => {
  const lines = await logged(
    { format: "pretty" },
    Effect.logInfo("name \u001b[31m red\nnext").pipe(Effect.annotateLogs({ peer: "a\r\nb" }))
  )
  expect(lines).toHaveLength(1)
  expect([...lines[0]].every((character) => character >= " ")).toBe(true)
  expect(lines[0]).toContain("peer=a\\x0d\\x0ab")
})

test("a line that would be endless is cut and says so", async () => {
  const [pretty] = await logged({ format: "pretty" }, Effect.logInfo("x".repeat(100_000)))
  expect(pretty.length).toBeLessThan(9_000)
  expect(pretty).toContain("(cut)")
  const [json] = await logged({}, Effect.logInfo("short").pipe(Effect.annotateLogs({ peer: "x".repeat(100_000) })))
  expect(JSON.parse(json).message).toBe("short … (cut)")
})

test("a failure's cause is in the line", async () => {
  const [line] = await logged(
    {},
    Effect.fail("no route").pipe(Effect.catchCause((cause) => Effect.logWarning("retrying", cause)))
  )
  expect(JSON.parse(line).cause).toContain("no route")
})
