import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough, Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { LabError } from "@horizon/bench/lab/lab-error.ts"
import { type Guest, type GuestOptions, guestMissing } from "@horizon/bench/lab/uml/guest.ts"
import type { GuestCommand, GuestOutput, GuestProcess } from "@horizon/bench/lab/uml/guest-line.ts"
import { EXIT } from "@horizon/core/measure/run.ts"
import { describe, expect, test, vi } from "vitest"
import { startHorizon } from "./command-line.fixture.ts"
import { guestCommand, type Surroundings } from "./lab-guest.ts"

/** A guest whose one command is played by the test. */
class PlayedGuest implements Guest {
  readonly pid = 1
  readonly release = "6.1"
  command: GuestCommand | undefined
  closed = 0
  readonly signals: Array<number> = []
  readonly given: Array<string> = []
  end: (code: number) => void = () => {}
  private readonly play: (output: GuestOutput, guest: PlayedGuest) => void

  constructor(play: (output: GuestOutput, guest: PlayedGuest) => void) {
    this.play = play
  }

  readonly exec: Guest["exec"] = async () => ({ code: 0, out: "", err: "" })
  readonly must: Guest["must"] = async () => ""
  readonly start: Guest["start"] = (command, output): GuestProcess => {
    this.command = command
    const exit = new Promise<number>((resolve) => {
      this.end = resolve
    })
    queueMicrotask(() => this.play(output, this))
    return {
      exit,
      write: async (bytes) => void this.given.push(`${Buffer.from(bytes)}`),
      end: () => void this.given.push("(end)"),
      signal: (number) => void this.signals.push(number),
      resize: () => {}
    }
  }
  readonly close = async (): Promise<void> => void this.closed++
}

class Collector extends Writable {
  text = ""
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

/** Starts the command line with the guest that `boot` gives. */
const begin = (
  boot: (options: GuestOptions) => Promise<Guest>,
  args: ReadonlyArray<string>,
  change: Partial<Surroundings> = {}
) => {
  const [stdout, stderr] = [new Collector(), new Collector()]
  const surroundings: Surroundings = {
    stdin: Readable.from([]),
    stdout,
    stderr,
    folder: "/here",
    environment: { HOME: "/root", EMPTY: undefined },
    ...change
  }
  const command = guestCommand(
    async () => ({ bootGuest: boot }),
    () => surroundings
  )
  const { fiber, said } = startHorizon([command], ["guest", ...args])
  const ended = said()
  return { ended, fiber, stdout, stderr }
}

test("everything after -- is the command's: its flags, its own --, and names that are ours", async () => {
  const asked: Array<GuestOptions> = []
  const guest = new PlayedGuest((_, { end }) => end(0))
  const boot = async (options: GuestOptions) => {
    asked.push(options)
    return guest
  }
  const args = ["--memory", "300", "--out", "x", "--", "ls", "-la", "--memory", "--", "--help"]
  expect((await begin(boot, args).ended).code).toBe(0)
  expect(guest.command).toEqual({
    command: "ls",
    args: ["-la", "--memory", "--", "--help"],
    folder: "/here",
    environment: { HOME: "/root" }
  })
  expect(asked).toEqual([{ memoryMiB: 300, modules: ["tun"], exchange: "/here/x" }])
  expect(guest.closed).toBe(1)
})

test("the command's output, errors, exit code and input are passed through", async () => {
  const guest = new PlayedGuest((output, { end }) => {
    output.out(Buffer.from("to out"))
    output.err(Buffer.from("to err"))
    setTimeout(() => end(5), 20)
  })
  const run = begin(async () => guest, ["--", "x"], { stdin: Readable.from([Buffer.from("typed")]) })
  expect((await run.ended).code).toBe(5)
  expect([run.stdout.text, run.stderr.text]).toEqual(["to out", "to err"])
  expect(guest.given).toEqual(["typed", "(end)"])
})

test("what is not read here holds the guest up", async () => {
  const held: Array<Promise<void> | void> = []
  const narrow = new PassThrough({ highWaterMark: 10 })
  const guest = new PlayedGuest((output, { end }) => {
    held.push(output.out(Buffer.from("short")), output.out(Buffer.from("much too long")))
    void held[1]?.then(() => end(0))
  })
  const run = begin(async () => guest, ["--", "x"], { stdout: narrow })
  await vi.waitUntil(() => held.length === 2)
  expect(held[0]).toBeUndefined()
  expect(held[1]).toBeInstanceOf(Promise)
  narrow.resume()
  expect((await run.ended).code).toBe(0)
})

test("interrupted, it asks the command to end, and ends the guest", async () => {
  const guest = new PlayedGuest(() => {})
  const run = begin(async () => guest, ["--", "sleep", "60"])
  await vi.waitUntil(() => guest.command !== undefined)
  run.fiber.interruptUnsafe()
  await vi.waitUntil(() => guest.signals.length > 0)
  expect(guest.signals).toEqual([15])
  guest.end(143)
  expect((await run.ended).code).toBe(EXIT.interrupted)
  expect(guest.closed).toBe(1)
})

test("on a terminal the command gets one of the same size, and every key", async () => {
  const raw: Array<boolean> = []
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) })
  const stdout = Object.assign(new Collector(), { isTTY: true, rows: 40, columns: 120 })
  const guest = new PlayedGuest((_, { end }) => end(0))
  expect((await begin(async () => guest, ["--", "bash"], { stdin, stdout }).ended).code).toBe(0)
  expect(guest.command?.terminal).toEqual({ rows: 40, columns: 120 })
  expect(raw).toEqual([true, false])
})

test("what this machine lacks is said, with the exit code of what is skipped", async () => {
  const boot = async (): Promise<Guest> => {
    throw new LabError("missing", "a guest … is not installed: apt install user-mode-linux")
  }
  expect(await begin(boot, ["--", "ls"]).ended).toMatchObject({
    code: EXIT.skipped,
    err: ["horizon: a guest … is not installed: apt install user-mode-linux"]
  })
})

test("a memory that is none, and no command, are bad use", async () => {
  const boot = () => Promise.reject(new Error("is not reached"))
  expect(await begin(boot, ["--memory", "3x", "--", "ls"]).ended).toMatchObject({
    code: EXIT.usage,
    err: ['horizon: --memory "3x" is not a number of MiB from 64 to 65536']
  })
  expect((await begin(boot, ["--memory", "32", "--", "ls"]).ended).code).toBe(EXIT.usage)
  expect((await begin(boot, []).ended).code).toBe(EXIT.usage)
})

const missing = guestMissing() ?? ""
const name =
  "the command line runs a command in a guest, in the current folder, with the files of --out written through"
describe.skipIf(missing !== "")(missing === "" ? "here" : `here [skipped: ${missing}]`, () => {
  test(name, async () => {
    const folder = mkdtempSync(join(tmpdir(), "horizon-lab-guest-"))
    try {
      const cli = fileURLToPath(new URL("../cli.ts", import.meta.url))
      const script = "pwd; uname -r; cat > copy; ls; echo gone > ../gone; exit 9"
      const child = spawn(process.execPath, [cli, "lab", "guest", "--out", folder, "--", "sh", "-c", script], {
        cwd: folder,
        stdio: ["pipe", "pipe", "inherit"]
      })
      child.stdin.end("through and back")
      let out = ""
      child.stdout.on("data", (text: Buffer) => {
        out += text
      })
      const code = await new Promise((resolve) => child.once("close", resolve))
      expect(out.split("\n")).toEqual([folder, expect.stringMatching(/^\d+\.\d+/), "copy", ""])
      expect(code).toBe(9)
      expect(readFileSync(join(folder, "copy"), "utf8")).toBe("through and back")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
