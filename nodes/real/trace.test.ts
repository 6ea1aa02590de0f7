import { spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { Trace } from "@horizon/core/port/trace.ts"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { layerHost } from "./host.ts"
import { monotonicNs, openTraceStream, TRACE_FD_VARIABLE, type TraceLine, TraceStream } from "./trace.ts"

const parsed = (text: string): ReadonlyArray<TraceLine> =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

/** A reader that takes nothing until it is told to. */
class SlowReader extends Writable {
  text = ""
  private resume: (() => void) | undefined
  reading = false

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += String(chunk)
    if (this.reading) done()
    else this.resume = done
  }

  read(): void {
    this.reading = true
    this.resume?.()
  }
}

test("events and control words are lines of JSON with times of the monotonic clock and the speaker's name", () => {
  const out = new SlowReader()
  out.read()
  const stream = new TraceStream(out, "gateway")
  const beforeNs = monotonicNs()
  stream.writer()("lease.granted", { address: "10.77.0.2", subject: "ada", tenant: "lab" })
  stream.writer("player-1")("fact", { name: 'a "quoted" name\n', value: 1 })
  stream.control("ready", { endpoint: "127.0.0.1:8421" })
  const [event, fact, ready] = parsed(out.text)
  expect(event).toEqual({
    monotonicNs: expect.any(Number),
    node: "gateway",
    kind: "lease.granted",
    fields: { address: "10.77.0.2", subject: "ada", tenant: "lab" }
  })
  expect(event.monotonicNs).toBeGreaterThanOrEqual(beforeNs)
  expect(event.monotonicNs - beforeNs).toBeLessThan(1e9)
  expect(fact).toMatchObject({ node: "player-1", fields: { name: 'a "quoted" name\n' } })
  expect(ready).toMatchObject({ node: "gateway", control: "ready", info: { endpoint: "127.0.0.1:8421" } })
})

test("a reader that does not read costs a bounded number of bytes, and is told how many events it has missed", async () => {
  const out = new SlowReader()
  const stream = new TraceStream(out, "gateway")
  const write = stream.writer()
  const reason = "x".repeat(1_000)
  for (let i = 0; i < 3_000; i++) write("broker-link.down", { reason })
  expect(stream.dropped).toBeGreaterThan(1_800)
  expect(out.writableLength).toBeLessThan(1_100_000)
  out.read()
  await Effect.runPromise(stream.flush)
  await new Promise((resolve) => setImmediate(resolve))
  const lines = parsed(out.text)
  expect(lines.length).toBe(3_000 - stream.dropped + 1)
  expect(lines.at(-1)).toMatchObject({ control: "dropped", info: { events: stream.dropped } })
})

test("waiting for a reader that has stopped ends after half a second", async () => {
  const stream = new TraceStream(new SlowReader(), "gateway")
  stream.writer()("broker-link.down", { reason: "gone" })
  const startMs = performance.now()
  await Effect.runPromise(stream.flush)
  expect(performance.now() - startMs).toBeGreaterThan(400)
  expect(performance.now() - startMs).toBeLessThan(2_000)
})

test("without the variable there is no stream, and a value that is no descriptor of ours is said", () => {
  const opened = (value: string) => openTraceStream({ [TRACE_FD_VARIABLE]: value }, "gateway")
  expect(openTraceStream({}, "gateway")).toBeUndefined()
  for (const value of ["1", "stdout", "-3", "3.5", "70000"]) expect(opened(value)).toMatch(/must be an open descriptor/)
  expect(opened("60000")).toMatch(/not started with a file, pipe or socket/)
  // Node keeps pipes of its own: a variable that is left over from another process must not hit one of them.
  const own = readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return Number(fd) > 2 && /^(pipe|anon_inode):/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  })
  const pipes = own.filter((fd, _, all) => {
    const link = readlinkSync(`/proc/self/fd/${fd}`)
    return link.startsWith("anon") || all.filter((other) => readlinkSync(`/proc/self/fd/${other}`) === link).length > 1
  })
  expect(pipes.length).toBeGreaterThan(4)
  for (const fd of pipes) expect(opened(fd), readlinkSync(`/proc/self/fd/${fd}`)).toMatch(/not started with/)
})

test("a host's trace goes into a file besides the log", async () => {
  const folder = mkdtempSync(join(tmpdir(), "horizon-trace-"))
  const fd = openSync(join(folder, "trace.ndjson"), "w")
  try {
    const stream = openTraceStream({ [TRACE_FD_VARIABLE]: String(fd) }, "client")
    if (!(stream instanceof TraceStream)) return expect.unreachable(stream)
    const logged: Array<string> = []
    const log = {
      format: "json",
      level: "info",
      color: false,
      node: "client",
      write: (line: string) => void logged.push(line)
    } as const
    const speak = Effect.map(Trace, (trace) => trace("broker-link.up", { afterAttempts: 3 }))
    await Effect.runPromise(
      Effect.scoped(Effect.provide(speak, layerHost({ dataDirectory: folder, log, trace: stream.writer() })))
    )
    await Effect.runPromise(stream.flush)
    expect(parsed(readFileSync(join(folder, "trace.ndjson"), "utf8"))).toMatchObject([
      { node: "client", kind: "broker-link.up", fields: { afterAttempts: 3 } }
    ])
    expect(logged.map((line) => JSON.parse(line).message)).toEqual(["broker-link.up"])
  } finally {
    closeSync(fd)
    rmSync(folder, { recursive: true, force: true })
  }
})

test("a process whose reader goes away serves on", async () => {
  const trace = fileURLToPath(new URL("./trace.ts", import.meta.url))
  const code = `
    import { openTraceStream } from ${JSON.stringify(trace)}
    const stream = openTraceStream(process.env, "gateway")
    const write = stream.writer()
    let ticks = 0
    const timer = setInterval(() => {
      for (let i = 0; i < 50; i++) write("broker-link.down", { reason: "x".repeat(1000) })
      if (++ticks < 20) return
      clearInterval(timer)
      console.log("served " + (stream.dropped > 0))
    }, 5)`
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    env: { ...process.env, [TRACE_FD_VARIABLE]: "3" },
    stdio: ["ignore", "pipe", "inherit", "pipe"]
  })
  const pipe = child.stdio[3]
  pipe?.once("data", () => pipe.destroy())
  let said = ""
  child.stdout!.on("data", (chunk) => {
    said += String(chunk)
  })
  const code0 = await new Promise((resolve) => child.on("close", resolve))
  expect([code0, said]).toEqual([0, "served true\n"])
})
