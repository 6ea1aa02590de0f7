/** topology.py at work in namespaces of its own, and what it says. */

import { type ChildProcess, spawn } from "node:child_process"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { canRun, missingTool } from "../command.ts"
import { LabError } from "../lab-error.ts"
import type { ExportedTopology } from "./export.ts"

export type SwitchKind = "ovs" | "bridge"

export interface MininetProcessOptions {
  readonly switch: SwitchKind | "auto"
  /** Whether Mininet makes the links, or finds them made. */
  readonly links: "own" | "given"
}

/** Processes, by their numbers on this host, whose networks are those of the topology. */
export interface MininetPids {
  readonly switches: number
  readonly nodes: ReadonlyMap<string, number>
  readonly switchKind: SwitchKind
}

/** Longest that Mininet takes for a large topology on a busy machine, ms. */
const BUILD_MS = 60_000
/** After this a Mininet that was asked to end is ended, ms. */
const STOP_MS = 10_000
const STDERR_CHARACTERS_MAX = 4_000

const SCRIPT = fileURLToPath(new URL("topology.py", import.meta.url))
/** Debian's, which has the package mininet; the first one on the path may be another. */
const PYTHON = "/usr/bin/python3"
const MNEXEC = "/usr/bin/mnexec"

/** Why there is no Mininet here, in one line that says what to do; `undefined` if there is one. */
export const mininetMissing = (): string | undefined => {
  if (process.getuid?.() !== 0) return "Mininet needs root: run it again with sudo, or choose the simulated world"
  return [PYTHON, MNEXEC].every(canRun) ? undefined : "Mininet is not installed: apt install mininet"
}

export class MininetProcess {
  readonly pid: number
  private readonly child: ChildProcess & {
    readonly stdin: Writable
    readonly stdout: Readable
    readonly stderr: Readable
  }
  private readonly lines: AsyncIterator<string>
  private readonly ended: Promise<void>
  private said = ""
  /** The process namespace that topology.py has made. */
  private place = ""

  constructor(options: MininetProcessOptions) {
    const isolated = ["-n", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--"]
    const script = [PYTHON, SCRIPT, "--driven", "--switch", options.switch, "--links", options.links]
    // Its own process group, so that a Ctrl-C is not Mininet's.
    this.child = spawn("setpriv", ["--pdeathsig", "KILL", "--", "unshare", ...isolated, ...script], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"]
    })
    const { child } = this
    this.ended = new Promise((resolve) => {
      child.once("close", () => resolve())
      child.once("error", (error) => {
        this.said += error.message
        resolve()
      })
    })
    if (child.pid === undefined) throw new LabError("missing", missingTool("setpriv") ?? "setpriv does not start")
    this.pid = child.pid
    // What it is told after its end is lost, and its end is seen anyway.
    child.stdin.on("error", () => {})
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.said = (this.said + text).slice(-STDERR_CHARACTERS_MAX)
    })
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** Resolves when nodes and switches are there, and Mininet's own links too. */
  async build(topology: ExportedTopology): Promise<MininetPids> {
    this.child.stdin.write(`${JSON.stringify(topology)}\n`)
    const state = JSON.parse(await this.line()) as State
    this.place = readlinkSync(`/proc/${childOf(this.pid)}/ns/pid`)
    const here = new Map(
      processes()
        .filter((pid) => this.owns(pid))
        .map((pid) => [numberInside(pid), pid])
    )
    const nodes = Object.entries(state.pids).map(([name, inside]) => [name, here.get(inside)!] as const)
    return { switches: here.get(state.switchPid)!, nodes: new Map(nodes), switchKind: state.switch }
  }

  /** The links are made: their ports join Mininet's switches. */
  async join(): Promise<void> {
    this.child.stdin.write("join\n")
    await this.line()
  }

  /** Whether a process of this host is one of Mininet's. */
  owns(pid: number): boolean {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`) === this.place
    } catch {
      return false
    }
  }

  /** Asks it to take everything down, and insists after a while. May be called twice. */
  async stop(): Promise<void> {
    const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS)
    this.child.stdin.end()
    await this.ended
    clearTimeout(late)
  }

  private async line(): Promise<string> {
    let late: NodeJS.Timeout | undefined
    const never = new Promise<never>((_, reject) => {
      late = setTimeout(
        () => reject(new LabError("failed", `Mininet has not built the topology within ${BUILD_MS / 1000} s`)),
        BUILD_MS
      )
    })
    try {
      const next = await Promise.race([this.lines.next(), never])
      if (next.done !== true) return next.value
      await this.ended
      throw refusal(this.said.trim())
    } finally {
      clearTimeout(late)
    }
  }
}

/** What topology.py says when everything stands; numbers of processes are those of its own namespace. */
interface State {
  readonly pids: Readonly<Record<string, number>>
  readonly switchPid: number
  readonly switch: SwitchKind
}

const refusal = (said: string): LabError => {
  if (/No module named 'mininet'/.test(said))
    return new LabError("missing", "Mininet is not installed for Debian's Python: apt install mininet")
  return new LabError(/ needs | is not installed|no Open vSwitch here/.test(said) ? "missing" : "failed", said)
}

const processes = (): ReadonlyArray<number> => readdirSync("/proc").map(Number).filter(Number.isInteger)

/** The one child of a process. */
const childOf = (parent: number): number => {
  const child = processes().find((pid) => statusOf(pid, "PPid") === `${parent}`)
  if (child === undefined) throw new LabError("failed", "Mininet ended while it was built")
  return child
}

/** A process's number in the innermost namespace. */
const numberInside = (pid: number): number => Number(statusOf(pid, "NSpid").split("\t").at(-1))

const statusOf = (pid: number, field: string): string => {
  try {
    return new RegExp(`^${field}:\t(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""
  } catch {
    return ""
  }
}
