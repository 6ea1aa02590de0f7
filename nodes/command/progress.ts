/**
 * How a batch of runs goes, on standard error: on a terminal one line that is redrawn, elsewhere a plain line when a run
 * starts and ends and at each quarter of a long one.
 */

import type { RunnerEvent } from "@horizon/bench/runner/runner.ts"
import type { Run } from "@horizon/core/measure/run.ts"
import { paint, type Screen } from "./screen.ts"

const REDRAW_MS = 100
const BAR_CELLS_MAX = 24
const BAR_CELLS_MIN = 8
/** A run that has taken longer says on plain output how far it is. */
const QUIET_MS = 5_000
/** Batches above this size name only the runs that did not pass, on plain output. */
const NAMED_RUNS_MAX = 50

interface Current {
  readonly scenario: string
  readonly seed: number
  readonly startedMs: number
  seconds: number
  ofSeconds: number
  quarters: number
}

export class Progress {
  private readonly screen: Screen
  private readonly nowMs: () => number
  private runs = 0
  private finished = 0
  private failed = 0
  private readonly current = new Map<string, Current>()
  private readonly startedMs: number
  private drawnMs = Number.NEGATIVE_INFINITY
  private drawn = false

  /** `nowMs` is a monotonic clock. */
  constructor(screen: Screen, nowMs: () => number) {
    this.screen = screen
    this.nowMs = nowMs
    this.startedMs = nowMs()
  }

  handle(event: RunnerEvent): void {
    switch (event.kind) {
      case "planned":
        this.runs = event.runs
        if (event.runs > 1)
          this.line(`${event.runs} runs${event.workers > 1 ? ` on ${event.workers} workers` : ""}${realTime(event)}`)
        return
      case "started":
        this.current.set(keyOf(event), {
          ...event,
          startedMs: this.nowMs(),
          seconds: 0,
          ofSeconds: 0,
          quarters: 0
        })
        // The seed comes before the run, so that a crash of Horizon itself can be run again.
        if (!this.screen.interactive && this.runs <= NAMED_RUNS_MAX)
          this.line(`started  ${event.scenario} seed ${event.seed} in the ${event.world} world`)
        else this.redraw()
        return
      case "progress":
        return this.advance(event)
      case "finished":
        return this.finish(event.run)
      case "report":
        return
    }
  }

  /** Takes the redrawn line away; call before other output. */
  clear(): void {
    if (this.drawn) this.screen.draw("\r\u001b[K")
    this.drawn = false
  }

  private advance(event: Extract<RunnerEvent, { kind: "progress" }>): void {
    const run = this.current.get(keyOf(event))
    if (run === undefined) return
    run.seconds = event.seconds
    run.ofSeconds = event.ofSeconds
    if (this.screen.interactive) return this.redraw()
    const quarters = Math.floor((4 * event.seconds) / event.ofSeconds)
    if (quarters > run.quarters && quarters < 4 && this.nowMs() - run.startedMs > QUIET_MS) {
      run.quarters = quarters
      this.line(`running  ${event.scenario} seed ${event.seed}: ${this.figures(run)}`)
    }
  }

  private finish(run: Run): void {
    this.current.delete(keyOf(run))
    this.finished++
    if (run.exitCode !== 0) this.failed++
    if (this.screen.interactive) {
      if (run.exitCode !== 0 && this.runs > 1) this.line(`${run.scenario} seed ${run.seed}: ${this.verdict(run)}`)
      this.redraw(true)
    } else if (this.runs <= NAMED_RUNS_MAX || run.exitCode !== 0) {
      this.line(
        `finished ${run.scenario} seed ${run.seed}: ${this.verdict(run)} (${speed(run.simulatedSeconds, run.wallSeconds)})`
      )
    } else if (this.finished % 100 === 0) this.line(`finished ${this.finished} of ${this.runs} runs`)
  }

  private verdict(run: Run): string {
    return paint(this.screen.colorErr, run.exitCode === 0 ? "green" : "red", run.verdict)
  }

  private line(text: string): void {
    this.clear()
    this.screen.err(text)
  }

  private redraw(now = false): void {
    if (!this.screen.interactive) return
    const nowMs = this.nowMs()
    if (!now && nowMs - this.drawnMs < REDRAW_MS) return
    this.drawnMs = nowMs
    const text = this.finished >= this.runs ? "" : this.runs > 1 ? this.batchLine() : this.runLine()
    this.screen.draw(`\r\u001b[K${text.slice(0, this.screen.columns - 1)}`)
    this.drawn = text !== ""
  }

  private runLine(): string {
    for (const run of this.current.values()) {
      const name = `${run.scenario} seed ${run.seed}`
      if (run.ofSeconds === 0) return `${name}  starting`
      const figures = this.figures(run)
      return `${name}  ${this.bar(run.seconds / run.ofSeconds, name.length + figures.length + 4)}  ${figures}`
    }
    return ""
  }

  private batchLine(): string {
    let done = this.finished
    for (const run of this.current.values()) done += run.ofSeconds === 0 ? 0 : Math.min(1, run.seconds / run.ofSeconds)
    const restMs = ((this.nowMs() - this.startedMs) / done) * (this.runs - done)
    const names = [...new Set([...this.current.values()].map((run) => run.scenario))].join(", ")
    const failed = this.failed > 0 ? `, ${this.failed} not passed` : ""
    const figures = `${this.finished}/${this.runs}${failed}  ${eta(restMs)}  ${names}`
    return `${this.bar(done / this.runs, figures.length + 2)}  ${figures}`
  }

  /** A bar as wide as fits beside `used` characters. */
  private bar(done: number, used: number): string {
    const cells = Math.max(BAR_CELLS_MIN, Math.min(BAR_CELLS_MAX, this.screen.columns - 1 - used))
    const full = Math.round(Math.max(0, Math.min(1, done)) * cells)
    return "█".repeat(full) + "░".repeat(cells - full)
  }

  private figures(run: Current): string {
    const wall = (this.nowMs() - run.startedMs) / 1000
    const percent = run.ofSeconds === 0 ? 0 : Math.floor((100 * run.seconds) / run.ofSeconds)
    const restMs = run.seconds > 0 ? ((run.ofSeconds - run.seconds) / run.seconds) * wall * 1000 : Number.NaN
    return `${run.seconds.toFixed(1)}/${run.ofSeconds} s  ${percent} %  ${speed(run.seconds, wall)}  ${eta(restMs)}`
  }
}

const keyOf = (run: { readonly scenario: string; readonly seed: number }): string => `${run.scenario} ${run.seed}`

/** How many times faster than real time. */
const speed = (simulatedSeconds: number, wallSeconds: number): string => {
  if (wallSeconds <= 0) return "×–"
  const ratio = simulatedSeconds / wallSeconds
  return `×${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)}`
}

const eta = (ms: number): string => `ETA ${Number.isFinite(ms) ? duration(Math.ceil(ms / 1000)) : "–"}`

/** What a batch will take at least, where nothing can make it quicker. */
const realTime = ({ realSeconds }: Extract<RunnerEvent, { kind: "planned" }>): string =>
  realSeconds === undefined ? "" : ` one after the other in real time, ${duration(realSeconds)} and more`

const duration = (seconds: number): string => {
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
