/**
 * Programs that run until they are stopped: started without a shell, watched for a line that says that they are ready, ended by their
 * process id. They die with this process: setpriv has the kernel end them when it goes, however it goes.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { toolEnvironment } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"

const READY_TIMEOUT_MS = 10_000
/** What a program gets between SIGTERM and SIGKILL. */
const GRACE_MS = 3_000
/** Lines kept of a talkative program. */
const LINES_MAX = 200

export interface ChildStart {
  /** As messages name it. */
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** Command and arguments that put it into its namespace, see `PairEnd.enter`. */
  readonly enter?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** The only CPU on which it may run. */
  readonly cpu?: number
}

export class Child {
  readonly name: string
  /** Commands in front of the program replace themselves by it, so this is its own id. */
  readonly pid: number
  private readonly process: ChildProcess
  private readonly out: Array<string> = []
  private readonly err: Array<string> = []
  private readonly listeners = new Set<() => void>()
  private ended = false
  private readonly end: Promise<void>

  private constructor(name: string, child: ChildProcess) {
    this.name = name
    this.process = child
    this.pid = child.pid ?? 0
    keepLines(child.stdout, this.out, () => this.tell())
    keepLines(child.stderr, this.err, () => this.tell())
    this.end = new Promise((resolve) => {
      const over = (): void => {
        this.ended = true
        this.tell()
        resolve()
      }
      child.once("close", over)
      child.once("error", (error) => {
        this.err.push(error.message)
        over()
      })
    })
  }

  /** Starts it; use `line` or `until` to wait for what it needs. */
  static start(options: ChildStart): Child {
    const pin = options.cpu === undefined ? [] : ["taskset", "--cpu-list", String(options.cpu)]
    const own = ["setpriv", "--pdeathsig", "KILL", "--"]
    const [file, ...args] = [...(options.enter ?? []), ...own, ...pin, ...options.command]
    const child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: toolEnvironment(options.env)
    })
    return new Child(options.name, child)
  }

  get running(): boolean {
    return !this.ended
  }

  /** What it last said on both streams, for messages. */
  get said(): string {
    return [...this.err.slice(-5), ...this.out.slice(-5)].join("; ")
  }

  /** The first line on its standard output that the predicate takes, already there or yet to come; rejects if it ends or is too slow. */
  line(accept: (line: string) => boolean, timeoutMs: number = READY_TIMEOUT_MS): Promise<string> {
    return this.wait(() => this.out.find(accept), timeoutMs, "said nothing of being ready")
  }

  /** Waits until `check` holds, asking every few milliseconds; rejects if the program ends or it takes too long. */
  async until(check: () => Promise<boolean>, what: string, timeoutMs: number = READY_TIMEOUT_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!(await check())) {
      if (this.ended) throw new LabError("failed", `${this.name} ended before ${what}: ${this.said}`)
      if (performance.now() > deadline) {
        throw new LabError("failed", `${this.name}: no ${what} within ${timeoutMs / 1000} s: ${this.said}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Waits until it ends by itself; rejects, and ends it, if it takes too long. */
  async finished(timeoutMs: number): Promise<void> {
    await this.wait(() => (this.ended ? true : undefined), timeoutMs, "did not end")
    await this.end
  }

  /** Ends it, by force if it does not listen. May be called twice. */
  async stop(): Promise<void> {
    if (this.ended) return
    this.process.kill("SIGTERM")
    const force = setTimeout(() => this.process.kill("SIGKILL"), GRACE_MS)
    await this.end
    clearTimeout(force)
  }

  /** The last line of its standard output: floor programs and Node receivers write their result there. */
  lastLine(): string {
    return this.out.at(-1) ?? ""
  }

  private async wait<A>(look: () => A | undefined, timeoutMs: number, complaint: string): Promise<A> {
    let timer: NodeJS.Timeout | undefined
    let listener: (() => void) | undefined
    try {
      return await new Promise<A>((resolve, reject) => {
        const fail = (why: string): void =>
          reject(new LabError("failed", `${this.name} ${why}${this.said === "" ? "" : `: ${this.said}`}`))
        listener = () => {
          const found = look()
          if (found !== undefined) resolve(found)
          else if (this.ended) fail(complaint)
        }
        timer = setTimeout(() => {
          this.process.kill("SIGKILL")
          fail(`${complaint} within ${timeoutMs / 1000} s`)
        }, timeoutMs)
        this.listeners.add(listener)
        listener()
      })
    } finally {
      clearTimeout(timer)
      this.listeners.delete(listener!)
    }
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener()
  }
}

const keepLines = (stream: NodeJS.ReadableStream | null, lines: Array<string>, tell: () => void): void => {
  let rest = ""
  const keep = (line: string): void => {
    lines.push(line)
    if (lines.length > LINES_MAX) lines.shift()
  }
  stream?.setEncoding("utf8")
  stream?.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n")
    rest = parts.pop() ?? ""
    for (const part of parts) keep(part)
    tell()
  })
  stream?.on("end", () => {
    if (rest !== "") keep(rest)
    rest = ""
  })
}
