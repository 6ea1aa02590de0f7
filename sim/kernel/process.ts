/**
 * One life of a simulated node: the Effect context in which its fibers run, its clocks, and what pausing, killing and
 * stopping do to them.
 *
 * All fibers of all processes share the kernel's run queue. Effect 4 resumes fibers inline (Deferred, Latch, callbacks), which
 * would nest on the stack and escape the kernel's ordering; so the first operation after any resumption that the kernel did
 * not start itself is sent through the run queue (`shouldYield`).
 */

import type { Fiber } from "effect"
import { Clock, Console, Context, Duration, Effect, Exit, Logger, Random, References, Scheduler } from "effect"
import type { Kernel, KernelTimer } from "./kernel.ts"
import type { Rng } from "./rng.ts"

/** The wall clock of a host: virtual time plus an offset and a drift. It survives the processes on the host. */
export class WallClock {
  private readonly kernel: Kernel
  private baseMs: number
  private baseNs = 0
  private driftPpm = 0

  /** `epochMs` is what the clock shows at the start of the run. */
  constructor(kernel: Kernel, epochMs: number) {
    this.kernel = kernel
    this.baseMs = epochMs
  }

  /** Milliseconds since the Unix epoch, as this host believes; an integer. */
  nowMs(): number {
    return Math.floor(this.nowExactMs())
  }

  /** Jumps by `stepMs`. */
  step(stepMs: number): void {
    this.rebase()
    this.baseMs += stepMs
  }

  /** Runs fast (positive) or slow from now on. */
  drift(driftPpm: number): void {
    this.rebase()
    this.driftPpm = driftPpm
  }

  private nowExactMs(): number {
    const elapsedNs = this.kernel.nowNs - this.baseNs
    return this.baseMs + (elapsedNs + (elapsedNs / 1_000_000) * this.driftPpm) / 1_000_000
  }

  private rebase(): void {
    this.baseMs = this.nowExactMs()
    this.baseNs = this.kernel.nowNs
  }
}

export interface ProcessOptions {
  readonly kernel: Kernel
  /** Node name, with the incarnation: `gateway-1#2`. Labels random streams and messages. */
  readonly name: string
  readonly wall: WallClock
  /** Receives what the node logs. */
  readonly log?: (message: string) => void
}

export class Process {
  readonly name: string
  readonly kernel: Kernel
  readonly wall: WallClock
  /** Virtual time at which this life began; the node's monotonic clock counts from here. */
  readonly startNs: number
  /** False once killed or stopped: ports of a dead process do nothing. */
  alive = true
  paused = false
  /** Virtual time at which it was last paused. */
  pausedNs = Number.NEGATIVE_INFINITY
  private held: Array<() => void> = []
  private readonly endings = new Set<() => void>()
  private readonly context: Context.Context<never>
  private readonly log: (message: string) => void

  constructor(options: ProcessOptions) {
    this.kernel = options.kernel
    this.name = options.name
    this.wall = options.wall
    this.startNs = options.kernel.nowNs
    this.log = options.log ?? (() => {})
    this.context = this.makeContext()
  }

  /** The node's monotonic clock. */
  nowNs(): number {
    return this.kernel.nowNs - this.startNs
  }

  /** Random stream of this node for a purpose. */
  rng(label: string): Rng {
    return this.kernel.rng(`${this.name}/${label}`)
  }

  /** Starts an effect as a fiber of this process. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  /** Runs `work` as this process would on an interrupt: at once, later if it is paused, never if it is dead. */
  deliver(work: () => void): void {
    if (!this.alive) return
    if (this.paused) this.held.push(work)
    else work()
  }

  /** A timer on the node's monotonic clock that respects pause and death. */
  timer(handler: (nowNs: number) => void): KernelTimer {
    const timer = this.kernel.timer(() => this.deliver(() => handler(this.nowNs())))
    return { arm: (atNs) => timer.arm(atNs + this.startNs), cancel: () => timer.cancel() }
  }

  pause(): void {
    this.paused = true
    this.pausedNs = this.kernel.nowNs
  }

  resume(): void {
    this.paused = false
    const held = this.held
    this.held = []
    for (const work of held) this.kernel.enqueue(work)
  }

  /**
   * What the host's kernel does for a process that dies: closes its sockets, rolls back its transaction. `ending` runs once, when
   * the process is killed; the returned function takes it back (the process closed the thing itself).
   */
  atDeath(ending: () => void): () => void {
    this.endings.add(ending)
    return () => this.endings.delete(ending)
  }

  /** Death without a word: no fiber runs again, no finalizer either; only the endings of `atDeath` run. */
  kill(): void {
    if (!this.alive) return
    this.alive = false
    this.held = []
    for (const ending of this.endings) ending()
    this.endings.clear()
  }

  private makeContext(): Context.Context<never> {
    const rng = this.rng("effect")
    return Context.empty().pipe(
      Context.add(Scheduler.Scheduler, this.makeScheduler()),
      Context.add(Scheduler.MaxOpsBeforeYield, this.kernel.maxOpsBeforeYield),
      Context.add(Clock.Clock, this.makeClock()),
      Context.add(Random.Random, {
        nextIntUnsafe: () => rng.between(Number.MIN_SAFE_INTEGER / 2, Number.MAX_SAFE_INTEGER / 2),
        nextDoubleUnsafe: () => rng.u32() / 0x1_0000_0000
      }),
      Context.add(References.TracerEnabled, false),
      Context.add(Logger.CurrentLoggers, new Set([this.makeLogger()])),
      Context.add(Console.Console, silentConsole)
    ) as Context.Context<never>
  }

  private makeScheduler(): Scheduler.Scheduler {
    const { kernel } = this
    const preempt = kernel.rng(`${this.name}/preempt`)
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => {
        if (!this.alive) return
        const run = (): void => {
          if (!this.alive) return
          if (this.paused) this.held.push(run)
          else task()
        }
        run.owner = this.name
        kernel.enqueue(run)
      },
      flush: () => {}
    }
    return {
      executionMode: "async",
      makeDispatcher: () => dispatcher,
      shouldYield: (fiber) => {
        const count = fiber.currentOpCount
        if (count === 1 && !kernel.starting) return true
        kernel.starting = false
        return count >= kernel.maxOpsBeforeYield || (kernel.preemptPpm > 0 && preempt.chance(kernel.preemptPpm))
      }
    }
  }

  private makeClock(): Clock.Clock {
    const wallMs = (): number => this.wall.nowMs()
    const wallNs = (): bigint => BigInt(wallMs()) * 1_000_000n
    const monotonicNs = (): bigint => BigInt(this.nowNs())
    return {
      currentTimeMillisUnsafe: wallMs,
      currentTimeMillis: Effect.sync(wallMs),
      currentTimeNanosUnsafe: wallNs,
      currentTimeNanos: Effect.sync(wallNs),
      monotonicTimeNanosUnsafe: monotonicNs,
      monotonicTimeNanos: Effect.sync(monotonicNs),
      sleep: (duration) => this.sleep(duration)
    }
  }

  private sleep(duration: Duration.Duration): Effect.Effect<void> {
    const ms = Duration.toMillis(duration)
    if (ms === Number.POSITIVE_INFINITY) return Effect.never
    return Effect.callback<void>((resume) => {
      const cancel = this.kernel.callAt(this.kernel.nowNs + Math.round(ms * 1_000_000), () =>
        this.deliver(() => resume(Exit.void))
      )
      return Effect.sync(cancel)
    })
  }

  private makeLogger(): Logger.Logger<unknown, void> {
    const format = Logger.formatSimple
    return Logger.make((entry) => this.log(format.log(entry)))
  }
}

const nothing = (): void => {}
/** Nodes do not print in the simulated world: what they have to say goes to the trace. */
const silentConsole: Console.Console = new Proxy({} as Console.Console, { get: () => nothing })
