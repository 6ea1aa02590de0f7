/**
 * Runs the tools of the host (ip, tc, nft …) for a lab: argument lists, never a shell; a failure says which command, on what line of
 * its input, and what to do.
 */

import { spawn } from "node:child_process"
import { LabError } from "./lab-error.ts"

/** A tool that takes longer hangs. */
const TOOL_MS_MAX = 30_000
/** Of a tool's complaint, as much as a person reads. */
const COMPLAINT_LINES_MAX = 4

/** In which Debian package a tool is, for the message when it is missing. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  tc: "iproute2",
  bridge: "iproute2",
  nft: "nftables",
  ethtool: "ethtool",
  nsenter: "util-linux",
  unshare: "util-linux",
  sysctl: "procps"
}

/** Runs a command with text on its standard input; resolves with its standard output. */
export const run = (command: string, args: ReadonlyArray<string>, input = ""): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: TOOL_ENVIRONMENT, timeout: TOOL_MS_MAX, killSignal: "SIGKILL" })
    let out = ""
    let err = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text
    })
    // A tool that stops before it has read everything says why on standard error.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    child.once("error", (cause: NodeJS.ErrnoException) => reject(notStarted(command, cause)))
    child.once("close", (code, signal) => {
      const missing = NOT_EXECUTED.exec(err)?.[1]
      if (code === 0) resolve(out)
      else if (missing !== undefined) reject(notInstalled(missing))
      else reject(new LabError("failed", complaint(command, args, input, err || out, code ?? signal ?? "?")))
    })
  })

/** `ip -batch`, in a namespace if one is named. */
export const ipBatch = (lines: ReadonlyArray<string>, namespace?: string): Promise<string> =>
  lines.length === 0
    ? Promise.resolve("")
    : run("ip", [...inNamespace(namespace), "-batch", "-"], `${lines.join("\n")}\n`)

/** `bridge -batch` in a namespace. */
export const bridgeBatch = (lines: ReadonlyArray<string>, namespace: string): Promise<string> =>
  lines.length === 0
    ? Promise.resolve("")
    : run("bridge", [...inNamespace(namespace), "-batch", "-"], `${lines.join("\n")}\n`)

/** Command and arguments to put before a command, so that it runs with the network of a namespace. */
export const entering = (namespace: string): ReadonlyArray<string> => ["nsenter", `--net=/run/netns/${namespace}`, "--"]

/** Runs a command with the network of a namespace. */
export const runIn = (namespace: string, command: string, args: ReadonlyArray<string>, input = ""): Promise<string> => {
  const [first, ...rest] = entering(namespace)
  return run(first, [...rest, command, ...args], input)
}

/** `nft -f` in a namespace. */
export const nft = (namespace: string, script: string): Promise<string> => runIn(namespace, "nft", ["-f", "-"], script)

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

const inNamespace = (namespace: string | undefined): ReadonlyArray<string> =>
  namespace === undefined ? [] : ["-n", namespace]

/** The administrators' directories are not on everybody's path; messages are matched in English. */
const TOOL_ENVIRONMENT = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" }

/** What nsenter and unshare say of the command that they should become. */
const NOT_EXECUTED = /^(?:nsenter|unshare): failed to execute (\S+): No such file/m

const notInstalled = (command: string): LabError =>
  new LabError("missing", `${command} is not installed: apt install ${PACKAGES[command] ?? command}`)

const notStarted = (command: string, cause: NodeJS.ErrnoException): LabError =>
  cause.code === "ENOENT" || cause.code === "EACCES"
    ? notInstalled(command)
    : new LabError("failed", `${command} does not start: ${cause.message}`)

/** Which command, on what line of its input, and what it said. */
const complaint = (
  command: string,
  args: ReadonlyArray<string>,
  input: string,
  said: string,
  code: number | string
): string => {
  const lines = said.trim().split("\n")
  // `Command failed -:12` is all that a batch says of the line that it stopped at.
  const at = /Command failed -:(\d+)/.exec(said)?.[1]
  const line = at === undefined ? "" : ` at "${input.split("\n")[Number(at) - 1]}"`
  return `${[command, ...args].join(" ")} failed (${code})${line}: ${lines.slice(0, COMPLAINT_LINES_MAX).join("; ")}`
}
