import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { named } from "../here.fixture.ts"
import { bootGuest, type Guest, guestMissing } from "./guest.ts"

const missing = guestMissing() ?? ""

test("without root no guest is booted, and the reason says what to do", async () => {
  const getuid = vi.spyOn(process, "getuid").mockReturnValue(1000)
  try {
    await expect(bootGuest({ memoryMiB: 128, modules: [] })).rejects.toMatchObject({ reason: "missing" })
    if (process.platform === "linux" && process.arch === "x64")
      expect(guestMissing()).toMatch(/needs root: run this as root$/)
  } finally {
    getuid.mockRestore()
  }
})

describe.skipIf(missing !== "")(named("a guest", missing), () => {
  let exchange: string
  let guest: Guest
  let bootMs: number
  let precious: string
  beforeAll(async () => {
    exchange = mkdtempSync(join(tmpdir(), "horizon-guest-"))
    precious = mkdtempSync(join(tmpdir(), "horizon-precious-"))
    writeFileSync(join(precious, "file"), "as it was")
    const startMs = performance.now()
    guest = await bootGuest({ memoryMiB: 256, modules: ["sch_netem", "bridge"], exchange })
    bootMs = performance.now() - startMs
  })
  afterAll(async () => {
    await guest?.close()
    for (const folder of [exchange, precious]) rmSync(folder, { recursive: true, force: true })
  })

  test("boots in seconds with a kernel of its own that has netem", async () => {
    expect(bootMs).toBeLessThan(10_000)
    expect(guest.release).toMatch(/^\d+\.\d+/)
    await guest.must("tc", ["qdisc", "add", "dev", "lo", "root", "netem", "delay", "10ms"])
    expect(await guest.must("tc", ["qdisc", "show", "dev", "lo"])).toMatch(/netem .* delay 10ms/)
    await guest.must("tc", ["qdisc", "del", "dev", "lo", "root"])
  })

  test("a command's input, output, errors and exit code are as if it ran here", async () => {
    const { code, err, out } = await guest.exec("sh", ["-c", "cat; echo oops >&2; exit 3"], { input: "in and out" })
    expect([code, out, err]).toEqual([3, "in and out", "oops\n"])
    expect((await guest.exec("sh", ["-c", "kill -9 $$"])).code).toBe(128 + 9)
    expect(await guest.exec("no-such-command", [])).toMatchObject({
      code: 127,
      err: expect.stringContaining("no-such-command")
    })
    await expect(guest.must("cat", ["/no/such/file"])).rejects.toThrow(
      /in the guest, cat \/no\/such\/file ended with 1: .*No such file/
    )
  })

  test("commands run beside each other, and each gets what is its own", async () => {
    const outs = await Promise.all(
      Array.from({ length: 5 }, (_, index) => guest.must("sh", ["-c", "sleep 0.1; cat"], `input ${index}`))
    )
    expect(outs).toEqual(Array.from({ length: 5 }, (_, index) => `input ${index}`))
  })

  test("a megabyte goes in and a megabyte comes out without a changed bit", async () => {
    const text = Array.from({ length: 100_000 }, (_, index) => `${index} `.padEnd(10)).join("")
    const sum = createHash("sha256").update(text).digest("hex")
    expect(await guest.must("sha256sum", [], text)).toBe(`${sum}  -\n`)
    expect(await guest.must("cat", [], text)).toBe(text)
  })

  test("a command that takes too long is ended, and the guest goes on", async () => {
    await expect(guest.exec("sleep", ["60"], { timeoutMs: 300 })).rejects.toThrow(/sleep 60 has not ended within 0.3 s/)
    // The line starts with the command's name.
    expect(await guest.must("ps", ["-e", "-o", "comm="])).not.toMatch(/^sleep/m)
  })

  test("what its root writes, anywhere, does not reach the host, even past its own read-only mounts", async () => {
    const own = join(precious, "written-by-a-guest")
    const forward = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8")
    const other = forward.trim() === "0" ? "1" : "0"
    const script = `
      echo changed > /etc/written-by-a-guest && echo changed > ${own} && cat ${own}
      sysctl -q -w net.ipv4.ip_forward=${other}
      mkdir /run/host /run/sys && mount -t hostfs -o / none /run/host
      mount -o remount,rw /run/host
      echo changed > /run/host${own}
      mount -t hostfs -o /proc/sys/net/ipv4 none /run/sys && echo ${other} > /run/sys/ip_forward
      rm -f /run/host${precious}/file
      mount -t tmpfs none /home
      kill -9 -1`
    const { out, err } = await guest.exec("sh", ["-c", script])
    expect(out, "the guest itself sees what it wrote").toBe("changed\n")
    expect(err.match(/Read-only file system/g)?.length).toBe(3)
    expect(existsSync(own)).toBe(false)
    expect(existsSync("/etc/written-by-a-guest")).toBe(false)
    expect(readFileSync(join(precious, "file"), "utf8")).toBe("as it was")
    expect(readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8")).toBe(forward)
    const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    expect(mounts).not.toContain(exchange)
    expect(mounts).not.toMatch(/ - (hostfs|tmpfs uml) /)
  })

  test("only the exchange folder is written through, by the time that the guest has ended", async () => {
    const own = await bootGuest({ memoryMiB: 128, modules: [], exchange })
    await own.must("sh", ["-c", `echo result > ${exchange}/result`])
    await own.close()
    await own.close()
    expect(readFileSync(join(exchange, "result"), "utf8")).toBe("result\n")
  })

  test("it has no network but its own", async () => {
    expect((await guest.must("ip", ["-br", "link"])).trim()).toMatch(/^lo\s+DOWN[^\n]*$/)
  })

  test("when its kernel dies, whoever waits for it is told so", async () => {
    const doomed = await bootGuest({ memoryMiB: 128, modules: [] })
    const waiting = doomed.exec("sleep", ["60"])
    process.kill(doomed.pid, "SIGKILL")
    await expect(waiting).rejects.toThrow(/the guest ended \(SIGKILL\)/)
    await expect(doomed.exec("true", [])).rejects.toThrow(/the guest ended/)
    await doomed.close()
    const lost = await bootGuest({ memoryMiB: 128, modules: [] })
    await expect(lost.exec("sh", ["-c", "echo c > /proc/sysrq-trigger"])).rejects.toThrow(
      /the guest ended .*Kernel panic/
    )
    await lost.close()
  })

  test("it ends with the process that booted it, however that dies", async () => {
    const program = fileURLToPath(new URL("./doomed-guest-process.fixture.ts", import.meta.url))
    const runner = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] })
    const pid = Number(await new Promise<string>((resolve) => runner.stdout.once("data", (text) => resolve(`${text}`))))
    expect(existsSync(`/proc/${pid}`)).toBe(true)
    runner.kill("SIGKILL")
    await vi.waitUntil(
      () => !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8")),
      {
        timeout: 5_000
      }
    )
  })
})
