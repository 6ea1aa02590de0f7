/** Commands that end by themselves: run without a shell, bounded in time, with an error that says what is missing or what failed. */

import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { LabError } from "../lab/lab-error.ts"

/** Where a tool comes from on Debian, for the message of whoever lacks it. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  ping: "iputils-ping",
  iperf3: "iperf3",
  nsenter: "util-linux",
  setpriv: "util-linux",
  taskset: "util-linux",
  cc: "gcc libc6-dev",
  openssl: "openssl",
  openvpn: "openvpn",
  wg: "wireguard-tools",
  go: "golang-go (1.23 or newer)",
  cargo: "cargo (1.85 or newer)"
}

const TIMEOUT_MS = 10_000
/** iperf3 and compilers say much; more than this is a program gone wild. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const STDERR_CHARACTERS_MAX = 600

export interface RunOptions {
  /** 10 seconds if left out. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Whether an exit code other than 0 is an answer too: the output is given all the same. */
  readonly anyExit?: boolean
}

/** Runs a command and resolves with its standard output; rejects with a `LabError`. */
export const run = (command: ReadonlyArray<string>, options: RunOptions = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const [file, ...args] = command
    const timeout = options.timeoutMs ?? TIMEOUT_MS
    const settings = {
      timeout,
      killSignal: "SIGKILL" as const,
      maxBuffer: OUTPUT_BYTES_MAX,
      signal: options.signal,
      env: { ...process.env, ...options.env }
    }
    execFile(file, args, settings, (error, stdout, stderr) => {
      if (error === null || (options.anyExit === true && typeof error.code === "number")) resolve(stdout)
      else if (error.code === "ENOENT") reject(new LabError("missing", missingTool(file)!))
      else {
        const said = stderr.trim().slice(-STDERR_CHARACTERS_MAX)
        const why = error.killed === true ? `took longer than ${timeout / 1000} s` : said || error.message
        reject(new LabError("failed", `${command.join(" ")}: ${why}`))
      }
    })
  })

/** Why a tool cannot be used here, in one line; undefined if it can. */
export const missingTool = (tool: string): string | undefined => {
  const found = (process.env["PATH"] ?? "").split(delimiter).some((folder) => isProgram(join(folder, tool)))
  if (found) return undefined
  const from = PACKAGES[tool]
  return `${tool} is not installed${from === undefined ? "" : `; on Debian: apt install ${from}`}`
}

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
