/**
 * A timer of port Clock on the native module: a timer of the kernel in Node's event loop, which meets a deadline to some tens of microseconds
 * and sleeps until then.
 */

import type { Timer } from "@horizon/core/port/clock.ts"
import type { Native } from "@horizon/native/native.ts"

/** What a timer needs of its clock. */
export interface TimerSurroundings {
  readonly nowNs: () => number
  /** Takes what a handler throws. */
  readonly onDefect: (cause: unknown) => void
}

/** One re-armable timer. Moving the deadline later costs nothing: it wakes up at the earlier one and looks again. */
export class NativeTimer implements Timer {
  /** Whether the system gave a timer; if not, this one never fires. */
  readonly open: boolean
  private readonly native: Native
  private readonly handle: number
  private readonly clock: TimerSurroundings
  private readonly handler: (nowNs: number) => void
  private deadlineNs = Number.POSITIVE_INFINITY
  /** When the pending wake-up comes; `Infinity` = none is pending. */
  private wakeNs = Number.POSITIVE_INFINITY
  private closed = false

  constructor(native: Native, clock: TimerSurroundings, handler: (nowNs: number) => void) {
    this.native = native
    this.clock = clock
    this.handler = handler
    this.handle = native.timerOpen(() => this.wake())
    this.open = this.handle > 0
  }

  arm(atNs: number): void {
    if (this.closed) return
    if (atNs === Number.POSITIVE_INFINITY) return this.cancel()
    this.deadlineNs = atNs
    if (atNs < this.wakeNs) this.schedule(this.clock.nowNs())
  }

  cancel(): void {
    this.deadlineNs = Number.POSITIVE_INFINITY
    if (this.wakeNs === Number.POSITIVE_INFINITY) return
    this.wakeNs = Number.POSITIVE_INFINITY
    this.native.timerArm(this.handle, Number.POSITIVE_INFINITY)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.native.timerClose(this.handle)
  }

  private schedule(nowNs: number): void {
    this.wakeNs = this.deadlineNs
    this.native.timerArm(this.handle, Math.max(0, this.deadlineNs - nowNs))
  }

  private wake(): void {
    this.wakeNs = Number.POSITIVE_INFINITY
    const nowNs = this.clock.nowNs()
    if (nowNs < this.deadlineNs) {
      if (this.deadlineNs !== Number.POSITIVE_INFINITY) this.schedule(nowNs)
      return
    }
    this.deadlineNs = Number.POSITIVE_INFINITY
    try {
      this.handler(nowNs)
    } catch (cause) {
      this.close()
      this.clock.onDefect(cause)
    }
  }
}
