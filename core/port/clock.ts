/**
 * Port: the node's clocks and the shell's timers, as plain functions for the packet path.
 *
 * Effect's own `Clock` reference (Effect.sleep, timeouts, schedules) is set by the same world and agrees with this port.
 */

import { Context } from "effect"

/** A timer that is armed and re-armed without allocation. The handler runs at or after the deadline, once per arming. */
export interface Timer {
  /** Fire at `atNs` (node monotonic time); replaces an earlier deadline. `Infinity` disarms. */
  arm(atNs: number): void
  cancel(): void
}

export class Clock extends Context.Service<
  Clock,
  {
    /** Monotonic integer nanoseconds since this node's start. */
    readonly nowNs: () => number
    /** Wall clock, integer milliseconds since the Unix epoch; may step and drift. */
    readonly wallMs: () => number
    readonly timer: (handler: (nowNs: number) => void) => Timer
  }
>()("horizon/Clock") {}
