import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { forEachFew, missingTool, type RunOptions, run } from "./command.ts"
import { LabError } from "./lab-error.ts"

const failure = (command: ReadonlyArray<string>, options?: RunOptions): Promise<LabError> =>
  run(command, options).then(
    () => expect.unreachable("it fails"),
    (cause: LabError) => {
      expect(cause).toBeInstanceOf(LabError)
      return cause
    }
  )

/** A command that runs a script in Node, whatever tools the machine has. */
const node = (script: string): ReadonlyArray<string> => [process.execPath, "-e", script]

describe("running", () => {
  test("a command's output is the result, its input reaches it, and without any it reads nothing", async () => {
    expect(await run(["cat"], { input: "a line\n" })).toBe("a line\n")
    expect(await run(["cat"])).toBe("")
  })

  test("a tool finds what administrators run, speaks English, and gets the variables that are added", async () => {
    const script = `const { PATH, LC_ALL, HZ_ADDED } = process.env; console.log([PATH.split(":").includes("/usr/sbin"), LC_ALL, HZ_ADDED].join())`
    expect(await run(node(script), { env: { HZ_ADDED: "added" } })).toBe("true,C,added\n")
  })

  test("an exit code that is an answer gives the output, if that is asked for", async () => {
    const command = node("console.log('half of them'); process.exit(1)")
    expect(await run(command, { anyExit: true })).toBe("half of them\n")
    expect((await failure(command)).message).toMatch(/ failed \(1\): half of them$/)
  })
})

describe("failing", () => {
  test("a tool that is not there is missing, with the package that has it where that is known", async () => {
    expect(await failure(["hz-no-such-tool"])).toMatchObject({
      reason: "missing",
      message: "hz-no-such-tool is not installed"
    })
    vi.stubEnv("PATH", "/hz/no/such/folder")
    try {
      expect(missingTool("ping")).toBe("ping is not installed; on Debian: apt install iputils-ping")
    } finally {
      vi.unstubAllEnvs()
    }
    expect(missingTool("sh")).toBeUndefined()
  })

  test("a command in front that finds no program to become names that program as missing, whatever exit code is an answer", async () => {
    // As nsenter says it, without the rights that it needs.
    const program = "console.error('nsenter: failed to execute ping: No such file or directory'); process.exit(127)"
    expect(await failure(node(program), { anyExit: true })).toMatchObject({
      reason: "missing",
      message: "ping is not installed; on Debian: apt install iputils-ping"
    })
  })

  test("a failure names the command, its exit code and what it said", async () => {
    const failed = await failure(["ls", "/hz/no/such/folder"])
    expect(failed.reason).toBe("failed")
    expect(failed.message).toMatch(/^ls \/hz\/no\/such\/folder failed \(2\): .*No such file or directory/)
  })

  test("a failure of a batch names the line at which it stopped", async () => {
    // As ip says it, whatever the machine.
    const program = "console.error('RTNETLINK answers: File exists\\nCommand failed -:2'); process.exit(1)"
    const failed = await failure(node(program), { input: "link add a\nlink add b\nlink add c\n" })
    expect(failed.message).toMatch(/failed \(1\) at "link add b": RTNETLINK answers: File exists/)
  })

  test("of a long complaint the beginning and the end are said", async () => {
    const failed = await failure(
      node("for (let i = 1; i <= 1000; i++) console.error('line ' + i); process.exitCode = 1")
    )
    expect(failed.message).toMatch(/: line 1; line 2; line 3; line 4; …; line 997; line 998; line 999; line 1000$/)
  })

  test("a command that hangs is ended, and so is one that is stopped or prints without end", async () => {
    expect((await failure(["sleep", "5"], { timeoutMs: 50 })).message).toBe("sleep 5 took longer than 0.05 s")
    expect((await failure(["sleep", "5"], { signal: AbortSignal.timeout(20) })).message).toBe("sleep 5 was stopped")
    expect((await failure(["sleep", "5"], { signal: AbortSignal.abort() })).message).toBe("sleep 5 was stopped")
    expect((await failure(["cat", "/dev/zero"])).message).toBe("cat /dev/zero printed more than 16 MiB")
  })

  test("what a command that was ended has started does not hold its end up", async () => {
    const startMs = performance.now()
    expect((await failure(["sh", "-c", "sleep 3; true"], { timeoutMs: 50 })).message).toContain("took longer")
    expect(performance.now() - startMs).toBeLessThan(2_000)
  })
})

describe("output that is read at the end", () => {
  let folder = ""
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "horizon-command-"))
    vi.stubEnv("TMPDIR", folder)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })

  test("it goes to a file that is nowhere to be found, and is the result, whole", async () => {
    const print = `for (let i = 0; i < 20000; i++) fs.writeSync(1, "réponse " + i + "\\n")`
    const command = node(
      `fs.writeSync(1, fs.fstatSync(1).isFile() + " " + fs.readdirSync("${folder}") + "\\n"); ${print}`
    )
    const lines = (await run(command, { output: "at the end" })).split("\n")
    expect(lines[0]).toBe("true ")
    expect(lines.slice(1)).toEqual([...Array.from({ length: 20_000 }, (_, i) => `réponse ${i}`), ""])
  })

  test("it is what a failure says, and what an exit code that is an answer gives", async () => {
    const command = node("console.log('half of them'); process.exit(1)")
    expect(await run(command, { output: "at the end", anyExit: true })).toBe("half of them\n")
    expect((await failure(command, { output: "at the end" })).message).toMatch(/ failed \(1\): half of them$/)
  })

  test("nothing is left of it, and no file stays open, however the command ends", async () => {
    const openFiles = (): number => readdirSync("/dev/fd").length
    const before = openFiles()
    const output = "at the end" as const
    await run(["echo", "x"], { output })
    await failure(["ls", "/hz/no/such/folder"], { output })
    await failure(["hz-no-such-tool"], { output })
    await failure(["sleep", "5"], { output, timeoutMs: 20 })
    expect(readdirSync(folder)).toEqual([])
    await vi.waitUntil(() => openFiles() <= before, { timeout: 2_000 })
  })

  test("more than 16 MiB is an error, as it is when it is read as it comes", async () => {
    const much = await failure(["head", "-c", String(16 * 2 ** 20 + 1), "/dev/zero"], { output: "at the end" })
    expect(much.message).toMatch(/ printed more than 16 MiB$/)
  })
})

test("a few at a time: all are done, and after a failure no further one is begun", async () => {
  let running = 0
  let most = 0
  const done: Array<number> = []
  const work = async (item: number): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, 1))
    running--
    if (item === 20) throw new Error("twenty")
    done.push(item)
  }
  await forEachFew([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], work)
  expect(done.length).toBe(12)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThan(12)
  done.length = 0
  await expect(
    forEachFew(
      Array.from({ length: 50 }, (_, index) => 20 + index),
      work
    )
  ).rejects.toThrow("twenty")
  expect(done.length).toBeLessThan(12)
})
