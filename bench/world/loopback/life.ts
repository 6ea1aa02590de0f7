/**
 * One life of a node or an actor in the loopback world: its fibers on Effect's own scheduler and timers, behind a gate.
 *
 * The gate is what lets a fault act on a part of this process as the system acts on a whole one. While it is paused no fiber of the
 * node takes a step, no timer or packet reaches it; time goes on. Once it is killed nothing of it runs ever again, no finalizer
 * either, so it says no farewell; then its ports are closed for it, as a system does for a dead process: sockets, locks, database.
 */

import { Clock as ClockPort, type Timer } from "@horizon/core/port/clock.ts"
import { Defects } from "@horizon/real/defect.ts"
import { Process, type WallClock } from "@horizon/sim/kernel/process.ts"
import type { FeedUser } from "@horizon/sim/port/feed.ts"
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  type Fiber,
  Layer,
  References,
  Scheduler,
  Scope
} from "effect"
import type { Ground } from "./ground.ts"

/** Longest delay of a Node timer. */
const TIMER_MS_MAX = 0x7fff_ffff

export interface LifeOptions {
  readonly ground: Ground
  /** With the incarnation: `gateway#2`. */
  readonly name: string
  readonly wall: WallClock
}

export class Life implements FeedUser {
  /** What is paused and killed; the network machines know the node by it. */
  readonly process: Process
  /** Takes what a handler of the packet path throws: the node dies of it. */
  readonly onDefect: (cause: unknown) => void
  private readonly ground: Ground
  /** The monotonic time of the life is 0 then. */
  private readonly startNs: number
  /** The ports' life. */
  private readonly scope = Scope.makeUnsafe()
  private readonly defect = Deferred.makeUnsafe<never>()
  private readonly sleeps = new Set<NodeJS.Timeout>()
  private fiber: Fiber.Fiber<void, unknown> | undefined
  private stopAsked = false
  private building: Promise<void> = Promise.resolve()
  private closing: Promise<void> | undefined

  constructor({ ground, name, wall }: LifeOptions) {
    this.ground = ground
    this.startNs = ground.clock.nowNs()
    this.process = new Process({ kernel: ground.kernel, name, wall })
    this.onDefect = (cause) => void Deferred.doneUnsafe(this.defect, Effect.die(cause))
  }

  get alive(): boolean {
    return this.process.alive
  }

  /** The node's monotonic time. */
  nowNs(): number {
    return this.ground.clock.nowNs() - this.startNs
  }

  /** The node's wall clock. */
  wallMs(): number {
    this.ground.kernel.advance()
    return this.process.wall.nowMs()
  }

  deliver(work: () => void): void {
    this.process.deliver(work)
  }

  /** Opens the ports, then runs the program on them. `ended` is called once, unless the life was killed before. */
  start<R, E>(
    ports: Layer.Layer<R, E>,
    program: Effect.Effect<void, unknown, R>,
    ended: (exit: Exit.Exit<void, unknown>) => void
  ): void {
    // Not behind the gate: a port that is half open could not be closed.
    const build = Effect.exit(Effect.provideService(Layer.buildWithScope(ports, this.scope), Defects, this.onDefect))
    this.building = Effect.runPromise(build).then((built) => {
      if (!this.alive) return
      if (Exit.isFailure(built)) return ended(built)
      if (this.stopAsked) return ended(Exit.void)
      const run = Effect.raceFirst(Effect.provideContext(program, built.value), Deferred.await(this.defect))
      this.fiber = Effect.runForkWith(this.context())(run)
      this.fiber.addObserver((exit) => {
        if (this.alive) ended(exit)
      })
    })
  }

  /** Asks the program to end, by interruption; one that has not begun does not begin. */
  stop(): void {
    this.stopAsked = true
    this.fiber?.interruptUnsafe()
  }

  /** Ends it at once. Resolves when its ports are closed. */
  kill(): Promise<void> {
    this.process.kill()
    for (const sleep of this.sleeps) clearTimeout(sleep)
    this.sleeps.clear()
    this.closing ??= this.building.then(() => Effect.runPromise(Scope.close(this.scope, Exit.void)))
    return this.closing
  }

  /** The port Clock of this life: the lab's precise timers, behind the gate. */
  layerClock(): Layer.Layer<ClockPort> {
    return Layer.succeed(ClockPort)({
      nowNs: () => this.nowNs(),
      wallMs: () => this.wallMs(),
      timer: (handler) => this.timer(handler)
    })
  }

  private timer(handler: (nowNs: number) => void): Timer {
    const fire = (): void => {
      try {
        handler(this.nowNs())
      } catch (cause) {
        this.onDefect(cause)
      }
    }
    const timer = this.ground.clock.timer(() => this.deliver(fire))
    this.process.atDeath(() => timer.cancel())
    return { arm: (atNs) => timer.arm(atNs + this.startNs), cancel: () => timer.cancel() }
  }

  /** What its fibers run in. */
  private context(): Context.Context<never> {
    return Context.empty().pipe(
      Context.add(Scheduler.Scheduler, new GatedScheduler(this.process)),
      Context.add(Clock.Clock, this.effectClock()),
      // What a node has to say goes to the trace.
      Context.add(References.MinimumLogLevel, "None")
    ) as Context.Context<never>
  }

  private effectClock(): Clock.Clock {
    const wallMs = (): number => this.wallMs()
    const wallNs = (): bigint => BigInt(wallMs()) * 1_000_000n
    const monotonicNs = (): bigint => BigInt(this.nowNs())
    return {
      currentTimeMillisUnsafe: wallMs,
      currentTimeMillis: Effect.sync(wallMs),
      currentTimeNanosUnsafe: wallNs,
      currentTimeNanos: Effect.sync(wallNs),
      monotonicTimeNanosUnsafe: monotonicNs,
      monotonicTimeNanos: Effect.sync(monotonicNs),
      sleep: (duration) => this.sleep(Duration.toMillis(duration))
    }
  }

  private sleep(ms: number): Effect.Effect<void> {
    if (ms <= 0) return Effect.yieldNow
    if (ms === Number.POSITIVE_INFINITY) return Effect.never
    return Effect.callback<void>((resume) => {
      const timer = setTimeout(
        () => {
          this.sleeps.delete(timer)
          resume(ms > TIMER_MS_MAX ? this.sleep(ms - TIMER_MS_MAX) : Effect.void)
        },
        Math.min(ms, TIMER_MS_MAX)
      )
      this.sleeps.add(timer)
      return Effect.sync(() => {
        this.sleeps.delete(timer)
        clearTimeout(timer)
      })
    })
  }
}

/**
 * Effect's own scheduler with a gate in it. Fibers are also resumed without it, from within callbacks; then a closed gate makes the
 * first operation yield, which leads to the gate.
 */
class GatedScheduler extends Scheduler.MixedScheduler {
  private readonly process: Process

  constructor(process: Process) {
    super()
    this.process = process
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return !this.process.alive || this.process.paused || super.shouldYield(fiber)
  }

  override makeDispatcher() {
    const { process } = this
    const dispatcher = super.makeDispatcher()
    const schedule = dispatcher.scheduleTask.bind(dispatcher)
    dispatcher.scheduleTask = (task, priority) => schedule(() => process.deliver(task), priority)
    return dispatcher
  }
}
