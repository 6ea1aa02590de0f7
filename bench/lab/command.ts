/**
 * Runs the host's tools (ip, tc, ping, cc …) that end by themselves: argument lists, never a shell; bounded in time and output. A failure says
 * which command, on what line of its input, what it said, and what to install.
 */

import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import type { Readable } from "node:stream"
import { LabError } from "./lab-error.ts"
import { OutputFile } from "./output-file.ts"

export interface RunOptions {
  /** Text on its standard input; empty if left out. */
  readonly input?: string
  /** It is ended by force after this; 30 seconds if left out. */
  readonly timeoutMs?: number
  /** Ends it by force. */
  readonly signal?: AbortSignal | undefined
  /** Variables besides those of this process. */
  readonly env?: Environment
  /** Whether an exit code other than 0 is an answer too: the output is given all the same. */
  readonly anyExit?: boolean
  /**
   * When its output is read: as it comes, or at the end, so that a program which prints a line for every packet does not wake this process
   * while something is being measured.
   */
  readonly output?: "as it comes" | "at the end"
}

type Environment = Readonly<Record<string, string | undefined>>

/** A tool that takes longer hangs. */
const TIMEOUT_MS = 30_000
/** iperf3 and compilers say much; more than this is a program gone wild. */
const OUTPUT_BYTES_MAX = 16 * 2 ** 20
/** Of a long complaint, its first and its last lines: some tools begin with the cause, others end with it. */
const COMPLAINT_LINES_EACH = 4
const COMPLAINT_CHARACTERS_PER_LINE = 300

/** In which Debian package a tool is, for the message of whoever lacks it. */
const PACKAGES: Readonly<Record<string, string>> = {
  bridge: "iproute2",
  cargo: "cargo (1.85 or newer)",
  cc: "gcc libc6-dev",
  ethtool: "ethtool",
  go: "golang-go (1.23 or newer)",
  ip: "iproute2",
  iperf3: "iperf3",
  nft: "nftables",
  nsenter: "util-linux",
  openssl: "openssl",
  openvpn: "openvpn",
  ping: "iputils-ping",
  setpriv: "util-linux",
  sysctl: "procps",
  taskset: "util-linux",
  tc: "iproute2",
  unshare: "util-linux",
  wg: "wireguard-tools"
}

/** Runs a command and resolves with its standard output; rejects with a `LabError`. */
export const run = async (command: ReadonlyArray<string>, options: RunOptions = {}): Promise<string> => {
  const file = options.output === "at the end" ? new OutputFile() : undefined
  try {
    const { code, cut, err, out } = await runToEnd(command, options, file)
    const missing = code === 0 ? undefined : NOT_EXECUTED.exec(err)?.[1]
    if (missing !== undefined) throw new LabError("missing", notInstalled(missing))
    const why = cut ?? (file !== undefined && file.bytes > OUTPUT_BYTES_MAX ? TOO_MUCH : undefined)
    if (why !== undefined) throw new LabError("failed", complaint(command, why, err))
    const said = file?.read(OUTPUT_BYTES_MAX) ?? out
    if (code === 0 || (options.anyExit === true && typeof code === "number")) return said
    throw new LabError("failed", complaint(command, `failed (${code})${stoppedAt(options.input, err)}`, err || said))
  } finally {
    file?.close()
  }
}

/** Why a tool cannot be used here, in one line; undefined if it can. */
export const missingTool = (tool: string): string | undefined =>
  searchPath().some((folder) => canRun(join(folder, tool))) ? undefined : notInstalled(tool)

/** Whether a file is a program that this process may start. */
export const canRun = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The environment of a tool: administrators' directories are not on everybody's path, and what tools say is matched in English. */
export const toolEnvironment = (more: Environment = {}): Environment => ({
  ...process.env,
  PATH: searchPath().join(delimiter),
  LC_ALL: "C",
  ...more
})

/** Does the work for each item, a few at a time: every tool is a process, and more at once than this only wait for each other. */
export const forEachFew = async <T>(items: ReadonlyArray<T>, work: (item: T) => Promise<unknown>): Promise<void> => {
  const queue = [...items]
  const failures: Array<unknown> = []
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      try {
        await work(item)
      } catch (cause) {
        failures.push(cause)
      }
    }
  }
  await Promise.all(Array.from({ length: TOOLS_AT_ONCE }, worker))
  if (failures.length > 0) throw failures[0]
}

const TOOLS_AT_ONCE = 6

interface Ended {
  /** Its exit code, or the signal that ended it. */
  readonly code: number | string
  /** Why it was not let to its end. */
  readonly cut: string | undefined
  readonly out: string
  readonly err: string
}

const runToEnd = (
  command: ReadonlyArray<string>,
  { env, input, signal, timeoutMs = TIMEOUT_MS }: RunOptions,
  file: OutputFile | undefined
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const [name, ...args] = command
    const child = spawn(name, args, {
      env: toolEnvironment(env),
      stdio: [input === undefined ? "ignore" : "pipe", file?.descriptor ?? "pipe", "pipe"]
    })
    let cut: string | undefined
    const end = (why: string): void => {
      cut ??= why
      child.kill("SIGKILL")
      // What it has started may hold these open.
      child.stdout?.destroy()
      child.stderr?.destroy()
    }
    const stop = (): void => end("was stopped")
    const timer = setTimeout(() => end(`took longer than ${timeoutMs / 1000} s`), timeoutMs)
    signal?.addEventListener("abort", stop)
    const over = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener("abort", stop)
    }
    const out = collect(child.stdout, () => end(TOO_MUCH))
    const err = collect(child.stderr, () => end(TOO_MUCH))
    // A tool that stops before it has read everything says why on standard error.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)
    child.once("error", (cause: NodeJS.ErrnoException) => {
      over()
      reject(notStarted(name, cause))
    })
    child.once("close", (code, killedBy) => {
      over()
      resolve({ code: code ?? killedBy ?? "?", cut, out: out(), err: err() })
    })
    if (signal?.aborted === true) stop()
  })

/** Keeps what a stream says, and says so when that becomes too much. */
const collect = (stream: Readable | null, tooMuch: () => void): (() => string) => {
  let text = ""
  stream?.setEncoding("utf8").on("data", (part: string) => {
    text += part
    if (text.length > OUTPUT_BYTES_MAX) tooMuch()
  })
  return () => text
}

const TOO_MUCH = `printed more than ${OUTPUT_BYTES_MAX / 2 ** 20} MiB`

/** What tools say that become another command, when there is none of that name. */
const NOT_EXECUTED = /^(?:nsenter|setpriv|taskset|unshare): failed to execute (\S+): No such file/m

const notInstalled = (tool: string): string => {
  const from = PACKAGES[tool]
  return `${tool} is not installed${from === undefined ? "" : `; on Debian: apt install ${from}`}`
}

/** A name that is nowhere on the path fails with EACCES if a directory of the path may not be searched. */
const notStarted = (name: string, cause: NodeJS.ErrnoException): LabError =>
  cause.code === "ENOENT" || cause.code === "EACCES"
    ? new LabError("missing", notInstalled(name))
    : new LabError("failed", `${name} does not start: ${cause.message}`)

/** `Command failed -:12` is all that a batch says of the line that it stopped at. */
const stoppedAt = (input: string | undefined, said: string): string => {
  const at = /Command failed -:(\d+)/.exec(said)?.[1]
  return at === undefined || input === undefined ? "" : ` at "${input.split("\n")[Number(at) - 1]}"`
}

/** Which command, what became of it, and what it said. */
const complaint = (command: ReadonlyArray<string>, fate: string, said: string): string => {
  const lines = said
    .trim()
    .split("\n")
    .map((line) => line.slice(0, COMPLAINT_CHARACTERS_PER_LINE))
  const all = lines.length <= 2 * COMPLAINT_LINES_EACH
  const shown = all ? lines : [...lines.slice(0, COMPLAINT_LINES_EACH), "…", ...lines.slice(-COMPLAINT_LINES_EACH)]
  return `${command.join(" ")} ${fate}${said.trim() === "" ? "" : `: ${shown.join("; ")}`}`
}

const searchPath = (): ReadonlyArray<string> =>
  [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"].filter((folder) => folder !== "")
