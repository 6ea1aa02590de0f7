/** How a bench goes, on standard error: on a terminal one line that is redrawn, elsewhere a line for each section and one each quarter of a minute. */

import type { BenchEvent } from "@horizon/bench/bench.ts"
import type { Screen } from "./screen.ts"

/** How often plain output says where it is. */
const SAY_MS = 15_000

export class BenchProgress {
  private readonly screen: Screen
  private readonly nowMs: () => number
  private readonly startMs: number
  private estimateSeconds = 0
  private saidMs = Number.NEGATIVE_INFINITY
  private drawn = false

  /** `nowMs` is a monotonic clock. */
  constructor(screen: Screen, nowMs: () => number) {
    this.screen = screen
    this.nowMs = nowMs
    this.startMs = nowMs()
  }

  handle(event: BenchEvent): void {
    switch (event.kind) {
      case "planned": {
        this.estimateSeconds = event.sections.reduce((sum, section) => sum + section.estimateSeconds, 0)
        const names = event.sections.map(({ name }) => name).join(", ")
        return this.screen.err(`measuring ${names}: about ${minutes(this.estimateSeconds)}`)
      }
      case "started":
        this.saidMs = this.nowMs()
        if (!this.screen.interactive) this.screen.err(`${event.name}: started, ${this.time()}`)
        return
      case "progress":
        return this.say(`${event.name}: ${event.sentence}`)
      case "finished":
      case "written":
        return this.clear()
    }
  }

  /** Takes the redrawn line away; call before other output. */
  clear(): void {
    if (this.drawn) this.screen.draw("\r\u001b[K")
    this.drawn = false
  }

  private say(sentence: string): void {
    if (this.screen.interactive) {
      this.screen.draw(`\r\u001b[K${`${this.time()}  ${sentence}`.slice(0, this.screen.columns - 1)}`)
      this.drawn = true
      return
    }
    if (this.nowMs() - this.saidMs < SAY_MS) return
    this.saidMs = this.nowMs()
    this.screen.err(`${sentence}, ${this.time()}`)
  }

  private time(): string {
    return `${minutes((this.nowMs() - this.startMs) / 1000)} of about ${minutes(this.estimateSeconds)}`
  }
}

const minutes = (seconds: number): string =>
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
