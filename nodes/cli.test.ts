/** The command as a user meets it: processes, streams, exit codes, signals. What needs no process is tested in command/. */

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { EXIT } from "@horizon/core/measure/run.ts"
import { afterAll, expect, test } from "vitest"

const CLI = fileURLToPath(new URL("./cli.ts", import.meta.url))
const root = mkdtempSync(join(tmpdir(), "horizon-cli-"))
const running = new Set<ChildProcess>()
afterAll(() => {
  for (const child of running) child.kill("SIGKILL")
  rmSync(root, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Starts `horizon …` in a directory of its own; `until` resolves when standard output or error contains a text. */
const start = (args: ReadonlyArray<string>, environment: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: root,
    env: { PATH: process.env["PATH"], NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  running.add(child)
  let out = ""
  let err = ""
  const waiting = new Set<() => void>()
  const grow = (): void => {
    for (const look of waiting) look()
  }
  child.stdout.on("data", (chunk) => {
    out += chunk
    grow()
  })
  child.stderr.on("data", (chunk) => {
    err += chunk
    grow()
  })
  const ended: Promise<Ended> = once(child, "close").then(([code]) => {
    running.delete(child)
    return { code, out, err }
  })
  const until = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!out.includes(text) && !err.includes(text)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      ended.then(() => reject(new Error(`ended before it said ${JSON.stringify(text)}: ${out}${err}`)))
      look()
    })
  return { child, ended, until, said: () => out }
}
const horizon = (...args: ReadonlyArray<string>): Promise<Ended> => start(args).ended

const STATUS_PATH = "/api/v1/admin/status"

const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

test("--help lists the commands on standard output and is quick about it", async () => {
  const { code, err, out } = await horizon("--help")
  expect(code).toBe(0)
  expect(err).toBe("")
  for (const name of ["scenario", "replay", "report", "doctor", "broker", "gateway", "client", "game", "up"])
    expect(out).toMatch(new RegExp(`^  ${name} `, "m"))
})

test("the help of a node names every setting with its default and environment variable", async () => {
  const { code, out } = await horizon("broker", "--help")
  expect(code).toBe(0)
  const words = out.replace(/\s+/g, " ")
  expect(words).toMatch(
    /--port N TCP port of the HTTP API; 0 = any free one \[default: \d+\] \[env: HORIZON_BROKER_PORT\]/
  )
  expect(words).toContain("[env: HORIZON_BROKER_DATA_DIRECTORY]")
})

test("doctor --json says what this machine can run", async () => {
  const { code, out } = await horizon("doctor", "--json")
  expect(code).toBe(0)
  const { findings, fit } = JSON.parse(out) as {
    fit: boolean
    findings: ReadonlyArray<{ name: string; state: string }>
  }
  expect(fit).toBe(true)
  expect(findings.find((finding) => finding.name === "world: simulated")?.state).toBe("ok")
  expect(findings.map((finding) => finding.name)).toEqual(
    expect.arrayContaining(["Node.js", "netem", "Chromium", "PostgreSQL", "k6", "Rust (cargo)", "tshark"])
  )
  expect(findings.find((finding) => finding.name === "native module")?.state).toMatch(/^(ok|absent)$/)
})

test("an unknown scenario is one line with the nearest name, and exit code 64", async () => {
  const { code, err, out } = await horizon("scenario", "run", "stedy-state")
  expect(code).toBe(EXIT.usage)
  expect(out).toBe("")
  expect(lines(err)).toHaveLength(1)
  expect(err).toContain("did you mean steady-state")
})

test("Ctrl-C in the middle of a batch says what has finished and ends with 130", async () => {
  const batch = start(["scenario", "run", "steady-state", "--seeds", "1..50", "--json"])
  await batch.until("finished")
  const { code, err, out } = await stopped(batch)
  expect(code).toBe(EXIT.interrupted)
  expect(lines(err).at(-1)).toMatch(/^interrupted: \d+ of 50 runs had finished/)
  for (const line of lines(out))
    expect(JSON.parse(line)).toMatchObject({ scenario: "steady-state", world: "simulated" })
})

test("a bad setting is one line with key, expectation and origin; a missing file is told apart", async () => {
  writeFileSync(join(root, "gateway.json"), '{"sessionsMax": 10}')
  const { code, err } = await start(["gateway", "--config", "gateway.json"], { HORIZON_GATEWAY_PORT: "many" }).ended
  expect(code).toBe(EXIT.usage)
  expect(lines(err)).toEqual([
    'horizon gateway: port must be an integer from 0 to 65535, not "many" (from HORIZON_GATEWAY_PORT)'
  ])
  const missing = await horizon("gateway", "--config", "none.json")
  expect(missing.code).toBe(EXIT.noInput)
  expect(lines(missing.err)).toHaveLength(1)
})

test("--print-config shows each value with its origin and starts nothing", async () => {
  const given = start(["game", "--print-config", "--port", "0"], { HORIZON_GAME_LOG_LEVEL: "debug" })
  const { code, out } = await given.ended
  expect(code).toBe(0)
  expect(out).toMatch(/^port +0 +--port$/m)
  expect(out).toMatch(/^logLevel +"debug" +HORIZON_GAME_LOG_LEVEL$/m)
  expect(out).toMatch(/^dataDirectory +"horizon-data\/game" +default$/m)
})

test("a port in use is one clear line, exit code 69", async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  const { port } = other.address() as { port: number }
  const { code, err } = await horizon("broker", "--port", String(port), "--data-directory", "port-in-use")
  other.close()
  expect(code).toBe(EXIT.unavailable)
  expect(lines(err)).toHaveLength(1)
  expect(err).toContain(`127.0.0.1:${port}`)
})

test("an unreadable store and a damaged identity are one clear line, exit code 65, and stay as they were", async () => {
  const store = join(root, "letter.db")
  writeFileSync(store, "dear database")
  const identity = join(root, "damaged", "keys", "identity.seed")
  mkdirSync(join(identity, ".."), { recursive: true, mode: 0o700 })
  writeFileSync(identity, "HZK1 was here")
  const [broker, gateway] = await Promise.all([
    horizon("broker", "--store", `file:${store}`, "--data-directory", "letter", "--port", "0"),
    horizon("gateway", "--data-directory", "damaged", "--listen-address", "127.0.0.1", "--port", "0")
  ])
  for (const [ended, path] of [
    [broker, store],
    [gateway, identity]
  ] as const) {
    expect(ended.code).toBe(EXIT.corrupt)
    expect(lines(ended.err)).toHaveLength(1)
    expect(ended.err).toContain(path)
  }
  expect(readFileSync(store, "utf8")).toBe("dear database")
  expect(readFileSync(identity, "utf8")).toBe("HZK1 was here")
})

test("up starts everything, shows its keys once, admits the administrator, and ends cleanly on Ctrl-C", async () => {
  // Any address of 127.0.0.0/8 is this machine's own on Linux.
  const address = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1"
  const ports = ["--address", address, "--broker-port", "0", "--gateway-port", "0", "--game-port", "0"]
  const first = start(["up", "--data", "all", ...ports])
  await first.until("Ctrl-C stops everything.")
  const admin = /hza_[A-Za-z0-9_-]{43}/.exec(first.said())?.[0] as string
  const personal = /hzp_[A-Za-z0-9_-]{43}/.exec(first.said())?.[0] as string
  expect([admin, personal].every((key) => key !== undefined)).toBe(true)
  const second = await horizon("up", "--data", "all", ...ports)
  expect(second.code).toBe(EXIT.unavailable)
  expect(lines(second.err)).toHaveLength(1)
  const url = /http:\/\/[0-9.:]+/.exec(first.said())?.[0] as string
  expect(url).toContain(address)
  // Without the native module it gets a ticket and a session, and no network interface: nothing of this host is touched.
  const member = ["client", "--broker-url", url, "--personal-key", personal, "--data-directory", "member"]
  const client = await start(member, { HORIZON_NATIVE: "off" }).ended
  expect(client.err).toContain("session.established")
  expect(client.err).toContain("native module")
  expect(client.code).toBe(EXIT.unavailable)
  expect(await stopped(first)).toMatchObject({ code: 0, err: "" })
  expect(statSync(join(root, "all")).mode & 0o077).toBe(0)

  const again = start(["up", "--data", "all", ...ports])
  await again.until("Ctrl-C stops everything.")
  const urlAgain = /http:\/\/[0-9.:]+/.exec(again.said())?.[0] as string
  const status = async (token: string): Promise<number> =>
    (await fetch(`${urlAgain}${STATUS_PATH}`, { headers: { authorization: `Bearer ${token}` } })).status
  expect(await status(admin)).toBe(200)
  expect(await status(`hza_${"x".repeat(43)}`)).toBe(401)
  const { code, out } = await stopped(again)
  expect(code).toBe(0)
  expect(out).toContain("were shown on")
  expect(out).not.toMatch(/hz[ap]_/)
  expect(readFileSync(join(root, "all", "broker", "broker.db")).includes(personal)).toBe(false)
})

/** Ends it as Ctrl-C does. */
const stopped = (process: ReturnType<typeof start>): Promise<Ended> => {
  process.child.kill("SIGINT")
  return process.ended
}
