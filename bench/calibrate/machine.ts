/** How good an instrument this machine is right now: how late it wakes a sleeper, and how long it lets those wait who measure. */

import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { Histogram } from "@horizon/core/measure/histogram.ts"
import { Clock } from "@horizon/core/port/clock.ts"
import { layerClock } from "@horizon/real/clock.ts"
import { Effect } from "effect"

const SLEEP_NS = 1_000_000

/** Sleeps so many times for a millisecond; how late each wake-up was. */
export const wakeNoise = (sleeps: number): Promise<Histogram> =>
  Effect.gen(function* () {
    const clock = yield* Clock
    const late = new Histogram()
    return yield* Effect.callback<Histogram>((resume) => {
      let dueNs = clock.nowNs() + SLEEP_NS
      const timer = clock.timer((nowNs) => {
        late.record(nowNs - dueNs)
        if (late.count === sleeps) return resume(Effect.succeed(late))
        dueNs = nowNs + SLEEP_NS
        timer.arm(dueNs)
      })
      timer.arm(dueNs)
    })
  }).pipe(Effect.provide(layerClock), Effect.runPromise)

/** At a time of the run: how long processes had waited for a processor, and how long the processors had been another machine's. */
interface Sample {
  readonly atMs: number
  readonly waitedNs: number
  readonly stolenNs: number
}

/** Watches how long the processes of a measurement are ready to run and cannot, because something else runs. */
export class MachineWatch {
  private readonly samples: Array<Sample> = []

  /** Takes a sample of these processes at a time of the run. */
  sample(atMs: number, processes: ReadonlyArray<number>): void {
    const waitedNs = processes.reduce((sum, pid) => sum + waitedBy(pid), 0)
    this.samples.push({ atMs, waitedNs, stolenNs: stolen() })
  }

  /** Share of the time from one moment to another that one of them waited, or the machine itself stood still; several at once count several times. */
  waited(fromMs: number, untilMs: number): number {
    const from = this.samples.findLast(({ atMs }) => atMs <= fromMs) ?? this.samples[0]
    const until = this.samples.find(({ atMs }) => atMs >= untilMs) ?? this.samples.at(-1)
    if (from === undefined || until === undefined || until.atMs <= from.atMs) return 0
    return (until.waitedNs + until.stolenNs - from.waitedNs - from.stolenNs) / ((until.atMs - from.atMs) * 1e6)
  }
}

/** Time that the main thread of a process has waited to run, ns (proc_pid_schedstat(5)); 0 if it has ended or the kernel does not say. */
const waitedBy = (pid: number): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1])
  } catch {
    return 0
  }
}

/** Time that the hypervisor gave to other machines, of one processor, ns. Its clock ticks a hundred times a second. */
const stolen = (): number => {
  const [, ...fields] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0].trim().split(/\s+/)
  return (Number(fields[STEAL]) * 10_000_000) / availableParallelism()
}

/** Column of /proc/stat. */
const STEAL = 7
