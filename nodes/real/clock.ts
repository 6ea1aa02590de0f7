/**
 * Port Clock on Node: `performance.now()` (the monotonic clock of libuv, with nanoseconds behind the point) as integer
 * nanoseconds, `Date.now()` as the wall clock, and timers that meet a deadline to well under a millisecond: the kernel's own where the
 * native module is there, else Node's.
 *
 * A Node timer counts whole milliseconds and fires up to about 1.3 ms late. So a timer sleeps until shortly before its deadline
 * and then turns the event loop (`setImmediate`) until the deadline has come: sockets are still served in between. The turning
 * lasts at most `SPIN_NS` for each firing, so 60 deadlines a second cost a few percent of one core.
 * Effect's own Clock is left as it is: on Node it reads the same two clocks.
 */

import { Clock, type Timer } from "@horizon/core/port/clock.ts"
import { type Loaded, loadNative } from "@horizon/native/native.ts"
import { Effect, Layer } from "effect"
import { NativeTimer, type TimerSurroundings } from "./clock-native.ts"
import { Defects } from "./defect.ts"

/** How long before a deadline the event loop stops sleeping. */
const SPIN_NS = 1_500_000
/** Longest sleep of a Node timer; a later deadline is reached in several sleeps. */
const SLEEP_MS_MAX = 0x7fff_ffff

/** The clock of one node; its monotonic time starts at 0 when the layer is built. Timers stop when the layer's scope closes. */
export const layerClockOn = (loaded: Loaded): Layer.Layer<Clock> =>
  Layer.effect(
    Clock,
    Effect.gen(function* () {
      const startMs = performance.now()
      const nowNs = (): number => Math.floor((performance.now() - startMs) * 1_000_000)
      const surroundings: TimerSurroundings = { nowNs, onDefect: yield* Defects }
      const live = new Set<NodeTimer | NativeTimer>()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const timer of live) timer.close()
        })
      )
      return {
        nowNs,
        wallMs: () => Date.now(),
        timer: (handler) => {
          const timer = makeTimer(loaded, surroundings, handler)
          live.add(timer)
          return timer
        }
      }
    })
  )

/** The clock of one node with the timers that this host has. */
export const layerClock: Layer.Layer<Clock> = Layer.suspend(() => layerClockOn(loadNative()))

const makeTimer = (
  loaded: Loaded,
  surroundings: TimerSurroundings,
  handler: (nowNs: number) => void
): NodeTimer | NativeTimer => {
  if ("module" in loaded) {
    const timer = new NativeTimer(loaded.module, surroundings, handler)
    // A process without descriptors to spare gets Node's timers.
    if (timer.open) return timer
  }
  return new NodeTimer(surroundings, handler)
}

/** One re-armable timer. It keeps at most one pending wake-up, and moving the deadline later costs nothing. */
class NodeTimer implements Timer {
  private readonly clock: TimerSurroundings
  private readonly handler: (nowNs: number) => void
  private deadlineNs = Number.POSITIVE_INFINITY
  /** When the pending wake-up comes; `Infinity` = none is pending. */
  private wakeNs = Number.POSITIVE_INFINITY
  private sleep: NodeJS.Timeout | undefined
  private spin: NodeJS.Immediate | undefined
  private closed = false

  constructor(clock: TimerSurroundings, handler: (nowNs: number) => void) {
    this.clock = clock
    this.handler = handler
  }

  arm(atNs: number): void {
    if (this.closed) return
    if (atNs === Number.POSITIVE_INFINITY) return this.cancel()
    this.deadlineNs = atNs
    this.schedule()
  }

  cancel(): void {
    this.deadlineNs = Number.POSITIVE_INFINITY
    this.clear()
  }

  close(): void {
    this.cancel()
    this.closed = true
  }

  private schedule(): void {
    const nowNs = this.clock.nowNs()
    const restNs = this.deadlineNs - nowNs
    if (restNs <= SPIN_NS) {
      if (this.spin !== undefined) return
      this.clear()
      this.wakeNs = nowNs
      this.spin = setImmediate(this.onSpin)
      return
    }
    const sleepMs = Math.min(Math.max(1, Math.floor((restNs - SPIN_NS) / 1_000_000)), SLEEP_MS_MAX)
    const wakeNs = nowNs + sleepMs * 1_000_000
    if (this.wakeNs <= wakeNs) return
    this.clear()
    this.wakeNs = wakeNs
    this.sleep = setTimeout(this.onWake, sleepMs)
  }

  private clear(): void {
    if (this.sleep !== undefined) clearTimeout(this.sleep)
    if (this.spin !== undefined) clearImmediate(this.spin)
    this.sleep = undefined
    this.spin = undefined
    this.wakeNs = Number.POSITIVE_INFINITY
  }

  private readonly onWake = (): void => {
    this.sleep = undefined
    this.wakeNs = Number.POSITIVE_INFINITY
    this.schedule()
  }

  private readonly onSpin = (): void => {
    this.spin = undefined
    this.wakeNs = Number.POSITIVE_INFINITY
    const nowNs = this.clock.nowNs()
    if (nowNs < this.deadlineNs) return this.schedule()
    this.deadlineNs = Number.POSITIVE_INFINITY
    try {
      this.handler(nowNs)
    } catch (cause) {
      this.close()
      this.clock.onDefect(cause)
    }
  }
}
