/**
 * A guest: Debian's user-mode Linux, a kernel that runs as a process. It has what the host's kernel may lack (netem, Open vSwitch), and what
 * it does to files, settings and networks of its own stays in its memory. Booted in well under a second.
 *
 * The guest reads the host's files and cannot write them: its kernel runs in a mount namespace in which everything is read-only
 * (guest-jail.pl), so not even the guest's root can. In the guest a file system in memory lies over them (guest-init.pl).
 * It ends with the process that booted it: the kernel ends it by signal when that dies, and the line between them hangs up.
 */

import { type ChildProcess, spawn } from "node:child_process"
import type { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"
import { canRun } from "../command.ts"
import { LabError } from "../lab-error.ts"
import { type GuestCommand, GuestLine, type GuestOutput, type GuestProcess } from "./guest-line.ts"

export interface GuestOptions {
  readonly memoryMiB: number
  /** Network namespace of the host in which the guest's kernel opens its TAP devices; one of its own without any if left out. */
  readonly namespace?: string
  /** More words for the kernel: network devices. */
  readonly kernelWords?: ReadonlyArray<string>
  /** Modules to load, by name. */
  readonly modules: ReadonlyArray<string>
  /** The one folder of the host that the guest may write, under the same path there. */
  readonly exchange?: string
}

export interface GuestResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Guest {
  /** The process to end if all else fails; everything of the guest ends with it. */
  readonly pid: number
  /** Release of its kernel. */
  readonly release: string
  /** Runs a command to its end. Rejects only if the guest cannot do that; the exit code is the caller's to judge. */
  readonly exec: (
    command: string,
    args: ReadonlyArray<string>,
    options?: { readonly input?: string; readonly timeoutMs?: number }
  ) => Promise<GuestResult>
  /** The same for a command that must succeed: resolves with its output. */
  readonly must: (command: string, args: ReadonlyArray<string>, input?: string) => Promise<string>
  readonly start: (command: GuestCommand, output: GuestOutput) => GuestProcess
  /** Ends the guest. May be called twice. */
  readonly close: () => Promise<void>
}

/** Longest that the kernel of a guest takes to come up on a busy machine, ms. */
const BOOT_MS = 30_000
/** Longest that a command of the lab takes in a guest, ms. */
const COMMAND_MS = 30_000
/** After this a guest that was asked to end is ended, ms. */
const HALT_MS = 3_000
/** Of the guest's console, for error messages. */
const CONSOLE_CHARACTERS_MAX = 4_000
/** The kernel keeps 4,096 bytes of its words and says so by ending. */
const KERNEL_WORDS_BYTES_MAX = 4_000
/** Output of one command of the lab. */
const OUTPUT_BYTES_MAX = 64 * 2 ** 20

const KERNEL = "linux.uml"
const KERNEL_PATH = `/usr/bin/${KERNEL}`
const JAIL = fileURLToPath(new URL("guest-jail.pl", import.meta.url))
const INIT = fileURLToPath(new URL("guest-init.pl", import.meta.url))
/** Hidden by a file system in memory that only the guest's kernel sees. */
const SCRATCH = "/dev/shm"

/** Why no guest can be booted on this host, in one line that says what to do; `undefined` if one can. */
export const guestMissing = (): string | undefined => {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "a guest with a kernel of its own needs Linux on x86-64"
  if (process.getuid?.() !== 0) return "a guest with a kernel of its own needs root: run this as root"
  const wanted = [
    [KERNEL_PATH, "user-mode-linux"],
    ["/usr/bin/perl", "perl-base"],
    ["/usr/bin/unshare", "util-linux"],
    ["/usr/bin/setpriv", "util-linux"]
  ]
  const packages = new Set(wanted.filter(([path]) => !canRun(path)).map(([, name]) => name))
  if (packages.size === 0) return undefined
  return `a guest with a kernel of its own is not installed: apt install ${[...packages].join(" ")}`
}

export const bootGuest = async (options: GuestOptions): Promise<Guest> => {
  const missing = guestMissing()
  if (missing !== undefined) throw new LabError("missing", missing)
  const child = launch(options)
  const ended = endOf(child)
  const line = new GuestLine(child.stdio[3] as Duplex)
  void ended.then((sentence) => line.fail(new LabError("failed", sentence)))
  const guest = new RunningGuest(child, line, ended)
  try {
    guest.release = await within(BOOT_MS, line.ready, "the guest did not boot")
    if (options.exchange !== undefined)
      await guest.must("mount", ["-t", "hostfs", "-o", options.exchange, "none", options.exchange])
    if (options.modules.length > 0) await guest.must("modprobe", ["-a", ...options.modules])
    return guest
  } catch (error) {
    await guest.close()
    throw error
  }
}

class RunningGuest implements Guest {
  release = ""
  readonly pid: number
  private readonly child: ChildProcess
  private readonly line: GuestLine
  private readonly ended: Promise<string>

  constructor(child: ChildProcess, line: GuestLine, ended: Promise<string>) {
    this.child = child
    this.line = line
    this.ended = ended
    this.pid = child.pid as number
  }

  readonly start: Guest["start"] = (command, output) => this.line.start(command, output)

  readonly exec: Guest["exec"] = async (command, args, { input = "", timeoutMs = COMMAND_MS } = {}) => {
    const out = new Collected()
    const err = new Collected()
    const process = this.start({ command, args }, { out: (bytes) => out.add(bytes), err: (bytes) => err.add(bytes) })
    const what = `${command} ${args.join(" ")}`.slice(0, 200)
    try {
      await within(timeoutMs, process.write(Buffer.from(input)), `in the guest, ${what} does not read its input`)
      process.end()
      const code = await within(timeoutMs, process.exit, `in the guest, ${what} has not ended`)
      return { code, out: out.text(), err: err.text() }
    } catch (error) {
      process.signal(SIGKILL)
      throw error
    }
  }

  readonly must: Guest["must"] = async (command, args, input) => {
    const { code, err, out } = await this.exec(command, args, input === undefined ? {} : { input })
    if (code === 0) return out
    const what = `${command} ${args.join(" ")}`.slice(0, 200)
    throw new LabError("failed", `in the guest, ${what} ended with ${code}: ${err.trim() || out.trim()}`)
  }

  readonly close = async (): Promise<void> => {
    this.line.halt()
    const late = setTimeout(() => this.child.kill("SIGKILL"), HALT_MS)
    await this.ended
    clearTimeout(late)
  }
}

const SIGKILL = 9

class Collected {
  private readonly parts: Array<Buffer> = []
  private bytes = 0

  add(part: Buffer): void {
    this.bytes += part.length
    if (this.bytes <= OUTPUT_BYTES_MAX) this.parts.push(part)
  }

  text(): string {
    return Buffer.concat(this.parts).toString()
  }
}

const launch = (options: GuestOptions): ChildProcess => {
  const words = [
    `mem=${options.memoryMiB}M`,
    "root=/dev/root",
    "rootfstype=hostfs",
    "rootflags=/",
    "ro",
    "init=/usr/bin/perl",
    "con=null",
    "con0=null,fd:1",
    "ssl=null",
    "ssl0=fd:3",
    "quiet",
    `uml_dir=${SCRATCH}`,
    // Together 0.9 s of measuring how fast the processor is, for a file system that is not used and for busy waits of hardware that is not there.
    "initcall_blacklist=raid6_select_algo",
    "lpj=40000000",
    // A kernel that is lost ends.
    "panic=-1",
    ...(options.kernelWords ?? []),
    "--",
    INIT
  ]
  if (words.join(" ").length > KERNEL_WORDS_BYTES_MAX || words.some((word) => /\s/.test(word)))
    throw new LabError("failed", "the words for the guest's kernel are too long, or a path in them has a blank")
  const inNamespace = options.namespace === undefined ? [] : ["nsenter", `--net=/run/netns/${options.namespace}`, "--"]
  const isolated = ["--mount", "--pid", "--ipc", "--uts", ...(options.namespace === undefined ? ["--net"] : [])]
  const args = [
    ...["--pdeathsig", "KILL", "--", ...inNamespace],
    ...["unshare", ...isolated, "--fork", "--kill-child", "--mount-proc", "--"],
    ...["perl", JAIL, options.exchange ?? "-", SCRATCH, KERNEL_PATH, ...words]
  ]
  // Its own process group: a Ctrl-C is for whoever booted it, who then ends it.
  return spawn("setpriv", args, { stdio: ["ignore", "pipe", "pipe", "pipe"], cwd: "/", detached: true })
}

/** Resolves, when the guest is no more, with a sentence that says how it ended and what it said last. */
const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    let said = ""
    const onSaid = (text: string): void => {
      said = `${said}${text}`.slice(-CONSOLE_CHARACTERS_MAX)
    }
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", onSaid)
    // What a lost kernel says last is a list of its functions.
    const last = (): string => /Kernel panic.*/.exec(said)?.[0] ?? said.trim().split(/\r?\n/).slice(-4).join("; ")
    child.on("error", (error) => resolve(`the guest could not be started: ${error.message}`))
    child.on("close", (code, signal) => resolve(`the guest ended (${signal ?? code}); it said: ${last() || "nothing"}`))
  })

const within = async <A>(ms: number, work: Promise<A>, otherwise: string): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LabError("failed", `${otherwise} within ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
