import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test, vi } from "vitest"
import { missingTool } from "../lab/command.ts"
import { transfer } from "../net/udp-program.ts"
import { compileError, type FloorName, floorProgram, sourceHash } from "./floor.ts"

const noCompiler = missingTool("cc")
const because = noCompiler === undefined ? "" : ` (skipped: ${noCompiler})`

describe("compiling", () => {
  afterEach(() => {
    vi.unstubAllEnvs()
    vi.resetModules()
  })

  test.skipIf(noCompiler !== undefined)(
    `a floor is compiled once, into the cache outside the repository${because}`,
    async () => {
      const cache = mkdtempSync(join(tmpdir(), "horizon-floor-"))
      vi.stubEnv("XDG_CACHE_HOME", cache)
      vi.resetModules()
      try {
        const first = await (await import("./floor.ts")).floorProgram("udp-floor")
        expect(first).toBe(join(cache, "horizon/floor", `udp-floor-${sourceHash("udp-floor")}`, "udp-floor"))
        expect(existsSync(first)).toBe(true)
        // Without a compiler only what the cache holds can be had.
        vi.stubEnv("PATH", "")
        vi.resetModules()
        const again = await import("./floor.ts")
        expect(await again.floorProgram("udp-floor")).toBe(first)
      } finally {
        rmSync(cache, { recursive: true, force: true })
      }
    }
  )

  test("without a compiler a floor says in one line what to install", async () => {
    const cache = mkdtempSync(join(tmpdir(), "horizon-floor-"))
    vi.stubEnv("XDG_CACHE_HOME", cache)
    vi.stubEnv("PATH", "")
    vi.resetModules()
    try {
      const { floorProgram } = await import("./floor.ts")
      await expect(floorProgram("tun-floor")).rejects.toMatchObject({
        name: "LabError",
        reason: "missing",
        message: "tun-floor cannot be compiled: cc is not installed; on Debian: apt install gcc libc6-dev"
      })
    } finally {
      rmSync(cache, { recursive: true, force: true })
    }
  })

  test("a host without OpenSSL's headers is told what to install, any other complaint of the compiler is shown", () => {
    const complaint =
      "cc -O2 tunnel-floor.c -lcrypto: seal.h:10:10: fatal error: openssl/evp.h: No such file or directory"
    expect(compileError("tunnel-floor", complaint)).toMatchObject({
      reason: "missing",
      message: "tunnel-floor needs OpenSSL's headers and library; on Debian: apt install libssl-dev"
    })
    const other = compileError("tunnel-floor", "cc -O2 tunnel-floor.c -lcrypto: error: expected ';'")
    expect(other).toMatchObject({ reason: "failed" })
    expect(other.message).toContain("expected ';'")
  })

  test("each floor is known by a hash of its own sources", () => {
    const names: ReadonlyArray<FloorName> = ["udp-floor", "tun-floor", "tunnel-floor"]
    const hashes = names.map(sourceHash)
    expect(new Set(hashes).size).toBe(3)
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{16}$/)
  })
})

describe.skipIf(noCompiler !== undefined)(`counting on loopback${because}`, () => {
  const PAIRINGS = [
    ["sendto", "recvfrom"],
    ["sendmmsg", "recvmmsg"],
    ["sendto", "drain"],
    ["gso", "recvmmsg"],
    ["gso", "gro"]
  ]

  test.each(PAIRINGS)("of 1,000 datagrams that %s sends, %s counts 1,000", async (sendMode, recvMode) => {
    const program = await floorProgram("udp-floor")
    const { sent, received } = await transfer({
      sender: [program, "send", "--mode", sendMode],
      receiver: [program, "recv", "--mode", recvMode],
      address: "127.0.0.1",
      sizeBytes: 200,
      seconds: 5,
      packetsMax: 1_000,
      settleMs: 200
    })
    expect(sent).toMatchObject({ role: "send", mode: sendMode, packets: 1_000, bytes: 200_000, drops: 0 })
    expect(received).toMatchObject({ role: "recv", mode: recvMode, packets: 1_000, bytes: 200_000, drops: 0 })
  })

  test("a paced sender keeps to the offered rate", async () => {
    const program = await floorProgram("udp-floor")
    const { sent } = await transfer({
      sender: [program, "send", "--mode", "sendto"],
      receiver: [program, "recv", "--mode", "drain"],
      address: "127.0.0.1",
      sizeBytes: 100,
      seconds: 0.3,
      packetsPerSecond: 10_000
    })
    expect(sent.packets).toBeLessThanOrEqual(3_001)
    // A busy machine may make it late, never early.
    expect(sent.packets).toBeGreaterThan(1_000)
  })

  test("a program that is told nonsense ends with a sentence", async () => {
    const program = await floorProgram("udp-floor")
    const order = { sender: [program, "send", "--mode", "pigeon"], receiver: [program, "recv", "--mode", "gro"] }
    await expect(transfer({ ...order, address: "127.0.0.1", sizeBytes: 1, seconds: 1 })).rejects.toThrow(
      "--mode cannot be pigeon"
    )
  })
})
