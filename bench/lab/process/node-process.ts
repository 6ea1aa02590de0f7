/**
 * A node of a scenario as it ships: the `horizon` command with a configuration file, as a process on its host. It may be stopped, killed,
 * made to stand still, and started again on what its earlier lives have kept.
 */

import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { ControlInfo, TraceEventLine } from "@horizon/real/trace.ts"
import { TRACE_FD_VARIABLE } from "@horizon/real/trace.ts"
import type { NodeSpec } from "@horizon/scenarios/scenario.ts"
import { fillIn } from "../../world/node-program.ts"
import { LabProcess, type ProcessExit } from "./lab-process.ts"
import { TraceLines } from "./trace-lines.ts"

/** `horizon` itself. */
const CLI = fileURLToPath(new URL("../../../nodes/cli.ts", import.meta.url))
/** Time that a node has to stop, as a supervisor would give it. */
export const STOP_GRACE_MS = 5_000

export type NodeState = "down" | "started" | "ready"

/** How one life of a node ended. */
export interface NodeEnd extends ProcessExit {
  readonly incarnation: number
  /** Whether it had been asked to stop. */
  readonly asked: boolean
  /** Whether it had served in this life. */
  readonly served: boolean
  /** Whether it stood still when it was asked, or did since: then it could not stop. */
  readonly stoodStill: boolean
  /** The end of what it said to people. */
  readonly lastWords: string
}

export interface NodeProcessOptions {
  readonly spec: NodeSpec
  /** Prefix of commands that run on its host. */
  readonly enter: ReadonlyArray<string>
  /** Network address of a host. */
  readonly addressOf: (host: string) => string
  /** Its own: holds the configuration and what it keeps from life to life. */
  readonly directory: string
  readonly onEvent: (line: TraceEventLine) => void
  readonly onReady: (monotonicNs: number, info: ControlInfo) => void
  readonly onEnd: (end: NodeEnd) => void
  /** Its trace is not whole. */
  readonly onBroken: (sentence: string) => void
  /** Gets what it says on standard error, its log first of all. */
  readonly onSaid?: (text: string) => void
}

export class NodeProcess {
  state: NodeState = "down"
  /** Counts lives from 1; 0 before the first. */
  incarnation = 0
  paused = false
  private readonly options: NodeProcessOptions
  private life: LabProcess | undefined
  private asked = false
  private stoodStill = false

  constructor(options: NodeProcessOptions) {
    this.options = options
  }

  /** Of its present life; 0 while it is down. */
  get pid(): number {
    return this.state === "down" ? 0 : (this.life?.pid ?? 0)
  }

  /** Starts it, if it is down. */
  start(): void {
    if (this.state !== "down") return
    const { spec, enter, onSaid } = this.options
    this.incarnation++
    this.state = "started"
    this.asked = false
    this.stoodStill = false
    this.paused = false
    const lines = this.lines()
    const life = new LabProcess({
      command: [...enter, process.execPath, CLI, spec.kind, "--config", this.writeConfig()],
      environment: { [TRACE_FD_VARIABLE]: "3" },
      onTrace: lines.take,
      ...(onSaid === undefined ? {} : { onError: onSaid })
    })
    this.life = life
    void life.exited.then((exit) => this.end(life, exit))
  }

  /** Asks it to stop; resolves when it is down. */
  async stop(graceMs: number = STOP_GRACE_MS): Promise<void> {
    const { life } = this
    if (life === undefined || this.state === "down") return
    this.asked = true
    this.stoodStill ||= this.paused
    await life.stop(graceMs)
  }

  /** `kill -9`; resolves when it is down. */
  async kill(): Promise<void> {
    const { life } = this
    if (life === undefined || this.state === "down") return
    life.signal("SIGKILL")
    await life.exited
  }

  /** Makes it stand still; false if it is down. */
  pause(): boolean {
    if (this.state === "down") return false
    this.paused = true
    this.stoodStill ||= this.asked
    this.life?.signal("SIGSTOP")
    return true
  }

  /** Lets it go on; false if it did not stand still. */
  resume(): boolean {
    if (this.state === "down" || !this.paused) return false
    this.paused = false
    this.life?.signal("SIGCONT")
    return true
  }

  private end(life: LabProcess, exit: ProcessExit): void {
    const { asked, incarnation, state, stoodStill } = this
    this.state = "down"
    this.paused = false
    this.options.onEnd({
      ...exit,
      incarnation,
      asked,
      served: state === "ready",
      stoodStill,
      lastWords: life.lastWords()
    })
  }

  private lines(): TraceLines {
    const { onBroken, onEvent, onReady } = this.options
    return new TraceLines({
      onEvent,
      onControl: (line) => {
        if (line.control === "dropped") return onBroken(`${line.info["events"]} events of its trace are missing`)
        if (line.control !== "ready" || this.state !== "started") return
        this.state = "ready"
        onReady(line.monotonicNs, line.info)
      },
      onBroken
    })
  }

  /** Writes the configuration, which may hold keys, for this user only; where it is. */
  private writeConfig(): string {
    const { addressOf, directory, spec } = this.options
    const path = join(directory, "config.json")
    const config = {
      ...fillIn(spec.config, addressOf),
      dataDirectory: join(directory, "data"),
      logFormat: "json"
    }
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(path, JSON.stringify(config, undefined, 2), { mode: 0o600 })
    chmodSync(path, 0o600)
    return path
  }
}
