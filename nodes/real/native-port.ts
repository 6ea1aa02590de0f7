/**
 * What a socket and an interface on the native module have in common: two batches in the node's slab, the counters that the module keeps,
 * the one receiver, and the end.
 */

import type { DatagramBatch } from "@horizon/core/wire/batch.ts"
import { type Native, STAT_COUNTER } from "@horizon/native/native.ts"
import type { Arena } from "./arena.ts"

/** What a port on the module needs of its node. */
export interface NativeSurroundings {
  readonly native: Native
  readonly arena: Arena
  readonly nowNs: () => number
  /** Takes what the receiver throws. */
  readonly onDefect: (cause: unknown) => void
}

export abstract class NativePort {
  /** Positive, or why there is none, as a negative errno. */
  abstract readonly handle: number
  readonly rx: DatagramBatch
  readonly tx: DatagramBatch
  protected readonly node: NativeSurroundings
  protected readonly counters: Float64Array
  private handler: ((nowNs: number, count: number) => void) | undefined
  private kernelDrops = 0
  private closed = false

  constructor(node: NativeSurroundings, rx: DatagramBatch, tx: DatagramBatch, counters: number) {
    this.node = node
    this.rx = rx
    this.tx = tx
    this.counters = new Float64Array(counters)
  }

  /** Hands the first `count` slots of `tx` to the module. */
  protected abstract sendOpen(count: number): void
  /** What the kernel itself has dropped on the way in. */
  protected abstract kernelDropsOpen(): number
  protected abstract closeOpen(): void

  onBatch(handler: (nowNs: number, count: number) => void): void {
    this.handler = handler
  }

  send(count: number): void {
    if (this.closed) this.counters[STAT_COUNTER.dropsOut] += count
    else this.sendOpen(count)
  }

  stats() {
    const { counters } = this
    if (!this.closed) this.kernelDrops = this.kernelDropsOpen()
    return {
      packetsIn: counters[STAT_COUNTER.packetsIn],
      bytesIn: counters[STAT_COUNTER.bytesIn],
      packetsOut: counters[STAT_COUNTER.packetsOut],
      bytesOut: counters[STAT_COUNTER.bytesOut],
      dropsIn: counters[STAT_COUNTER.dropsIn] + this.kernelDrops,
      dropsOut: counters[STAT_COUNTER.dropsOut]
    }
  }

  close(): void {
    if (this.closed) return
    if (this.handle > 0) this.kernelDrops = this.kernelDropsOpen()
    this.closed = true
    this.handler = undefined
    this.closeOpen()
    this.node.arena.release(this.rx)
    this.node.arena.release(this.tx)
  }

  /** The counters of a table that say how it works and not what passed, by name. */
  protected figuresOf(table: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    const figures: Record<string, number> = {}
    for (const [name, place] of Object.entries(table)) if (!(name in STAT_COUNTER)) figures[name] = this.counters[place]
    return figures
  }

  /** For the module: so many slots of `rx` are filled. */
  protected readonly onFilled = (count: number): void => {
    // Before there is a receiver, and after the last one, what comes is lost, as on any closed door.
    if (this.handler === undefined) {
      this.counters[STAT_COUNTER.dropsIn] += count
      return
    }
    try {
      this.handler(this.node.nowNs(), count)
    } catch (cause) {
      this.handler = undefined
      this.node.onDefect(cause)
    }
  }
}
