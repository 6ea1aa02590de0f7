/**
 * Notices when the machine itself stands still: a timer that comes late says that nothing ran meanwhile, nodes and actors neither. What they
 * missed then is no fault of theirs, and whoever reads of a failure must know.
 */

const PERIOD_MS = 50
/** What a busy machine adds anyhow. */
const STALL_MS = 300

export class StallWatch {
  private readonly timer: NodeJS.Timeout
  private readonly nowMs: () => number
  private lastMs: number
  private totalMs = 0
  private longestMs = 0
  private longestAtMs = 0

  /** `nowMs` is the time of the run. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
    this.lastMs = nowMs()
    this.timer = setInterval(() => this.look(), PERIOD_MS)
  }

  /** What the machine has missed, as a sentence; none if that is little. */
  caveats(): ReadonlyArray<string> {
    if (this.totalMs === 0) return []
    const [total, longest, at] = [this.totalMs, this.longestMs, this.longestAtMs].map((ms) => (ms / 1000).toFixed(1))
    return [
      `this machine was too busy: it stood still for ${total} s in all, ${longest} s of them at ${at} s of the run, and with it all nodes; run it again when it is idle`
    ]
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private look(): void {
    const nowMs = this.nowMs()
    const lateMs = nowMs - this.lastMs - PERIOD_MS
    this.lastMs = nowMs
    if (lateMs < STALL_MS) return
    this.totalMs += lateMs
    if (lateMs <= this.longestMs) return
    this.longestMs = lateMs
    this.longestAtMs = nowMs - lateMs
  }
}
