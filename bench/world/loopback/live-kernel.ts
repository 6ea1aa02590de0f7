/**
 * The simulator's kernel on the machine's clock: what runs on it (links, NATs, streams, the fault driver) runs in real time, among
 * sockets and files.
 *
 * Its time goes from event to event and never ahead of the clock. Work that is late (the event loop was busy, a timer fired late)
 * still counts from the time at which it was due, so a packet that crosses five links is late once, not five times. It always runs
 * with nothing of its caller on the stack: who sends a packet is not called back before it has returned.
 */

import { Histogram } from "@horizon/core/measure/histogram.ts"
import type { Clock, Timer } from "@horizon/core/port/clock.ts"
import { Kernel } from "@horizon/sim/kernel/kernel.ts"

export interface LiveKernelOptions {
  readonly seed: number
  /** Its monotonic time is the kernel's. */
  readonly clock: Clock["Service"]
  /** Takes what an event throws; nothing runs after it. */
  readonly onFailure: (error: unknown) => void
}

export class LiveKernel extends Kernel {
  /** How late the first event of each run was, ns: what the machine adds to every delay. */
  readonly late = new Histogram()
  /** Called after each run: sends what the run has collected. */
  afterRun: () => void = () => {}
  private readonly clock: Clock["Service"]
  private readonly onFailure: (error: unknown) => void
  private readonly alarm: Timer
  private running = false
  private runsSoon = false
  private worstNs = 0
  private stopped = false
  /** When the timer fires. */
  private armedNs = Number.POSITIVE_INFINITY

  constructor({ seed, clock, onFailure }: LiveKernelOptions) {
    super({ seed })
    this.clock = clock
    this.onFailure = onFailure
    this.alarm = clock.timer(() => {
      this.armedNs = Number.POSITIVE_INFINITY
      this.runDue()
    })
  }

  override at(atNs: number, handler: number, a: number, b: number): void {
    super.at(atNs, handler, a, b)
    this.wake(atNs)
  }

  override enqueue(task: () => void): void {
    super.enqueue(task)
    this.wake(this.nowNs)
  }

  /** Enters an event from outside: at the clock's time, behind all that is due before, even if that is late. */
  enter(handler: number, a: number, b: number): void {
    this.at(Math.max(this.nowNs, this.clock.nowNs()), handler, a, b)
  }

  /** The same for rare events. */
  enterCall(work: () => void): void {
    this.callAt(this.clock.nowNs(), work)
  }

  /** Brings the time up to the clock's, as far as no event is due before: for whoever only reads it. */
  advance(): void {
    this.nowNs = Math.max(this.nowNs, Math.min(this.clock.nowNs(), this.nextNs()))
  }

  /** The worst lateness since the last call. */
  takeWorstNs(): number {
    const { worstNs } = this
    this.worstNs = 0
    return worstNs
  }

  /** Nothing runs any more. */
  stop(): void {
    this.stopped = true
    this.alarm.cancel()
  }

  private wake(atNs: number): void {
    if (this.running || this.stopped || this.runsSoon) return
    if (atNs <= this.nowNs || atNs <= this.clock.nowNs()) {
      this.runsSoon = true
      queueMicrotask(this.runDue)
    } else if (atNs < this.armedNs) {
      this.armedNs = atNs
      this.alarm.arm(atNs)
    }
  }

  private readonly runDue = (): void => {
    this.runsSoon = false
    if (this.running || this.stopped) return
    this.running = true
    const clockNs = this.clock.nowNs()
    const lateNs = Math.max(0, clockNs - this.nextNs())
    this.late.record(lateNs)
    this.worstNs = Math.max(this.worstNs, lateNs)
    try {
      this.run(Math.max(this.nowNs, clockNs))
      this.afterRun()
    } catch (error) {
      this.stop()
      this.onFailure(error)
    }
    this.running = false
    if (this.stopped) return
    const nextNs = this.nextNs()
    if (nextNs > this.clock.nowNs()) {
      this.armedNs = nextNs
      this.alarm.arm(nextNs)
    } else {
      // Sockets get their turn between two runs, however much there is to do.
      this.runsSoon = true
      setImmediate(this.runDue)
    }
  }
}
