import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { named, setprivMissing } from "../here.fixture.ts"
import { LabProcess } from "./lab-process.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // One that nobody has collected yet is dead.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

const dies = (pid: number) => expect.poll(() => isAlive(pid), { timeout: 2_000, interval: 5 }).toBe(false)

test("a process takes what it has started with it", async () => {
  // The shell's child would outlive the shell.
  const shell = new LabProcess({ command: ["sh", "-c", "sleep 60 & echo $! >&2"] })
  expect((await shell.exited).code).toBe(0)
  await dies(Number(shell.stderr))
  expect(shell.running).toBe(false)
})

test.skipIf(setprivMissing !== "")(
  named("a process dies with its runner, however that dies", setprivMissing),
  async () => {
    const module = JSON.stringify(new URL("./lab-process.ts", import.meta.url).href)
    const code = `
    import { LabProcess } from ${module}
    new LabProcess({ command: ["sh", "-c", "echo $$ >&2; exec sleep 60"], onError: (text) => console.error(text) })`
    const runner = new LabProcess({ command: [process.execPath, "--input-type=module", "-e", code] })
    await expect.poll(() => runner.stderr, { timeout: 5_000 }).toMatch(/\d/)
    const child = Number(runner.stderr)
    expect(isAlive(child)).toBe(true)
    runner.signal("SIGKILL")
    await dies(child)
  }
)

test("who does not stop in time is killed, and that is said", async () => {
  const deaf = new LabProcess({ command: ["sh", "-c", "trap '' TERM; echo on >&2; while :; do sleep 0.05; done"] })
  await expect.poll(() => deaf.stderr, { timeout: 5_000 }).toBe("on\n")
  expect(await deaf.stop(100)).toEqual({ code: null, signal: "SIGKILL", forced: true })
  const polite = new LabProcess({ command: ["sleep", "60"] })
  expect(await polite.stop(5_000)).toEqual({ code: null, signal: "SIGTERM", forced: false })
})

test("everything that a process wrote has been read when it has ended, and the runner's settings of nodes are not its own", async () => {
  process.env["HORIZON_GATEWAY_PORT"] = "1"
  try {
    let said = ""
    const child = new LabProcess({
      command: ["sh", "-c", "env | grep ^HORIZON; seq 1 20000 >&3; echo tail >&2"],
      environment: { HORIZON_TRACE_FD: "3" },
      onOutput: (chunk) => {
        said += String(chunk)
      },
      onTrace: (chunk) => {
        said += String(chunk)
      }
    })
    await child.exited
    const lines = said.trim().split("\n")
    expect(lines).toHaveLength(20_001)
    expect(lines).toContain("HORIZON_TRACE_FD=3")
    expect(lines.at(-1)).toBe("20000")
    expect(child.lastWords()).toBe("tail")
  } finally {
    delete process.env["HORIZON_GATEWAY_PORT"]
  }
})

test("words to people are preferred to the log, and only the last ones are told", async () => {
  const script = `echo one; echo two; echo three; echo 'horizon client: no TUN'; echo '{"level":"info"}'`
  const child = new LabProcess({ command: ["sh", "-c", `( ${script} ) >&2`] })
  await child.exited
  expect(child.lastWords()).toBe("two | three | horizon client: no TUN")
})

test("a command that does not exist ends at once and says so", async () => {
  const nothing = new LabProcess({ command: ["horizon-no-such-program"] })
  const exit = await nothing.exited
  expect(exit.code).not.toBe(0)
  expect(nothing.lastWords()).toMatch(/horizon-no-such-program/)
})
