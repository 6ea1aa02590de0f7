/** What processes hold, looked at again and again: resident memory and open descriptors, from /proc. */

import { readdirSync, readFileSync } from "node:fs"

/** What one process held at one moment. */
export interface Holding {
  /** Seconds since the watch began. */
  readonly atSeconds: number
  readonly rssBytes: number
  readonly descriptors: number
}

export class ProcessWatch {
  /** By name, in the order of time. A process that has ended has no more. */
  readonly holdings: ReadonlyMap<string, Array<Holding>>
  private readonly pids: Readonly<Record<string, number>>
  private readonly startMs = performance.now()
  private readonly timer: NodeJS.Timeout

  /** Looks at once, and then each `everyMs`. */
  constructor(pids: Readonly<Record<string, number>>, everyMs: number) {
    this.pids = pids
    this.holdings = new Map(Object.keys(pids).map((name) => [name, []]))
    this.timer = setInterval(() => this.look(), everyMs)
    this.look()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private look(): void {
    const atSeconds = (performance.now() - this.startMs) / 1000
    for (const [name, pid] of Object.entries(this.pids)) {
      const held = holdingOf(pid)
      if (held !== undefined) this.holdings.get(name)!.push({ atSeconds, ...held })
    }
  }
}

/** `undefined` if there is no such process. */
const holdingOf = (pid: number): Omit<Holding, "atSeconds"> | undefined => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    const kibibytes = /^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]
    if (kibibytes === undefined) return undefined
    return { rssBytes: Number(kibibytes) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return undefined
  }
}
