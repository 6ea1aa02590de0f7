/**
 * The simulation kernel: one thread, virtual time, one heap of events and one run queue.
 *
 * The loop is: run what is ready, take the next event, move time to it. Everything that happens comes from here, so the same
 * seed gives the same run. Time is an integer count of nanoseconds since the start of the run (2^53 ns are 104 days).
 */

import { assert } from "@horizon/core/assert.ts"
import { Digest } from "./digest.ts"
import { EventHeap } from "./heap.ts"
import { Rng } from "./rng.ts"

/** What an event calls: two small integers are all that it carries, so that an event allocates nothing. */
export type EventHandler = (a: number, b: number) => void

/** Order in which equally ready work runs. */
export type ReadyOrder = "fifo" | "random"

export interface KernelOptions {
  readonly seed: number
  readonly order?: ReadyOrder
  /** Probability per Effect operation of a forced yield (pre-emption by seed). */
  readonly preemptPpm?: number
  /** Effect's yield budget: pinned, because it changes interleavings. */
  readonly maxOpsBeforeYield?: number
  /** Steps without time moving after which the run is a livelock. */
  readonly livelockSteps?: number
  readonly digest?: Digest
}

/** Time stood still while work went on for ever. */
export class Livelock extends Error {
  override readonly name = "Livelock"
}

/** A timer on virtual time. Arming it again is cheap: it keeps at most one early event in the heap. */
export interface KernelTimer {
  arm(atNs: number): void
  cancel(): void
}

export class Kernel {
  /** Virtual time. */
  nowNs = 0
  /** Heap events run so far. */
  events = 0
  /** Fiber steps run so far. */
  tasks = 0
  readonly seed: number
  readonly digest: Digest
  readonly preemptPpm: number
  readonly maxOpsBeforeYield: number
  /** True from the moment the kernel starts a task until its first Effect operation has been seen (see process.ts). */
  starting = false
  /** Set by whoever must end the run at once; `run` throws it. */
  abort: Error | undefined
  /** Called after every event and task when set: the guard looks for leaks here. */
  afterStep: (() => void) | undefined

  private readonly heap = new EventHeap()
  private sequence = 0
  private readonly handlers: Array<EventHandler> = []
  private ready: Array<() => void> = []
  private readyAt = 0
  private readonly order: ReadyOrder
  private readonly orderRng: Rng
  private readonly livelockSteps: number
  private stepsAtThisTime = 0
  private readonly callbacks: Array<(() => void) | undefined> = []
  private readonly callbackGeneration: Array<number> = []
  private readonly freeCallbacks: Array<number> = []
  private readonly callbackHandler: number
  /** What ran last, for the livelock verdict. */
  private lastTask: () => void = () => {}

  constructor(options: KernelOptions) {
    this.seed = options.seed
    this.order = options.order ?? "fifo"
    this.preemptPpm = options.preemptPpm ?? 0
    this.maxOpsBeforeYield = options.maxOpsBeforeYield ?? 2048
    this.livelockSteps = options.livelockSteps ?? 1_000_000
    this.digest = options.digest ?? new Digest()
    this.orderRng = this.rng("kernel/order")
    this.callbackHandler = this.register((slot, generation) => this.runCallback(slot, generation))
  }

  /** The random stream of a purpose. */
  rng(label: string): Rng {
    return new Rng(this.seed, label)
  }

  /** Makes a handler known; the returned number goes into `at`. */
  register(handler: EventHandler): number {
    return this.handlers.push(handler) - 1
  }

  /** Runs handler `handler` with `a` and `b` at `atNs`, behind everything already entered for that time. */
  at(atNs: number, handler: number, a: number, b: number): void {
    assert(atNs >= this.nowNs, "an event is never scheduled in the past")
    this.heap.push(atNs, this.sequence++, handler, a, b)
  }

  /** Runs `callback` at `atNs`; the returned function cancels it. For rare events: it allocates. */
  callAt(atNs: number, callback: () => void): () => void {
    const slot = this.freeCallbacks.pop() ?? this.callbacks.length
    const generation = (this.callbackGeneration[slot] ?? 0) + 1
    this.callbacks[slot] = callback
    this.callbackGeneration[slot] = generation
    this.at(Math.max(atNs, this.nowNs), this.callbackHandler, slot, generation)
    return () => {
      if (this.callbackGeneration[slot] === generation) this.callbacks[slot] = undefined
    }
  }

  /** A re-armable timer for hot paths. */
  timer(handler: (nowNs: number) => void): KernelTimer {
    let deadlineNs = Number.POSITIVE_INFINITY
    let pendingNs = Number.POSITIVE_INFINITY
    const event = this.register(() => {
      if (pendingNs !== this.nowNs) return
      pendingNs = Number.POSITIVE_INFINITY
      if (deadlineNs > this.nowNs) return schedule()
      deadlineNs = Number.POSITIVE_INFINITY
      handler(this.nowNs)
    })
    const schedule = (): void => {
      if (deadlineNs >= pendingNs || deadlineNs === Number.POSITIVE_INFINITY) return
      pendingNs = deadlineNs
      this.at(pendingNs, event, 0, 0)
    }
    return {
      arm: (atNs) => {
        deadlineNs = Math.max(atNs, this.nowNs)
        schedule()
      },
      cancel: () => {
        deadlineNs = Number.POSITIVE_INFINITY
      }
    }
  }

  /** Puts work on the run queue: it runs at the present time, before the next event. */
  enqueue(task: () => void): void {
    this.ready.push(task)
  }

  /** When there next is something to do: now if work is ready, else the time of the next event; `Infinity` if there is none. */
  nextNs(): number {
    return this.readyAt < this.ready.length ? this.nowNs : this.heap.nextTime()
  }

  /** Runs until nothing is ready and the next event lies after `untilNs`; time then stands at `untilNs`. */
  run(untilNs: number): void {
    for (;;) {
      this.drainReady()
      const next = this.heap.nextTime()
      if (next > untilNs) break
      if (next > this.nowNs) {
        this.nowNs = next
        this.stepsAtThisTime = 0
      }
      this.heap.pop()
      this.events++
      this.countStep()
      this.handlers[this.heap.poppedHandler](this.heap.poppedA, this.heap.poppedB)
      this.afterStep?.()
      if (this.abort !== undefined) throw this.abort
    }
    if (untilNs > this.nowNs && untilNs !== Number.POSITIVE_INFINITY) {
      this.nowNs = untilNs
      this.stepsAtThisTime = 0
    }
  }

  /** Runs until `done` holds or `untilNs` is reached; whether it held. */
  runUntil(done: () => boolean, untilNs: number): boolean {
    while (!done()) {
      this.drainReady()
      if (done()) return true
      const next = this.heap.nextTime()
      if (next > untilNs) {
        this.run(untilNs)
        return done()
      }
      this.run(next)
    }
    return true
  }

  private drainReady(): void {
    while (this.readyAt < this.ready.length) {
      if (this.order === "random") this.swapInRandom()
      const task = this.ready[this.readyAt++]
      this.tasks++
      this.lastTask = task
      this.countStep()
      this.starting = true
      task()
      this.starting = false
      this.afterStep?.()
      if (this.abort !== undefined) throw this.abort
      if (this.readyAt === this.ready.length || this.readyAt > 4096) {
        this.ready.splice(0, this.readyAt)
        this.readyAt = 0
      }
    }
  }

  private swapInRandom(): void {
    const other = this.readyAt + this.orderRng.below(this.ready.length - this.readyAt)
    const task = this.ready[other]
    this.ready[other] = this.ready[this.readyAt]
    this.ready[this.readyAt] = task
  }

  private runCallback(slot: number, generation: number): void {
    if (this.callbackGeneration[slot] !== generation) return
    const callback = this.callbacks[slot]
    this.callbacks[slot] = undefined
    this.freeCallbacks.push(slot)
    callback?.()
  }

  private countStep(): void {
    if (++this.stepsAtThisTime > this.livelockSteps) {
      const name = (this.lastTask as { owner?: string }).owner ?? "an event handler"
      throw new Livelock(
        `time stands at ${this.nowNs} ns for ${this.livelockSteps} steps; ${name} keeps running without ever waiting`
      )
    }
  }
}
