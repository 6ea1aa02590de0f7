/**
 * One process of a lab: a node, a host's actors, a capture. It runs behind the prefix that puts it on its host, in a process group of its
 * own, so that a signal reaches all that it may have started and the terminal's Ctrl-C does not, and it dies with the runner.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import type { Readable, Writable } from "node:stream"

export interface LabProcessOptions {
  /** Prefix, command and arguments. */
  readonly command: ReadonlyArray<string>
  /** Set beside what the runner's own environment has; settings of nodes are not taken over from there. */
  readonly environment?: Readonly<Record<string, string>>
  /** Whether it is talked to on its standard input. */
  readonly input?: boolean
  /** Gets its standard output. */
  readonly onOutput?: (chunk: Buffer) => void
  /** Gets what it writes to descriptor 3. */
  readonly onTrace?: (chunk: Buffer) => void
  /** Gets its standard error, of which the end is kept anyway. */
  readonly onError?: (chunk: string) => void
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether it had to be killed because it did not stop in time. */
  readonly forced: boolean
}

/** Characters of standard error that are kept. */
const STDERR_KEPT = 16_384
/** How long after the end of a process its last words may take to arrive, ms. */
const LAST_WORDS_MS = 1_000

export class LabProcess {
  /** Everything that it wrote has been read by then. */
  readonly exited: Promise<ProcessExit>
  /** False from the moment that it is known to have ended. */
  running = true
  /** The end of its standard error. */
  stderr = ""
  private readonly child: ChildProcess
  private forced = false

  constructor(options: LabProcessOptions) {
    const [file, ...args] = [...dyingWithRunner(), ...options.command]
    this.child = spawn(file, args, {
      detached: true,
      env: { ...inherited(), ...options.environment },
      stdio: [
        options.input === true ? "pipe" : "ignore",
        options.onOutput === undefined ? "ignore" : "pipe",
        "pipe",
        options.onTrace === undefined ? "ignore" : "pipe"
      ]
    })
    const { child } = this
    if (options.onOutput !== undefined) child.stdout?.on("data", options.onOutput)
    if (options.onTrace !== undefined) (child.stdio[3] as Readable | null)?.on("data", options.onTrace)
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT)
      options.onError?.(text)
    })
    // Writing to a process that has just ended is no failure of its own.
    child.stdin?.on("error", () => {})
    this.exited = this.watch()
  }

  /** The commands in front of it replace themselves by it, so this is its own; 0 if it was not even started. */
  get pid(): number {
    return this.child.pid ?? 0
  }

  /** Its standard input; only if it was asked for. */
  get input(): Writable {
    if (this.child.stdin === null) throw new Error("the process was started without an input")
    return this.child.stdin
  }

  /** Sends a signal to the whole group; nothing if it has ended. */
  signal(name: NodeJS.Signals): void {
    const { pid } = this.child
    if (pid === undefined || !this.running) return
    try {
      process.kill(-pid, name)
    } catch {
      // It ended just now.
    }
  }

  /** Asks it to stop, and kills it if it has not within `graceMs`. */
  async stop(graceMs: number): Promise<ProcessExit> {
    const timer = setTimeout(() => {
      this.forced = this.running
      this.signal("SIGKILL")
    }, graceMs)
    this.signal("SIGTERM")
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  /** What it said at the end, on one line, for a failure message: to people if it did, else to the log. */
  lastWords(): string {
    const lines = this.stderr.trim().split("\n")
    const plain = lines.filter((line) => !line.startsWith("{"))
    return (plain.length > 0 ? plain : lines).slice(-LAST_LINES).join(" | ").slice(-LAST_CHARACTERS)
  }

  private watch(): Promise<ProcessExit> {
    const { child } = this
    return new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.running = false
        resolve({ code, signal, forced: this.forced })
      }
      child.once("error", (error) => {
        // It was not even started.
        this.stderr += error.message
        end(null, null)
      })
      child.once("exit", (code, signal) => {
        // Children of its own must not outlive it.
        this.signal("SIGKILL")
        this.running = false
        const late = setTimeout(() => end(code, signal), LAST_WORDS_MS)
        child.once("close", () => {
          clearTimeout(late)
          end(code, signal)
        })
      })
    })
  }
}

const LAST_LINES = 3
const LAST_CHARACTERS = 600

/** The runner's environment without settings of nodes, which would win over their configuration files. */
const inherited = (): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HORIZON_")))

let prefix: ReadonlyArray<string> | undefined

/** Lets the kernel kill a process when the runner dies, however that happens; nothing on systems without that. */
const dyingWithRunner = (): ReadonlyArray<string> => {
  prefix ??= canDieWithRunner() ? SETPRIV : []
  return prefix
}

const SETPRIV = ["setpriv", "--pdeathsig", "KILL", "--"]

const canDieWithRunner = (): boolean => {
  try {
    execFileSync(SETPRIV[0], [...SETPRIV.slice(1), "true"], { stdio: "ignore", timeout: 5_000 })
    return true
  } catch {
    // No such program, or an old one: what remains is ended with the lab.
    return false
  }
}
